package protocol

import "testing"

func TestNegotiateDeflate(t *testing.T) {
	const (
		both   = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		window = both + "; server_max_window_bits=15"
	)
	for name, c := range map[string]struct {
		offers []string
		want   string // empty: declined
	}{
		"no header":                       {nil, ""},
		"an empty one":                    {[]string{""}, ""},
		"plain":                           {[]string{"permessage-deflate"}, both},
		"browsers":                        {[]string{"permessage-deflate; client_max_window_bits"}, both},
		"without takeover":                {[]string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, both},
		"without spaces":                  {[]string{"permessage-deflate;client_no_context_takeover;client_max_window_bits=10"}, both},
		"many spaces":                     {[]string{" permessage-deflate ;\tclient_max_window_bits = 10 "}, both},
		"client's window":                 {[]string{"permessage-deflate; client_max_window_bits=8"}, both},
		"client's window, quoted":         {[]string{`permessage-deflate; client_max_window_bits="15"`}, both},
		"server's full window":            {[]string{"permessage-deflate; server_max_window_bits=15"}, window},
		"server's full window, quoted":    {[]string{`permessage-deflate; server_max_window_bits="15"; client_max_window_bits`}, window},
		"server's smaller window":         {[]string{"permessage-deflate; server_max_window_bits=10"}, ""},
		"smaller, else any":               {[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, both},
		"smaller, else any, two headers":  {[]string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate"}, both},
		"the first that can be honoured":  {[]string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, both},
		"other extensions":                {[]string{"x-webkit-deflate-frame, permessage-bzip2; level=9, permessage-deflate"}, both},
		"other extensions only":           {[]string{"x-webkit-deflate-frame", "permessage-bzip2"}, ""},
		"within quotes":                   {[]string{`x-other; a="b, permessage-deflate, c"`}, ""},
		"within quotes, escaped":          {[]string{`x-other; a="\", permessage-deflate, c"`}, ""},
		"behind quotes":                   {[]string{`x-other; a="b, \"c", permessage-deflate`}, both},
		"empty items":                     {[]string{", ,permessage-deflate,"}, both},
		"another name":                    {[]string{"permessage-deflates"}, ""},
		"unknown parameter":               {[]string{"permessage-deflate; max_window_bits=15"}, ""},
		"empty parameter":                 {[]string{"permessage-deflate; "}, ""},
		"twice the same":                  {[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, ""},
		"twice without takeover":          {[]string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, ""},
		"server's takeover with a value":  {[]string{"permessage-deflate; server_no_context_takeover=true"}, ""},
		"client's takeover with a value":  {[]string{"permessage-deflate; client_no_context_takeover="}, ""},
		"server's window without a value": {[]string{"permessage-deflate; server_max_window_bits"}, ""},
		"client's window, empty value":    {[]string{"permessage-deflate; client_max_window_bits="}, ""},
		"client's window too small":       {[]string{"permessage-deflate; client_max_window_bits=7"}, ""},
		"client's window too large":       {[]string{"permessage-deflate; client_max_window_bits=16"}, ""},
		"server's window too large":       {[]string{"permessage-deflate; server_max_window_bits=16"}, ""},
		"leading zero":                    {[]string{"permessage-deflate; client_max_window_bits=08"}, ""},
		"not a number":                    {[]string{"permessage-deflate; client_max_window_bits=ten"}, ""},
		"open quotes":                     {[]string{`permessage-deflate; client_max_window_bits="10`}, ""},
	} {
		got, ok := NegotiateDeflate(c.offers)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q answered with %q, %v; want %q", name, c.offers, got, ok, c.want)
		}
	}
}

func FuzzNegotiateDeflate(f *testing.F) {
	f.Add(`permessage-deflate; client_max_window_bits="10", x; a="\",b"`)
	f.Add(`permessage-deflate; server_max_window_bits=15`)
	f.Fuzz(func(t *testing.T, header string) {
		answer, ok := NegotiateDeflate([]string{header})
		if ok != (answer != "") {
			t.Errorf("answer %q, %v", answer, ok)
		}
		// A client would be right to offer what it gets as an answer.
		if again, _ := NegotiateDeflate([]string{answer}); again != answer {
			t.Errorf("answer %q is itself answered with %q", answer, again)
		}
	})
}
