package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"broadcastd/auth"
	"broadcastd/test/redistest"
)

// hush makes a secret that can be found again: all have s3cr3t in them.
func hush(of string) string { return "s3cr3t" + of + "0123456789" }

// leaks finds secrets, plain and in base64 as basic authentication has them.
func leaks(text string) []string {
	found := regexp.MustCompile(`s3cr3t\w*`).FindAllString(text, -1)
	for _, word := range regexp.MustCompile(`[A-Za-z0-9+/]{16,}={0,2}`).FindAllString(text, -1) {
		for skip := range min(4, len(word)) {
			plain, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(word[skip:], "="))
			if strings.Contains(string(plain), "s3cr3t") {
				found = append(found, word)
			}
		}
	}
	return found
}

// hostileAPI answers with what it was told, which it shouldn't, in all the forms
// that a reply can have.
func hostileAPI(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // no form, no case
		told := r.Header.Get("Authorization") + r.Header.Get("Cookie")
		switch r.PostForm.Get("channel_name") {
		case "private-yes":
			fmt.Fprint(w, "true")
		case "private-broken":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, told)
		case "private-redirect":
			http.Redirect(w, r, "/login?"+told, http.StatusFound)
		case "private-nonsense":
			fmt.Fprint(w, told)
		case "private-malformed":
			nc, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", told)
				_ = nc.Close()
			}
		case "private-encrypted-a":
			fmt.Fprintf(w, `{"auth":"app-key:%s","shared_secret":%q}`, hush("Forged"), hush("Shared"))
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, told)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// snoop gathers whatever the daemon says, to whom it may.
type snoop struct {
	*daemon
	admin string
	heard strings.Builder
}

// raw sends bytes and hears the answer.
func (s *snoop) raw(t *testing.T, addr, request string) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second)) // a net.Conn takes it
	_, _ = io.WriteString(nc, request)                   // it may hang up first
	answer, _ := io.ReadAll(nc)
	if len(answer) == 0 {
		t.Errorf("no answer to %q", request)
	}
	s.heard.Write(answer)
}

// get asks as curl would, and closes.
func (s *snoop) get(t *testing.T, addr, method, target, body string, header ...string) {
	t.Helper()
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: 127.0.0.1", "Connection: close", fmt.Sprintf("Content-Length: %d", len(body))}, header...)
	s.raw(t, addr, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
}

// socket opens a WebSocket, sends messages, and hears what there is to hear.
func (s *snoop) socket(t *testing.T, query string, header http.Header, messages ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+s.addr+"/app/app-key?protocol=7"+query, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	for i := range len(messages) + 1 {
		_, b, err := ws.Read(ctx)
		if err != nil {
			t.Fatalf("after message %d: %v", i, err)
		}
		s.heard.Write(b)
		if i < len(messages) {
			if err := ws.Write(ctx, websocket.MessageText, []byte(messages[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSecretsStaySecret starts the daemon with a secret wherever there can be one,
// as talkative as it gets, drives it through errors of all kinds, ends it with
// SIGQUIT, and looks for secrets in all that it said, and in what ps shows.
func TestSecretsStaySecret(t *testing.T) {
	for name, clustered := range map[string]bool{"alone": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			redis := redistest.Start(t, "--requirepass", hush("Cluster"))
			hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, r.URL.String()+r.Header.Get("Authorization"), http.StatusInternalServerError)
			}))
			t.Cleanup(hooks.Close)
			hookURL := strings.Replace(hooks.URL, "://", "://user:"+hush("HookUser")+"@", 1) + "/?key=" + hush("HookQuery")
			awayURL := "http://user:" + hush("AwayUser") + "@127.0.0.1:1/?key=" + hush("AwayQuery")
			api := hostileAPI(t)
			env := []string{
				"BROADCASTD_APP_ID=app-id", "BROADCASTD_APP_KEY=app-key", "BROADCASTD_APP_SECRET=" + hush("App"),
				"BROADCASTD_APP_WEBHOOKS=" + fmt.Sprintf(`[{"url": %q, "headers": {"X-Token": %q}}, {"url": %q}]`, hookURL, hush("HookHeader"), awayURL),
				"BROADCASTD_ADMIN_LISTEN=127.0.0.1:0", "BROADCASTD_ADMIN_TOKEN=" + hush("Admin"), "BROADCASTD_ADMIN_PPROF=true",
				"BROADCASTD_HOST=127.0.0.1", "BROADCASTD_PORT=0", "BROADCASTD_LOG_LEVEL=debug",
				"BROADCASTD_REDIS_URL=" + redis.URLAs("default", hush("Redis")),
				"BROADCASTD_AUTH_ENDPOINT=" + api, "BROADCASTD_AUTH_USER_ENDPOINT=" + api + "/user",
				"BROADCASTD_AUTH_REVALIDATE=1s", "BROADCASTD_AUTH_CACHE=1s",
			}
			if clustered {
				env = append(env, "BROADCASTD_SCALING_ENABLED=true", "BROADCASTD_SCALING_REDIS="+redis.URLAs("default", hush("Cluster")))
			}
			d := startDaemon(t, env, "--debug")
			s := &snoop{daemon: d, admin: d.out.waitFor(t, `msg=listening .*admin=(\S+)`)[1]}
			d.out.waitFor(t, "WRONGPASS")
			s.drive(t)
			redis.Kill()
			d.out.waitFor(t, `level=WARN .*(refused|EOF|reset)`)

			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", d.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Process.Signal(syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
			_ = d.Wait() // with an error, of course
			d.out.waitFor(t, `goroutine \d+ `)
			log := d.out.String()
			for _, happened := range []string{"authorisation refused", "message in", "message out", "webhook", "SIGQUIT"} {
				if !strings.Contains(log, happened) {
					t.Errorf("the output lacks %q, so what goes with it wasn't tried", happened)
				}
			}
			for where, text := range map[string]string{"output": log, "ps": string(cmdline), "answers": s.heard.String()} {
				if found := leaks(text); found != nil {
					t.Errorf("secrets in %s: %q", where, found)
					for line := range strings.Lines(text) {
						if len(leaks(line)) > 0 {
							t.Log(line)
						}
					}
				}
			}
			if out, err := command(t, env, "check").CombinedOutput(); err != nil || leaks(string(out)) != nil {
				t.Errorf("check: %v\n%s", err, out)
			}
			if out, _ := command(t, env, "nodes").CombinedOutput(); leaks(string(out)) != nil {
				t.Errorf("nodes:\n%s", out)
			}
		})
	}
}

// drive makes every kind of client bring secrets, good ones and bad ones.
func (s *snoop) drive(t *testing.T) {
	t.Helper()
	bearer, cookie := "Authorization: Bearer "+hush("Bearer"), "Cookie: session="+hush("Cookie")
	subscribe := func(channel, auth string) string {
		return fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q,"auth":%q,"channel_data":"{\"user_id\":\"1\"}"}}`, channel, auth)
	}
	forged := "app-key:" + hush("Signature")
	unsigned := func(channel string) string {
		return fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q}}`, channel)
	}
	messages := []string{
		subscribe("private-a", forged), subscribe("presence-a", forged), subscribe("private-a", hush("Malformed")),
		subscribe("private-a", "other-key:"+hush("OtherKey")), subscribe("private a", forged),
		`{"event":"pusher:signin","data":{"auth":"` + forged + `","user_data":"{\"id\":\"7\",\"token\":\"` + hush("UserData") + `\"}"}}`,
		`{"event":"pusher:subscribe","data":{"channel":"private-a","auth":"` + forged, // cut off
		`{"event":"pusher:signin","data":"{\"auth\":\"` + forged,                      // cut off within a string
		unsigned("private-yes"), unsigned("private-broken"), unsigned("private-redirect"), unsigned("private-nonsense"),
		unsigned("private-malformed"), unsigned("private-no"), unsigned("private-encrypted-a"),
	}
	s.socket(t, "&token="+hush("Query"), nil, messages...)
	s.socket(t, "", http.Header{"Authorization": {"Bearer " + hush("Bearer")}, "Cookie": {"session=" + hush("Cookie")}}, messages...)

	form := "Content-Type: application/x-www-form-urlencoded"
	for _, channel := range []string{"broken", "redirect", "nonsense", "malformed", "no", "encrypted-a"} {
		s.get(t, s.addr, "POST", "/broadcasting/auth", "socket_id=1.2&channel_name=private-"+channel, form, bearer, cookie)
	}
	s.get(t, s.addr, "POST", "/broadcasting/user-auth", "socket_id=1.2", form, bearer, cookie)
	s.get(t, s.addr, "POST", "/broadcasting/auth", "channel_name="+hush("Form"), form, bearer, cookie)

	body := `{"name":"e","channels":["jobs"],"data":"{}"}`
	good := auth.SignRequest("POST", "/apps/app-id/events", nil, []byte(body), "app-key", hush("App"), time.Now())
	s.get(t, s.addr, "POST", "/apps/app-id/events?"+good, body)
	for _, query := range []string{
		"auth_key=app-key&auth_timestamp=1&auth_version=1.0&auth_signature=" + hush("Stale"),
		"auth_key=app-key&auth_signature=" + hush("Missing"),
		"auth_key=app-key&auth_signature=" + hush("Twice") + "&auth_signature=" + hush("Twice"),
		"auth_signature=%zz" + hush("Escape"),
		strings.Replace(good, "auth_signature=", "auth_signature="+hush("Forged"), 1),
	} {
		s.get(t, s.addr, "POST", "/apps/app-id/events?"+query, body)
	}
	s.get(t, s.addr, "GET", "/nowhere?token="+hush("Lost"), "", bearer, cookie)
	for _, request := range []string{ // no HTTP
		"GET /app/app-key?token=" + hush("Version") + " HTTP/9.9\r\n\r\n",
		"GET /app/app-key?token=" + hush("Header") + " HTTP/1.1\r\nHost: a\r\n" + bearer + "\x00\r\n\r\n",
		"GET /app/app-key HTTP/1.1\r\nHost: a\r\nno colon " + hush("Colon") + "\r\n\r\n",
		"GET /app/app-key HTTP/1.1\r\nHost: a\r\nContent-Length: " + hush("Length") + "\r\n\r\n",
		"GET /app/app-key HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + hush("Transfer") + "\r\n\r\n",
		"GET http://user:" + hush("Target") + "@a:x/ HTTP/1.1\r\nHost: a\r\n\r\n",
		hush("Garbage") + "\r\n\r\n",
	} {
		s.raw(t, s.addr, request)
	}

	s.get(t, s.admin, "GET", "/metrics", "", "Authorization: Bearer "+hush("Wrong"))
	admin := "Authorization: Bearer " + hush("Admin")
	s.out.waitFor(t, `msg=.*webhook.*(500|refused)`)
	for _, path := range []string{"/metrics", "/readyz", "/up", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1"} {
		s.get(t, s.admin, "GET", path, "", admin)
	}
	if !strings.Contains(s.heard.String(), "broadcastd_build_info") {
		t.Error("the token did not open /metrics")
	}
}

// TestStartErrorsHideSecrets has each secret configured so that it can't be.
func TestStartErrorsHideSecrets(t *testing.T) {
	secret := hush("X")
	for name, c := range map[string]struct{ env, file string }{
		"app.secret is a list":      {file: "app: {id: a, key: b, secret: [" + secret + "]}"},
		"app.secret is a map":       {file: "app: {id: a, key: b, secret: {" + secret + ": 1}}"},
		"app is a text":             {file: "app: " + secret},
		"apps is a text":            {file: "apps: " + secret},
		"admin.token is a list":     {file: "admin: {token: [" + secret + "]}"},
		"admin.token too short":     {env: "BROADCASTD_ADMIN_TOKEN=s3cr3t"},
		"admin.token with a space":  {env: "BROADCASTD_ADMIN_TOKEN=" + secret + " " + secret},
		"broken YAML":               {file: "app: {id: a, key: b, secret: " + secret},
		"broken list":               {env: "BROADCASTD_APPS=[{id: a, secret: " + secret},
		"list of the wrong":         {env: "BROADCASTD_APPS=[" + secret + "]"},
		"webhooks broken":           {env: "BROADCASTD_APP_WEBHOOKS=[{url: http://u:" + secret + "@h, headers: {A: " + secret},
		"webhook's URL":             {env: "BROADCASTD_APP_WEBHOOKS=[{url: 'h://u:" + secret + "@h'}]"},
		"webhook's header":          {env: `BROADCASTD_APP_WEBHOOKS=[{url: "http://h", headers: {A: "` + secret + `\n"}}]`},
		"redis.url":                 {env: "BROADCASTD_REDIS_URL=redis://:" + secret + "@h:x/y"},
		"redis.url, escape":         {env: "BROADCASTD_REDIS_URL=redis://:" + secret + "%zz@h"},
		"redis.url, option":         {env: "BROADCASTD_REDIS_URL=redis://h?password=" + secret + "&nonsense=1"},
		"redis.url, no scheme":      {env: "BROADCASTD_REDIS_URL=:" + secret + "@h:6379"},
		"scaling.redis":             {env: "BROADCASTD_SCALING_REDIS=redis://:" + secret + "@h:x"},
		"auth.endpoint with a user": {env: "BROADCASTD_AUTH_ENDPOINT=https://u:" + secret + "@h/"},
		"auth.endpoint":             {env: "BROADCASTD_AUTH_ENDPOINT=https://u:" + secret + "@h:x/"},
		"auth.user_endpoint":        {env: "BROADCASTD_AUTH_USER_ENDPOINT=https://u:" + secret + "@h/"},
		"variable called otherwise": {env: "BROADCASTD_APP_SECRETS=" + secret},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"BROADCASTD_ADMIN_LISTEN=127.0.0.1:0", "BROADCASTD_HOST=127.0.0.1", "BROADCASTD_PORT=0"}
			args := []string{"start"}
			if c.file == "" {
				env = append(env, "BROADCASTD_APP_ID=a", "BROADCASTD_APP_KEY=b", "BROADCASTD_APP_SECRET="+secret, c.env)
			} else {
				file := filepath.Join(t.TempDir(), "config.yaml")
				if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--config="+file)
			}
			cmd := command(t, env, args...)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 1 || len(out) == 0 {
				t.Errorf("exit code %d, want 1 and an error", cmd.ProcessState.ExitCode())
			}
			if found := leaks(string(out)); found != nil {
				t.Errorf("%q in\n%s", found, out)
			}
		})
	}
}

// TestNoSecretIsAFlag: whoever may run ps would read it.
func TestNoSecretIsAFlag(t *testing.T) {
	flags := 0
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, flag := range regexp.MustCompile(`--\S+`).FindAllString(cmd.Flags().FlagUsages(), -1) {
			flags++
			if regexp.MustCompile(`(?i)secret|token|password|credential|cookie|url`).MatchString(flag) {
				t.Errorf("%s has a flag %s", cmd.CommandPath(), flag)
			}
		}
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look(newRoot(nil))
	if flags == 0 {
		t.Error("there are no flags at all")
	}
}

// TestLeaks: what looks for secrets finds them.
func TestLeaks(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("user:" + hush("A")))
	for _, text := range []string{"a " + hush("A") + " b", `{"auth":"app-key:` + hush("A") + `"}`, "Basic " + basic, "x" + basic} {
		if leaks(text) == nil {
			t.Errorf("nothing was found in %s", text)
		}
	}
	if found := leaks("Basic " + base64.StdEncoding.EncodeToString([]byte("user:password"))); found != nil {
		t.Errorf("found %q", found)
	}
}
