package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// derivePrefix sets the prefixes that Laravel makes of APP_NAME, unless one is
// configured.
func (l *loader) derivePrefix(vars map[string]variable, envFile string) {
	r := &l.cfg.Redis
	if _, ok := vars["REDIS_PREFIX"]; ok || r.Sources != nil || !slices.Equal(r.Prefix, Default().Redis.Prefix) {
		return
	}
	name := variable{text: "laravel", origin: fmt.Sprintf("env-file %s: no APP_NAME", envFile)}
	if v, ok := vars["APP_NAME"]; ok {
		name = v
	}
	prefixes, err := laravelPrefixes(name.text)
	switch {
	case err == nil:
		r.Prefix = prefixes
		l.from["redis.prefix"] = name.origin
	case r.URL != "":
		l.fail(name.origin, "%w", err)
	}
}

// laravelPrefixes are the default prefixes of Laravel from 12.1 on, and of
// older ones (config/database.php, redis.options.prefix).
func laravelPrefixes(appName string) ([]string, error) {
	text, err := ascii(appName)
	if err != nil {
		return nil, err
	}
	return []string{slug(text, '-') + "-database-", slug(text, '_') + "_database_"}, nil
}

// slug is Laravel's Str::slug on lower-case ASCII: runs of separators and
// white space become one separator, the other of - and _ counts as one, @ is
// the word "at", and everything but letters and digits goes.
func slug(text string, separator byte) string {
	text = strings.ReplaceAll(text, "@", string([]byte{separator, 'a', 't', separator}))
	var b []byte
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			b = append(b, c)
		case strings.IndexByte("-_ \t\n\v\f\r", c) >= 0 && len(b) > 0 && b[len(b)-1] != separator:
			b = append(b, separator)
		}
	}
	return strings.TrimSuffix(string(b), string(separator))
}

// ascii transliterates to lower-case ASCII as Laravel's Str::ascii does: Latin
// letters with accents, and Cyrillic ones after the library that Laravel uses,
// voku/portable-ascii ("en"). Emojis and punctuation go. Letters,
// digits and currency signs beyond that are an error, since a wrong prefix
// would let every event be missed.
func ascii(s string) (string, error) {
	var b strings.Builder
	for _, r := range s {
		if r < 0x500 {
			r = unicode.ToLower(r)
		}
		text, known := transliterations[r]
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case known:
			b.WriteString(text)
		case unicode.IsSpace(r) || r == '\u200b':
			b.WriteByte(' ')
		case unicode.In(r, unicode.L, unicode.N, unicode.Sc, unicode.Mc) || unicode.Is(unicode.Mn, r) && !isDecoration(r):
			return "", fmt.Errorf("cannot tell which Redis prefix Laravel makes of a name with %q in it; set REDIS_PREFIX or redis.prefix "+
				"to what `php artisan tinker --execute 'echo config(\"database.redis.options.prefix\")'` prints", r)
		}
	}
	return b.String(), nil
}

// isDecoration tells the marks without a sound of their own: accents that
// follow their letter, and the style of an emoji.
func isDecoration(r rune) bool { return 0x300 <= r && r <= 0x36f || 0xfe00 <= r && r <= 0xfe0f }

// transliterations are the ASCII forms of lower-case letters.
var transliterations = func() map[rune]string {
	m := map[rune]string{}
	for _, t := range []struct{ ascii, letters string }{
		{"a", "àáâãäåāăąа"}, {"ae", "æ"}, {"b", "б"}, {"c", "çćĉċčцчћ"}, {"d", "ðďđд"},
		{"dj", "ђ"}, {"dz", "ѕџ"}, {"e", "èéêëēĕėęěеэё"}, {"f", "ф"}, {"g", "ĝğġģгґ"},
		{"gj", "ѓ"}, {"h", "ĥħ"}, {"i", "ìíîïĩīĭįıийі"}, {"ia", "я"}, {"ie", "ъ"}, {"ij", "ĳ"},
		{"iu", "ю"}, {"j", "ĵј"}, {"je", "є"}, {"k", "ķĸк"}, {"kj", "ќ"}, {"l", "ĺļľŀłл"},
		{"lj", "љ"}, {"m", "м"}, {"n", "ñńņňŉŋн"}, {"nj", "њ"}, {"o", "òóôõöøōŏőо"}, {"oe", "œ"},
		{"p", "п"}, {"r", "ŕŗřр"}, {"s", "śŝşšſșсш"}, {"shh", "щ"}, {"ss", "ß"}, {"t", "ţťŧțт"},
		{"th", "þ"}, {"u", "ùúûüũūŭůűųу"}, {"v", "в"}, {"w", "ŵ"}, {"x", "х"}, {"y", "ýÿŷы"},
		{"yi", "ї"}, {"z", "źżžжз"}, {"", "ьў"}, {"-", "–—"},
	} {
		for _, r := range t.letters {
			m[r] = t.ascii
		}
	}
	return m
}()
