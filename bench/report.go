package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// report is all that a run tells.
type report struct {
	Machine machine  `json:"machine"`
	Figures []figure `json:"figures"`
}

// unmet counts the figures that are not as demanded.
func (r report) unmet() (n int) {
	for _, f := range r.Figures {
		if !f.Met {
			n++
		}
	}
	return n
}

func (r report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (r report) writeTable(w io.Writer) error {
	var text strings.Builder // takes everything
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "scenario\tmeasured\tours\tdemanded\t")
	last := ""
	for _, f := range r.Figures {
		scenario, wanted, verdict := f.Scenario, "", ""
		if scenario == last {
			scenario = ""
		}
		last = f.Scenario
		if f.Demand != nil {
			wanted = string(f.Demand.Relation) + " " + quantity(f.Demand.Limit, f.Unit)
			if verdict = "met"; !f.Met {
				verdict = "NOT met"
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", scenario, f.Name, quantity(f.Value, f.Unit), wanted, verdict)
	}
	_ = t.Flush() // as above
	if _, err := fmt.Fprintf(w, "%s\n\n", r.Machine); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// quantity writes a value with three digits that count, or all of an integer.
func quantity(v float64, unit string) string {
	decimals := 0
	if v != math.Trunc(v) {
		switch size := math.Abs(v); {
		case size < 10:
			decimals = 2
		case size < 100:
			decimals = 1
		}
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	for i := strings.IndexByte(text+".", '.') - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return strings.TrimRight(text+" "+unit, " ")
}

// count writes a number of things.
func count(n int) string { return quantity(float64(n), "") }
