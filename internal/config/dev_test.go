package config

import "testing"

func TestDev(t *testing.T) {
	for name, c := range map[string]struct {
		o                            Options
		host, hostFrom, key, keyFrom string
	}{
		"nothing":       {Options{}, "127.0.0.1", "--dev", "app-key", "--dev"},
		"shipped file":  {Options{File: shipped}, "127.0.0.1", "--dev", "app-key", "--dev"},
		"loopback":      {Options{Flags: map[string]string{"host": "::1"}}, "::1", "flag --host", "app-key", "--dev"},
		"loopback name": {Options{Env: []string{"REVERB_SERVER_HOST=localhost"}}, "localhost", "env REVERB_SERVER_HOST", "app-key", "--dev"},
		"an app":        {Options{Env: withApp}, "127.0.0.1", "--dev", "key", "env BROADCASTD_APP_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Dev = true
			l := mustLoad(t, c.o)
			if l.Config.Host != c.host || l.From["host"] != c.hostFrom {
				t.Errorf("host %q from %q, want %q from %q", l.Config.Host, l.From["host"], c.host, c.hostFrom)
			}
			if l.Config.App.Key != c.key || l.From["app.key"] != c.keyFrom {
				t.Errorf("app.key %q from %q, want %q from %q", l.Config.App.Key, l.From["app.key"], c.key, c.keyFrom)
			}
		})
	}
}

func TestDevKeepsListedApps(t *testing.T) {
	l := mustLoad(t, Options{Dev: true, Env: []string{"BROADCASTD_APPS=[{id: a, key: b, secret: " + secret + "}]"}})
	if all := l.Config.AllApps(); len(all) != 1 || all[0].ID != "a" {
		t.Errorf("got %+v, want the listed app only", all)
	}
}

func TestDevRefusesOtherHosts(t *testing.T) {
	for name, o := range map[string]Options{
		"flag --host":            {Flags: map[string]string{"host": "0.0.0.0"}},
		"env BROADCASTD_HOST":    {Env: []string{"BROADCASTD_HOST=0.0.0.0"}},
		"env REVERB_SERVER_HOST": {Env: []string{"REVERB_SERVER_HOST=0.0.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dev = true
			_, err := Load(o)
			wantError(t, err, name+`: host: "0.0.0.0" is not a loopback address, and --dev listens on this machine only; leave out one of them`)
		})
	}
}
