package auth

import (
	"errors"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The app of the fixtures.
const (
	appKey    = "app-key"
	appSecret = "app-secret"
)

type recordedRequest struct {
	Driver, Event, Method, Path, Body string
	RawQuery                          string `json:"raw_query"`
	Query                             map[string]string
}

func (r recordedRequest) sentAt(tb testing.TB) time.Time {
	tb.Helper()
	seconds, err := strconv.ParseInt(r.Query["auth_timestamp"], 10, 64)
	if err != nil {
		tb.Fatalf("%s: auth_timestamp: %v", r.Event, err)
	}
	return time.Unix(seconds, 0)
}

// arrived is a body that is read when it is asked for.
func arrived(body string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(body), nil }
}

func flip(s string, i int) string { return s[:i] + string([]byte{s[i] ^ 1}) + s[i+1:] }

func TestVerifyRequestRecorded(t *testing.T) {
	var requests []recordedRequest
	loadFixture(t, "http-api.json", &requests)
	for _, r := range requests {
		verify := func(path, query, body, secret string) error {
			_, err := VerifyRequest(SignedRequest{Method: r.Method, Path: path, RawQuery: query, Body: arrived(body)}, Credentials{appKey, secret}, r.sentAt(t))
			return err
		}
		if err := verify(r.Path, r.RawQuery, r.Body, appSecret); err != nil {
			t.Errorf("%s, %s: %v", r.Driver, r.Event, err)
			continue
		}
		for i := range len(r.Path) {
			if verify(flip(r.Path, i), r.RawQuery, r.Body, appSecret) == nil {
				t.Errorf("%s: verifies with byte %d of the path changed", r.Event, i)
			}
		}
		for i := range len(r.RawQuery) {
			if verify(r.Path, flip(r.RawQuery, i), r.Body, appSecret) == nil {
				t.Errorf("%s: verifies with byte %d of the query changed", r.Event, i)
			}
		}
		for i := range len(r.Body) {
			if verify(r.Path, r.RawQuery, flip(r.Body, i), appSecret) == nil {
				t.Errorf("%s: verifies with byte %d of the body changed", r.Event, i)
			}
		}
		for i := range len(appSecret) {
			if verify(r.Path, r.RawQuery, r.Body, flip(appSecret, i)) == nil {
				t.Errorf("%s: verifies with byte %d of the secret changed", r.Event, i)
			}
		}
		if _, err := VerifyRequest(SignedRequest{Method: "PUT", Path: r.Path, RawQuery: r.RawQuery, Body: arrived(r.Body)}, app, r.sentAt(t)); err == nil {
			t.Errorf("%s: verifies with another method", r.Event)
		}
	}
}

// TestRequestVector is the example of Pusher's documentation.
func TestRequestVector(t *testing.T) {
	body := []byte(`{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`)
	now := time.Unix(1353088179, 0)
	query := SignRequest("POST", "/apps/3/events", nil, body, docKey, docSecret, now)
	params, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"auth_key":       {docKey},
		"auth_timestamp": {"1353088179"},
		"auth_version":   {"1.0"},
		"body_md5":       {"ec365a775a4cd0599faeb73354201b6f"},
		"auth_signature": {"da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"},
	}
	if !maps.EqualFunc(params, want, func(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }) {
		t.Errorf("signed %v, want %v", params, want)
	}
	if _, err := VerifyRequest(SignedRequest{Method: "POST", Path: "/apps/3/events", RawQuery: query, Body: arrived(string(body))}, Credentials{docKey, docSecret}, now); err != nil {
		t.Errorf("our own signature: %v", err)
	}
}

func TestVerifyRequestReasons(t *testing.T) {
	const path = "/apps/app-id/events"
	now := time.Unix(1_800_000_000, 0)
	body := []byte(`{"name":"e"}`)
	signed := func(at time.Time, key string) string {
		return SignRequest("POST", path, nil, body, key, appSecret, at)
	}
	valid := signed(now, appKey)
	without := func(name string) string {
		query, _ := url.ParseQuery(valid)
		query.Del(name)
		return query.Encode()
	}
	with := func(name, value string) string {
		query, _ := url.ParseQuery(valid)
		query.Set(name, value)
		return query.Encode()
	}
	for name, tt := range map[string]struct {
		query, want, says string
	}{
		"valid":                 {valid, resultOK, ""},
		"empty parts":           {"&" + valid + "&&", resultOK, ""},
		"600 s behind":          {signed(now.Add(-MaxClockSkew), appKey), resultOK, ""},
		"600 s ahead":           {signed(now.Add(MaxClockSkew), appKey), resultOK, ""},
		"733 s behind":          {signed(now.Add(-733*time.Second), appKey), ReasonStale, "733 s behind this server's clock"},
		"601 s ahead":           {signed(now.Add(601*time.Second), appKey), ReasonStale, "601 s ahead of this server's clock"},
		"milliseconds":          {with("auth_timestamp", "1800000000000"), ReasonStale, "ahead"},
		"largest timestamp":     {with("auth_timestamp", "9223372036854775807"), ReasonStale, "ahead"},
		"larger still":          {with("auth_timestamp", "9223372036854775808"), ReasonMalformed, "auth_timestamp"},
		"negative timestamp":    {with("auth_timestamp", "-9223372036854775808"), ReasonMalformed, "auth_timestamp"},
		"timestamp with a plus": {with("auth_timestamp", "+1800000000"), ReasonMalformed, "auth_timestamp"},
		"empty timestamp":       {with("auth_timestamp", ""), ReasonMalformed, "auth_timestamp is missing"},
		"no query":              {"", ReasonMalformed, "auth_key is missing"},
		"no key":                {without("auth_key"), ReasonMalformed, "auth_key is missing"},
		"no timestamp":          {without("auth_timestamp"), ReasonMalformed, "auth_timestamp is missing"},
		"no version":            {without("auth_version"), ReasonMalformed, "auth_version is missing"},
		"no signature":          {without("auth_signature"), ReasonMalformed, "auth_signature is missing"},
		"no body_md5":           {SignRequest("POST", path, nil, nil, appKey, appSecret, now), ReasonBadBody, "body_md5 is missing"},
		"wrong body_md5":        {SignRequest("POST", path, nil, []byte("{}"), appKey, appSecret, now), ReasonBadBody, "exact bytes"},
		"forged body_md5":       {with("body_md5", "d41d8cd98f00b204e9800998ecf8427e"), ReasonBadSignature, "secret"},
		"other key":             {signed(now, "other"), ReasonOtherKey, "REVERB_APP_KEY"},
		"other version":         {with("auth_version", "2.0"), ReasonBadVersion, "1.0"},
		"parameter added":       {valid + "&info=user_count", ReasonBadSignature, `"/apps/app-id/events"`},
		"parameter twice":       {valid + "&auth_key=" + appKey, ReasonMalformed, `"auth_key" occurs twice`},
		"twice in other case":   {valid + "&AUTH_KEY=" + appKey, ReasonMalformed, `"auth_key" occurs twice`},
		"twice, once as array":  {valid + "&auth_key[]=" + appKey, ReasonMalformed, `"auth_key" occurs twice`},
		"not a percent code":    {valid + "&a=%zz", ReasonMalformed, "hex"},
		"name as percent code":  {strings.Replace(valid, "auth_key", "%61uth_key", 1), resultOK, ""},
		"name in capitals":      {strings.Replace(valid, "auth_key", "Auth_Key", 1), resultOK, ""},
	} {
		_, err := VerifyRequest(SignedRequest{Method: "POST", Path: path, RawQuery: tt.query, Body: arrived(string(body))}, app, now)
		if got := reasonOf(t, err); got != tt.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, tt.want, err)
			continue
		}
		if err == nil {
			continue
		}
		if status := refusal(t, err).Status; status != 401 {
			t.Errorf("%s: status %d, want 401", name, status)
		}
		if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: message %q does not say %q", name, err, tt.says)
		}
	}

	empty := SignRequest("GET", path, map[string]string{"body_md5": "d41d8cd98f00b204e9800998ecf8427e"}, nil, appKey, appSecret, now)
	if _, err := VerifyRequest(SignedRequest{Method: "GET", Path: path, RawQuery: empty}, app, now); err != nil {
		t.Errorf("body_md5 of an empty body: %v", err)
	}
	unsigned := SignRequest("POST", path, nil, body, appKey, "", now)
	if _, err := VerifyRequest(SignedRequest{Method: "POST", Path: path, RawQuery: unsigned, Body: arrived(string(body))}, Credentials{Key: appKey}, now); err == nil {
		t.Error("an empty secret verifies")
	}
}

// TestVerifyRequestBeforeTheBody has nobody listened to who can't sign.
func TestVerifyRequestBeforeTheBody(t *testing.T) {
	const path = "/apps/app-id/events"
	now, gone := time.Unix(1_800_000_000, 0), errors.New("the connection is gone")
	read := 0
	verify := func(secret string) error {
		query := SignRequest("POST", path, nil, []byte("{}"), appKey, secret, now)
		_, err := VerifyRequest(SignedRequest{Method: "POST", Path: path, RawQuery: query, Body: func() ([]byte, error) {
			read++
			return nil, gone
		}}, app, now)
		return err
	}
	if got := reasonOf(t, verify("forged")); got != ReasonBadSignature || read != 0 {
		t.Errorf("a forged signature: %s, and the body was read %d times", got, read)
	}
	if err := verify(appSecret); !errors.Is(err, gone) || read != 1 {
		t.Errorf("a body that can't be read: %v, read %d times", err, read)
	}
}

func TestVerifyRequestParams(t *testing.T) {
	const path = "/apps/app-id/channels"
	now := time.Unix(1_800_000_000, 0)
	// resent signs params and sends some of them in another spelling.
	resent := func(params map[string]string, from, to string) string {
		query := SignRequest("GET", path, params, nil, appKey, appSecret, now)
		if !strings.Contains(query, from) {
			t.Fatalf("query %s lacks %s", query, from)
		}
		return strings.Replace(query, from, to, 1)
	}
	info := map[string]string{"info": "user_count,cache"}
	odd := map[string]string{"filter_by_prefix": "a b&c=d;é+%"}
	for name, tt := range map[string]struct {
		query, param, want string
	}{
		"as signed":        {resent(info, "info", "info"), "info", "user_count,cache"},
		"PHP array":        {resent(info, "info=user_count%2Ccache", "info%5B0%5D=user_count&info%5B1%5D=cache"), "info", "user_count,cache"},
		"PHP empty index":  {resent(info, "info=user_count%2Ccache", "info[]=user_count&info[]=cache"), "info", "user_count,cache"},
		"capitals":         {resent(info, "info", "INFO"), "info", "user_count,cache"},
		"odd characters":   {resent(odd, "a", "a"), "filter_by_prefix", "a b&c=d;é+%"},
		"a bare semicolon": {resent(odd, "%3B", ";"), "filter_by_prefix", "a b&c=d;é+%"},
		"no array suffix":  {resent(map[string]string{"a[b]": "c"}, "a", "a"), "a[b]", "c"},
		"empty value":      {resent(map[string]string{"info": ""}, "info=", "info"), "info", ""},
	} {
		params, err := VerifyRequest(SignedRequest{Method: "GET", Path: path, RawQuery: tt.query}, app, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, ok := params[tt.param]; !ok || got != tt.want {
			t.Errorf("%s: parameter %s is %q, want %q", name, tt.param, got, tt.want)
		}
		if _, ok := params["auth_signature"]; ok {
			t.Errorf("%s: auth_signature is among the parameters", name)
		}
	}
}

// TestVerifyRequestPaths signs one path and sends another.
func TestVerifyRequestPaths(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, tt := range map[string]struct {
		signed, sent, prefix string
		ok                   bool
	}{
		"no prefix":                  {"/apps/1/events", "/apps/1/events", "", true},
		"without the prefix":         {"/apps/1/events", "/ws/apps/1/events", "/ws", true},
		"with the prefix":            {"/ws/apps/1/events", "/ws/apps/1/events", "/ws", true},
		"another prefix":             {"/wss/apps/1/events", "/ws/apps/1/events", "/ws", false},
		"prefix twice":               {"/ws/ws/apps/1/events", "/ws/apps/1/events", "/ws", false},
		"half a prefix":              {"s/apps/1/events", "/ws/apps/1/events", "/ws", false},
		"escaped":                    {"/apps/1/users/a%20b", "/apps/1/users/a%20b", "", true},
		"unescaped":                  {"/apps/1/users/a b/ü", "/apps/1/users/a%20b/%C3%BC", "", true},
		"a slash unescaped":          {"/apps/1/users/a/b", "/apps/1/users/a%2Fb", "", true},
		"unescaped, without prefix":  {"/apps/1/users/a b", "/ws/apps/1/users/a%20b", "/ws", true},
		"unescaped, with the prefix": {"/ws/apps/1/users/a b", "/ws/apps/1/users/a%20b", "/ws", true},
		"unescaped twice":            {"/apps/1/users/a b", "/apps/1/users/a%2520b", "", false},
		"escaped otherwise":          {"/apps/1/users/a%2fb", "/apps/1/users/a%2Fb", "", false},
		"no valid escape":            {"/apps/1/users/%zz", "/apps/1/users/%zz", "", true},
		"another path":               {"/apps/1/events", "/apps/1/batch_events", "", false},
	} {
		query := SignRequest("GET", tt.signed, nil, nil, appKey, appSecret, now)
		_, err := VerifyRequest(SignedRequest{Method: "GET", Path: tt.sent, Prefix: tt.prefix, RawQuery: query}, app, now)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %v", name, err, tt.ok)
		}
	}
}

func FuzzVerifyRequest(f *testing.F) {
	var requests []recordedRequest
	loadFixture(f, "http-api.json", &requests)
	for _, r := range requests {
		f.Add(r.Method, r.Path, r.RawQuery, []byte(r.Body), r.sentAt(f).Unix())
	}
	f.Add("GET", "/%", "info[]=a&info[1]=b&A=%", []byte(nil), int64(0))
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte, now int64) {
		req := SignedRequest{Method: method, Path: path, RawQuery: query, Body: arrived(string(body))}
		params, err := VerifyRequest(req, app, time.Unix(now, 0))
		if err != nil {
			_ = refusal(t, err)
			return
		}
		// What verifies must be what signing the same parameters gives.
		seconds, err := strconv.ParseInt(params["auth_timestamp"], 10, 64)
		if err != nil {
			t.Fatalf("verified with auth_timestamp %q", params["auth_timestamp"])
		}
		maps.DeleteFunc(params, func(name, _ string) bool {
			return name == "auth_key" || name == "auth_timestamp" || name == "auth_version"
		})
		sent, err := parseParams(query)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range req.paths() {
			again, err := parseParams(SignRequest(method, path, params, body, appKey, appSecret, time.Unix(seconds, 0)))
			if err != nil {
				t.Fatal(err)
			}
			if again["auth_signature"] == sent["auth_signature"] {
				return
			}
		}
		t.Errorf("verified, but signing gives another signature: %s %q %q", method, path, query)
	})
}

func BenchmarkVerifyRequest(b *testing.B) {
	body := []byte(`{"name":"job.updated","channels":["private-job.42"],"data":"{\"id\":42}"}`)
	now := time.Now()
	app := Credentials{Key: appKey, Secret: appSecret}
	req := SignedRequest{
		Method: "POST", Path: "/apps/app-id/events", Body: arrived(string(body)),
		RawQuery: SignRequest("POST", "/apps/app-id/events", nil, body, app.Key, app.Secret, now),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifyRequest(req, app, now); err != nil {
			b.Fatal(err)
		}
	}
}
