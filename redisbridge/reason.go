package redisbridge

// Reason is why a message in Redis reached nobody.
type Reason struct {
	// Label is the reason in metrics and logs.
	Label string
	// Text is the error's text.
	Text string
}

func (r *Reason) Error() string { return r.Text }

// The first four come from [Decode], the others from the [Bridge].
var (
	ReasonNotJSON      = &Reason{"not_json", "payload is not JSON (it is empty, serialized or compressed, or not an event at all)"}
	ReasonInvalidUTF8  = &Reason{"invalid_utf8", "payload is not valid UTF-8"}
	ReasonNotAnEvent   = &Reason{"not_an_event", "payload is not a JSON object with a string named event"}
	ReasonEventName    = &Reason{"event_name", "event name is empty or over 200 bytes long"}
	ReasonBadChannel   = &Reason{"bad_channel", "no client can subscribe to a channel of that name"}
	ReasonTooBig       = &Reason{"too_big", "event data is over the app's limit"}
	ReasonNotPublished = &Reason{"not_published", "event was refused"}
	ReasonPanic        = &Reason{"panic", "a bug: taking it panicked"}
)

// reasons lists them all, for metrics that must exist before they are used.
func reasons() []*Reason {
	return []*Reason{
		ReasonNotJSON, ReasonInvalidUTF8, ReasonNotAnEvent, ReasonEventName,
		ReasonBadChannel, ReasonTooBig, ReasonNotPublished, ReasonPanic,
	}
}
