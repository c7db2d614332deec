package auth

import (
	"errors"
	"net/http"
	"slices"
)

// Refusal is a no and its ground: at once an error, an HTTP status and a
// metric label. All errors of the package's checks and of [API.Authorize] are
// a *Refusal.
type Refusal struct {
	Reason  string // one of the Reason constants, a metric label
	Status  int    // HTTP status for the client
	Message string // one line for the client: what is wrong and what to do
	// cause is for the log alone, since it may name hosts of the inside.
	cause string
}

func (r *Refusal) Error() string { return r.Message }

// IsNo tells an error of [API]'s methods by which the API itself said no, from
// those that leave open what it would have said.
func IsNo(err error) bool {
	r, ok := errors.AsType[*Refusal](err)
	return ok && (r.Reason == ReasonUnauthorized || r.Reason == ReasonForbidden)
}

// Reasons that signatures are refused for, all with status 401.
const (
	ReasonMalformed    = "malformed"     // not of the form that it must have (401; of an [API] 400)
	ReasonOtherKey     = "other_key"     // made with another app's key
	ReasonBadSignature = "bad_signature" // does not match what it came with (401; of an [API] 502)
	ReasonBadVersion   = "bad_version"   // auth_version is not 1.0
	ReasonStale        = "stale"         // auth_timestamp is too far from the clock
	ReasonBadBody      = "bad_body"      // body_md5 is missing or not the body's
)

// Reasons of [API]'s methods; they also give ReasonMalformed, and
// ReasonBadSignature for a reply signed otherwise than this app would.
const (
	ReasonBadChannel   = "bad_channel"  // 400, not asked: no name that needs authorisation
	ReasonBusy         = "busy"         // 503, not asked: no free slot within MaxWait
	ReasonCanceled     = "canceled"     // 499, the client went away
	ReasonUnauthorized = "unauthorized" // 401 of the API
	ReasonForbidden    = "forbidden"    // 403 of the API, or 200 with false or null
	ReasonClientError  = "client_error" // the API's status, any other 4xx
	ReasonServerError  = "server_error" // the API's status, 5xx
	ReasonRedirect     = "redirect"     // 401, any 3xx
	ReasonTimeout      = "timeout"      // 504, no whole reply within Timeout
	ReasonUnreachable  = "unreachable"  // 502, no connection, a broken one, or not HTTP
	ReasonTooLarge     = "too_large"    // 502, a reply over 64 KiB
	ReasonBadReply     = "bad_reply"    // 502, a reply of no known form
	ReasonNoMember     = "no_member"    // 502, a yes for a presence channel that does not say who
	ReasonNoUser       = "no_user"      // 502, a yes to signing in that does not say who
	ReasonNoSecret     = "no_secret"    // 502, a yes for an encrypted channel without its key
)

// resultOK is the label of a yes.
const resultOK = "ok"

// statusClientGone is nginx's number; nobody is left to read it.
const statusClientGone = 499

var signatureReasons = []string{
	ReasonMalformed, ReasonOtherKey, ReasonBadSignature, ReasonBadVersion, ReasonStale, ReasonBadBody,
}

// SignatureReasons lists the reasons that Verify functions refuse for, for
// metrics that must exist before they are used.
func SignatureReasons() []string { return slices.Clone(signatureReasons) }

// unauthorized refuses a signature.
func unauthorized(reason, message string) *Refusal {
	return &Refusal{Reason: reason, Status: http.StatusUnauthorized, Message: message}
}

// unusable refuses since the API's reply cannot be turned into a yes.
func unusable(reason, message string) *Refusal {
	return &Refusal{Reason: reason, Status: http.StatusBadGateway, Message: message}
}
