package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"strings"
)

// plot is a chart of lines over an axis that counts in powers of ten.
type plot struct {
	Title, X, Y string
	Series      []series
}

// series is one line, its points from left to right.
type series struct {
	Name   string
	Points []point
}

type point struct{ X, Y float64 }

func (s *series) add(x, y float64) { s.Points = append(s.Points, point{x, y}) }

// The picture's size and its margins, in SVG's units.
const (
	plotWidth, plotHeight              = 640.0, 360.0
	leftEdge, rightEdge, topEdge, base = 60.0, 610.0, 70.0, 300.0
)

// plotStyle serves light and dark pages: browsers tell a picture which one it
// is on. The colours differ in brightness also, and one line is dashed.
const plotStyle = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.grid { stroke: #d1d9e0 }
.line { fill: none; stroke: currentColor; stroke-width: 2.5 }
.line.s1 { stroke-dasharray: 7 4 }
circle { fill: currentColor }
.s0 { color: #0969da }
.s1 { color: #bc4c00 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.grid { stroke: #3d444d }
.s0 { color: #58a6ff }
.s1 { color: #f0883e }
}`

func writePlot(file string, p plot) error {
	if err := os.WriteFile(file, []byte(p.svg()), 0o644); err != nil {
		return fmt.Errorf("writing the plot: %w", err)
	}
	return nil
}

func (p plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n<style>%s\n</style>\n",
		plotWidth, plotHeight, html.EscapeString(p.Title), plotStyle)
	text(&b, leftEdge, 24, "start", ` class="title"`, p.Title)
	text(&b, (leftEdge+rightEdge)/2, plotHeight-16, "middle", "", p.X)
	text(&b, leftEdge-8, topEdge-14, "end", "", p.Y)
	x, y := p.scales()
	x.grid(&b, true)
	y.grid(&b, false)
	for i, s := range p.Series {
		s.draw(&b, i, x, y)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func text(b *strings.Builder, x, y float64, anchor, class, content string) {
	fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, class, html.EscapeString(content))
}

// draw adds a line with its points, and its entry in the legend.
func (s series) draw(b *strings.Builder, i int, x, y scale) {
	left := leftEdge + float64(i)*160
	fmt.Fprintf(b, `<path class="line s%d" d="M%g 43h32"/>`+"\n", i, left)
	text(b, left+40, 47, "start", "", s.Name)
	var path []string
	for _, p := range s.Points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
	}
	fmt.Fprintf(b, `<polyline class="line s%d" points="%s"/>`+"\n", i, strings.Join(path, " "))
	for _, p := range s.Points {
		fmt.Fprintf(b, `<circle class="s%d" cx="%.1f" cy="%.1f" r="3.5"><title>%s, %s: %s</title></circle>`+"\n",
			i, x.at(p.X), y.at(p.Y), html.EscapeString(s.Name), quantity(p.X, ""), quantity(p.Y, ""))
	}
}

// scale turns values into places on the picture.
type scale struct {
	at    func(v float64) float64
	ticks []float64
}

func (p plot) scales() (x, y scale) {
	low, high, top := math.Inf(1), math.Inf(-1), 0.0
	for _, s := range p.Series {
		for _, p := range s.Points {
			low, high, top = min(low, p.X), max(high, p.X), max(top, p.Y)
		}
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high)-0.01)
	to = max(to, from+1)
	x.at = func(v float64) float64 { return leftEdge + (math.Log10(v)-from)/(to-from)*(rightEdge-leftEdge) }
	for e := from; e <= to; e++ {
		x.ticks = append(x.ticks, math.Pow(10, e))
	}
	step := roundStep(top / 4)
	top = step * math.Ceil(top/step)
	y.at = func(v float64) float64 { return base - v/top*(base-topEdge) }
	for i := 0.0; i*step <= top; i++ {
		y.ticks = append(y.ticks, i*step)
	}
	return x, y
}

// roundStep is the next of 1, 2, 5, 10 ... (or their tenths ...) from v up.
func roundStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if v <= n*power {
			return n * power
		}
	}
	return 10 * power
}

// grid adds lines at the ticks, and their values.
func (s scale) grid(b *strings.Builder, horizontal bool) {
	for _, v := range s.ticks {
		at := s.at(v)
		if horizontal {
			fmt.Fprintf(b, `<path class="grid" d="M%.1f %gV%g"/>`+"\n", at, topEdge, base)
			text(b, at, base+20, "middle", "", quantity(v, ""))
		} else {
			fmt.Fprintf(b, `<path class="grid" d="M%g %.1fH%g"/>`+"\n", leftEdge, at, rightEdge)
			text(b, leftEdge-8, at+4, "end", "", quantity(v, ""))
		}
	}
}
