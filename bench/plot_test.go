package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlot(t *testing.T) {
	p := plot{Title: "cost & more", X: "subscribers", Y: "µs", Series: []series{
		{"ours", []point{{10, 9.3}, {100, 4}, {1000, 3}}},
		{"floor", []point{{10, 5}, {100, 3.2}, {1000, 2.9}}},
	}}
	file := filepath.Join(t.TempDir(), "plot.svg")
	if err := writePlot(file, p); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	var texts []string
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			seen[e.Name.Local]++
		case xml.CharData:
			texts = append(texts, string(e))
		}
	}
	if seen["polyline"] != 2 || seen["circle"] != 6 {
		t.Errorf("elements are %v, want 2 lines and 6 points", seen)
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{"cost & more", "subscribers", "ours", "floor", "\n10\n", "\n1,000\n", "prefers-color-scheme: dark"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestScales(t *testing.T) {
	p := plot{Series: []series{{"", []point{{10, 9}, {1000, 18}}}}}
	x, y := p.scales()
	for name, test := range map[string]struct{ got, want float64 }{
		"left":   {x.at(10), leftEdge},
		"middle": {x.at(100), (leftEdge + rightEdge) / 2},
		"right":  {x.at(1000), rightEdge},
		"nought": {y.at(0), base},
		"top":    {y.at(20), topEdge},
	} {
		if math.Abs(test.got-test.want) > 1e-9 {
			t.Errorf("%s is at %g, want %g", name, test.got, test.want)
		}
	}
}

func TestRoundStep(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.03: 0.05, 1: 1, 1.1: 2, 2.4: 5, 6: 10, 25: 50} {
		if got := roundStep(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("step of %g is %g, want %g", v, got, want)
		}
	}
}
