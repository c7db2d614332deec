package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// parse sets a field from text: of a YAML scalar, a variable or a flag. Its
// errors quote the text; secrets are strings, and any text is a string.
func parse(field reflect.Value, kind, text string) error {
	switch p := field.Addr().Interface().(type) {
	case *string:
		*p = text
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s is neither true nor false", quote(text))
		}
		*p = v
	case *int:
		v, err := parseInt(kind, text)
		if err != nil {
			return err
		}
		*p = v
	case *time.Duration:
		v, err := parseDuration(text)
		if err != nil {
			return err
		}
		*p = v
	case *[]string:
		*p = splitList(kind, text)
	default:
		panic("config: no parser for " + field.Type().String())
	}
	return nil
}

func parseInt(kind, text string) (int, error) {
	if kind == "size" {
		return parseSize(text)
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not an integer", quote(text))
	}
	return v, nil
}

// parseDuration reads Go's form, such as "1m30s", or whole seconds.
func parseDuration(text string) (time.Duration, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > -maxSeconds && n < maxSeconds {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration such as 60s, 2m or 60, which are seconds", quote(text))
	}
	return d, nil
}

const maxSeconds = math.MaxInt64 / int64(time.Second)

// units are those of sizes, longer names before those that end them.
var units = []struct {
	name  string
	bytes int
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

// parseSize reads bytes, such as 10000, "100KiB" or "10 kB".
func parseSize(text string) (int, error) {
	number, unit := text, 1
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n > math.MaxInt/unit || n < math.MinInt/unit {
		return 0, fmt.Errorf("%s is not a size such as 10000, 100KiB or 1MiB", quote(text))
	}
	return n * unit, nil
}

// splitList reads items between commas. An empty one only counts in a list of
// prefixes, where it is the prefix of everything.
func splitList(kind, text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item != "" || kind == "prefix" {
			items = append(items, item)
		}
	}
	return items
}

// quote is text for an error, cut to a readable length.
func quote(text string) string {
	if len(text) > 40 {
		text = text[:40] + "..."
	}
	return strconv.Quote(text)
}
