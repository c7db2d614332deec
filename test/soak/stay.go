package main

// want is a time in which a client wants to be in a channel.
type want struct {
	channel     string
	from, until moment
}

// stay is a time in which it was, as it knows.
type stay struct {
	channel      string
	node         *node
	life         int // of the client
	asked        moment
	since, until moment
	end          string // why it ended
	fresh        bool   // the next event may be the one that a cache channel kept
	members      map[string]bool
	got          []receipt
}

// receipt is an event that came.
type receipt struct {
	id   int32
	kept bool // by a cache channel
	at   moment
}

// mark is the reason for which a client isn't in a channel that it wants to be in.
type mark struct {
	channel string
	at      moment
	why     string
}
