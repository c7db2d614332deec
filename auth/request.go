package auth

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxClockSkew is how far auth_timestamp may be from the server's clock, in
// either direction, as in Pusher.
const MaxClockSkew = 600 * time.Second

const authVersion = "1.0"

// SignRequest returns the query, ready to be sent, of a request to the HTTP
// API: params, whose names must be lower-case and not begin with auth_ or be
// body_md5, and what the signature needs. path is as sent, escaped or not.
func SignRequest(method, path string, params map[string]string, body []byte, key, secret string, now time.Time) string {
	all := map[string]string{
		"auth_key":       key,
		"auth_timestamp": strconv.FormatInt(now.Unix(), 10),
		"auth_version":   authVersion,
	}
	maps.Copy(all, params)
	if len(body) > 0 {
		all["body_md5"] = bodyMD5(body)
	}
	signature := sign(secret, requestText(method, path, all))
	query := url.Values{"auth_signature": {signature}}
	for name, value := range all {
		query.Set(name, value)
	}
	return query.Encode()
}

// SignedRequest is a request to the HTTP API as it arrived.
type SignedRequest struct {
	Method string
	// Path is as sent, still escaped. Prefix, which may be empty, is what of it
	// the server is mounted under.
	Path, Prefix string
	RawQuery     string
	// Body reads the body, once all else holds: nobody who can't sign has the
	// server wait for it, or keep it. Nil: there is none.
	Body func() ([]byte, error)
}

// paths are those that the signature may hold over, the likely ones first.
// Laravel signs without the prefix under which the server is reached, other
// libraries what they send; and Pusher's libraries sign user ids unescaped and
// then send them escaped.
func (r SignedRequest) paths() []string {
	all := []string{strings.TrimPrefix(r.Path, r.Prefix)}
	if r.Prefix != "" {
		all = append(all, r.Path)
	}
	for _, path := range all {
		if plain, err := url.PathUnescape(path); err == nil && plain != path {
			all = append(all, plain)
		}
	}
	return all
}

// VerifyRequest checks a request to the HTTP API by Pusher's rules and returns
// its parameters, auth_signature excepted. Handlers read these and not the
// query again: what they act on is then what was signed.
//
// Names are lower-cased. A name occurs once; only name[] and name[0], name[1],
// ... may repeat: they make one parameter, values joined by commas, which is
// how Pusher's PHP library signs an array. Reasons: all of [SignatureReasons]. An
// error of Body's is returned as it is.
func VerifyRequest(req SignedRequest, app Credentials, now time.Time) (map[string]string, error) {
	params, err := parseParams(req.RawQuery)
	if err != nil {
		return nil, unauthorized(ReasonMalformed, err.Error())
	}
	for _, name := range []string{"auth_key", "auth_timestamp", "auth_version", "auth_signature"} {
		if params[name] == "" {
			return nil, unauthorized(ReasonMalformed, name+" is missing from the query: sign the request as Pusher's HTTP API demands")
		}
	}
	if params["auth_key"] != app.Key {
		return nil, unauthorized(ReasonOtherKey, "auth_key is not the key of this app: check REVERB_APP_ID and REVERB_APP_KEY")
	}
	if params["auth_version"] != authVersion {
		return nil, unauthorized(ReasonBadVersion, "auth_version must be "+authVersion)
	}
	if err := checkTimestamp(params["auth_timestamp"], now); err != nil {
		return nil, err
	}
	signature := params["auth_signature"]
	delete(params, "auth_signature")
	for _, path := range req.paths() {
		if matches(signature, app.Secret, requestText(req.Method, path, params)) {
			return params, req.checkBody(params)
		}
	}
	return nil, unauthorized(ReasonBadSignature, fmt.Sprintf(
		"auth_signature does not match %.8q %.200q with this query: check the app's secret (REVERB_APP_SECRET), and that no proxy changes path or query", req.Method, req.Path))
}

// requestText is what a request's signature covers.
func requestText(method, path string, params map[string]string) string {
	size := len(method) + len(path) + 1
	names := make([]string, 0, 8) // on the stack, mostly
	for name, value := range params {
		names = append(names, name)
		size += len(name) + len(value) + 2
	}
	slices.Sort(names)

	var text strings.Builder
	text.Grow(size)
	text.WriteString(method)
	text.WriteByte('\n')
	text.WriteString(path)
	separator := byte('\n')
	for _, name := range names {
		text.WriteByte(separator)
		text.WriteString(name)
		text.WriteByte('=')
		text.WriteString(params[name])
		separator = '&'
	}
	return text.String()
}

func checkTimestamp(text string, now time.Time) error {
	sent, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return unauthorized(ReasonMalformed, "auth_timestamp is not a number of seconds since 1970")
	}
	skew, direction := now.Unix()-int64(sent), "behind"
	if skew < 0 {
		skew, direction = -skew, "ahead of"
	}
	if limit := int64(MaxClockSkew / time.Second); skew > limit {
		return unauthorized(ReasonStale, fmt.Sprintf(
			"auth_timestamp is %d s %s this server's clock; %d s are allowed, so set the clocks of both machines (NTP), and sign each request anew", skew, direction, limit))
	}
	return nil
}

func (r SignedRequest) checkBody(params map[string]string) error {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = r.Body(); err != nil {
			return err
		}
	}
	sum, given := params["body_md5"]
	switch {
	case !given && len(body) > 0:
		return unauthorized(ReasonBadBody, "body_md5 is missing from the query: a request with a body needs its MD5 in hex")
	case given && sum != bodyMD5(body):
		return unauthorized(ReasonBadBody, "body_md5 is not the MD5 of the body that arrived: sign the exact bytes that are sent")
	}
	return nil
}

func bodyMD5(body []byte) string {
	sum := md5.Sum(body)
	return hex.EncodeToString(sum[:])
}

// parseParams reads a query by the rules that VerifyRequest states.
func parseParams(rawQuery string) (map[string]string, error) {
	params := make(map[string]string, 8)
	var arrays map[string][]string // made with the first
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, errName := url.QueryUnescape(rawName)
		value, errValue := url.QueryUnescape(rawValue)
		if errName != nil || errValue != nil {
			return nil, errors.New("the query has a % that is not followed by two hex digits")
		}
		name, isArray := arrayName(strings.ToLower(name))
		if _, seen := params[name]; seen && !(isArray && arrays[name] != nil) {
			return nil, fmt.Errorf("parameter %.40q occurs twice in the query", name)
		}
		params[name] = value
		if isArray {
			if arrays == nil {
				arrays = map[string][]string{}
			}
			arrays[name] = append(arrays[name], value)
		}
	}
	for name, values := range arrays {
		params[name] = strings.Join(values, ",")
	}
	return params, nil
}

// arrayName takes PHP's array suffix, [] or [digits], off a name.
func arrayName(name string) (base string, isArray bool) {
	base, index, found := strings.Cut(name, "[")
	index, closed := strings.CutSuffix(index, "]")
	if !found || !closed || strings.Trim(index, "0123456789") != "" {
		return name, false
	}
	return base, true
}
