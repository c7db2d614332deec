package protocol

import (
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	for name, want := range map[string]string{
		"jobs.discovery":                "public",
		"private":                       "public",
		"private-job.42":                "private",
		"private-encrypted-job.42":      "private_encrypted",
		"private-encrypted-cache-job.4": "private_encrypted_cache",
		"private-cache-job.42":          "private_cache",
		"presence-room.5":               "presence",
		"presence-cache-room.5":         "presence_cache",
		"cache-prices":                  "cache",
		"#server-to-user-7":             "user",
		"Private-job.42":                "public",
	} {
		kind := KindOf(name)
		if got := kind.String(); got != want {
			t.Errorf("KindOf(%q) = %s, want %s", name, got, want)
		}
		if got, want := kind.NeedsAuth(), strings.HasPrefix(want, "pr") || want == "user"; got != want {
			t.Errorf("NeedsAuth of %q = %v, want %v", name, got, want)
		}
		if got, want := kind.IsPresence(), strings.HasPrefix(want, "presence"); got != want {
			t.Errorf("IsPresence of %q = %v, want %v", name, got, want)
		}
		if got, want := kind.IsCache(), strings.HasSuffix(want, "cache"); got != want {
			t.Errorf("IsCache of %q = %v, want %v", name, got, want)
		}
		if got, want := kind.IsEncrypted(), strings.Contains(want, "encrypted"); got != want {
			t.Errorf("IsEncrypted of %q = %v, want %v", name, got, want)
		}
	}
	if n := len(Kinds()); n != 9 {
		t.Errorf("Kinds lists %d kinds, want 9", n)
	}
}

func TestCheckChannel(t *testing.T) {
	for name, ok := range map[string]bool{
		"jobs.discovery":                   true,
		"private-user.9d3f0c1e-7a55=,;@_A": true,
		"#server-to-user-7":                true,
		strings.Repeat("a", 200):           true,
		"":                                 false,
		strings.Repeat("a", 201):           false,
		"#server-to-user-":                 false,
		"#jobs":                            false,
		"jobs#":                            false,
		"jobs discovery":                   false,
		"jobs:é":                           false,
		"a/b":                              false,
		"a\x00":                            false,
	} {
		if err := CheckChannel(name); (err == nil) != ok {
			t.Errorf("CheckChannel(%q) = %v, want ok %v", name, err, ok)
		}
	}
}

func TestSocketID(t *testing.T) {
	for text, want := range map[string]struct{ known, ok bool }{
		"1.1":                    {true, true},
		"123456.789012":          {true, true},
		"1000000000.1000000000":  {true, true},
		"4294967296.1":           {false, true}, // well formed, but not ours
		"99999999999999999999.1": {false, true},
		"01.1":                   {false, true},
		"":                       {false, false},
		"undefined":              {false, false},
		"1":                      {false, false},
		"1.":                     {false, false},
		".1":                     {false, false},
		"1.1.1":                  {false, false},
		"-1.1":                   {false, false},
		"1.1\n":                  {false, false},
	} {
		id, ok := ParseSocketID(text)
		if ok != want.ok || (id != 0) != want.known {
			t.Errorf("ParseSocketID(%q) = %d, %v; want known %v, ok %v", text, id, ok, want.known, want.ok)
		}
		if id != 0 && id.String() != text {
			t.Errorf("ParseSocketID(%q).String() = %q", text, id)
		}
	}
	for _, random := range []uint64{0, 1, 1<<64 - 1, 0xdeadbeefcafebabe} {
		id := NewSocketID(random)
		if back, ok := ParseSocketID(id.String()); !ok || back != id || id == 0 {
			t.Errorf("NewSocketID(%#x) = %s, which reads back as %s, %v", random, id, back, ok)
		}
	}
}
