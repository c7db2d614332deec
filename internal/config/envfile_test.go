package config

import (
	"maps"
	"strings"
	"testing"
)

func TestParseEnvFile(t *testing.T) {
	process := map[string]string{"OUTER": "o", "A": "process"}
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"nothing":               {"", nil},
		"comments":              {"# A=b\n\n \t# c\n", nil},
		"plain":                 {"B=b", map[string]string{"B": "b"}},
		"empty":                 {"B=\nC=\"\"\nD=''\n", map[string]string{"B": "", "C": "", "D": ""}},
		"spaces around":         {" B = b \t\nC=\t\"c \" \n", map[string]string{"B": "b", "C": "c "}},
		"line ends":             {"\ufeffB=b\r\nC=c\rD=d", map[string]string{"B": "b", "C": "c", "D": "d"}},
		"last wins":             {"B=b\nB=c\n", map[string]string{"B": "c"}},
		"name alone":            {"B=b\nB\nC\n", nil},
		"export":                {"export B=b\nexport\tC=c\n", map[string]string{"B": "b", "C": "c"}},
		"quoted names":          {"\"B\"=b\n'C.1'=c\n", map[string]string{"B": "b", "C.1": "c"}},
		"equals":                {"B=base64:ab==\n", map[string]string{"B": "base64:ab=="}},
		"comments after":        {"B=b # c\nC=c#d\nD=#d\nE=\"e#\"#f\nF='f # g' # h\n", map[string]string{"B": "b", "C": "c", "D": "", "E": "e#", "F": "f # g"}},
		"quotes inside":         {`B=b"c'd` + "\nC='\"'\nD=\"'\"\n", map[string]string{"B": `b"c'd`, "C": `"`, "D": "'"}},
		"escapes":               {`B="\"\\\$\n\t\r\f\vx"` + "\nC='\\n\\'\nD=\\n\n", map[string]string{"B": "\"\\$\n\t\r\f\vx", "C": `\n\`, "D": `\n`}},
		"several lines":         {"B=\"one\n# two\nthree=3\" # end\nC=c\n", map[string]string{"B": "one\n# two\nthree=3", "C": "c"}},
		"references":            {"B=b\nC=${B}x${OUTER}\nD=\"<${B}>\"\nE='${B}'\n", map[string]string{"B": "b", "C": "bxo", "D": "<b>", "E": "${B}"}},
		"process wins inside":   {"A=file\nB=${A}\n", map[string]string{"A": "file", "B": "process"}},
		"unknown references":    {"B=${LATER}\nLATER=x\n", map[string]string{"B": "${LATER}", "LATER": "x"}},
		"no references":         {`B=$A` + "\n" + `C="\${A}"` + "\nD=${A\nE=$(A)\nF=${}\n", map[string]string{"B": "$A", "C": "${A}", "D": "${A", "E": "$(A)", "F": "${}"}},
		"names of many letters": {"größe_2.x=b\n", map[string]string{"größe_2.x": "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, line, err := parseEnvFile(c.text, process)
			if err != nil {
				t.Fatalf("line %d: %v", line, err)
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBadEnvFiles(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int
		want string
	}{
		"space in value": {"A=a\nB=" + secret + " c\n", 2, "B: text after the value"},
		"after a quote":  {"B=\"b\"" + secret + "\n", 1, "B: text after the value"},
		"double quote":   {"\n\nB=\"" + secret + "\n\n", 3, "B: a double quote is not closed"},
		"single quote":   {"B='" + secret + "\n'\n", 1, "B: a single quote is not closed in its line"},
		"escape":         {`B="` + secret + `\x"`, 1, "B: a backslash in double quotes"},
		"escape at end":  {`B="\`, 1, "B: a backslash in double quotes"},
		"no name":        {"=" + secret + "\n", 1, "expected NAME=value"},
		"bad name":       {"B-C=" + secret + "\n", 1, "expected NAME=value"},
		"two names":      {"B C=" + secret + "\n", 1, "expected NAME=value"},
		"no variable":    {"-----" + secret + "-----\n", 1, "expected NAME=value"},
		"lines before":   {"A=\"1\n2\"\n\r\n-\n", 4, "expected NAME=value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, line, err := parseEnvFile(c.text, nil)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || line != c.line {
				t.Errorf("got line %d: %v, want line %d: %s", line, err, c.line, c.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("a secret is in the error")
			}
		})
	}
}
