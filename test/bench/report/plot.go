package report

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// Series is one line of a plot: the time at each percentile.
type Series struct {
	Name string
	At   func(percentile float64) time.Duration
	N    int
}

// The plot, in pixels.
const (
	plotWidth, plotHeight = 720, 420
	plotLeft, plotTop     = 70, 40
	plotRight, plotBottom = 20, 110
)

// percentiles are the marks below the plot: each is a tenth of what is beyond the one before.
var percentiles = []float64{0, 90, 99, 99.9, 99.99}

// colours can be told apart by most people who do not see all of them.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// Plot draws times by percentile, both on logarithmic scales, as SVG. A series is drawn as far as
// it has values: a thousand of them have no 99.99th percentile.
func Plot(title string, series []Series) string {
	lowest, highest := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		lowest = min(lowest, milliseconds(s.At(0.1)))
		highest = max(highest, milliseconds(s.At(100)))
	}
	if len(series) == 0 {
		lowest, highest = 1, 10
	}
	low, high := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	if high <= low {
		high = low + 1
	}
	y := func(ms float64) float64 {
		return plotTop + (high-math.Log10(ms))/(high-low)*(plotHeight-plotTop-plotBottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight, plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<text x="%d" y="22" font-size="15">%s</text>`+"\n", plotLeft, html.EscapeString(title))
	for exp := low; exp <= high; exp++ {
		line(&b, plotLeft, y(math.Pow(10, exp)), plotWidth-plotRight, y(math.Pow(10, exp)))
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-6, y(math.Pow(10, exp))+4, duration(math.Pow(10, exp)))
	}
	for _, p := range percentiles {
		line(&b, x(p), plotTop, x(p), plotHeight-plotBottom)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%v %%</text>`+"\n", x(p), plotHeight-plotBottom+18, p)
	}
	for i, s := range series {
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colour, points(s, y))
		left, top := plotLeft+(i%2)*320, plotHeight-plotBottom+42+(i/2)*20
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="14" height="4" fill="%s"/><text x="%d" y="%d">%s (%d)</text>`+"\n", left, top-6, colour, left+20, top, html.EscapeString(s.Name), s.N)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func line(b *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", x1, y1, x2, y2)
}

// x is where a percentile stands.
func x(p float64) float64 {
	const decades = 4.3 // a little beyond the last mark
	d := min(-math.Log10(max(1-p/100, 1e-9)), decades)
	return plotLeft + d/decades*(plotWidth-plotLeft-plotRight)
}

// points are those of a line.
func points(s Series, y func(ms float64) float64) string {
	var out []string
	for d := 0.0; d <= 4.3; d += 0.05 {
		beyond := math.Pow(10, -d)
		if beyond*float64(s.N) < 1 {
			break
		}
		p := 100 * (1 - beyond)
		out = append(out, fmt.Sprintf("%.1f,%.1f", x(p), y(milliseconds(s.At(p)))))
	}
	return strings.Join(out, " ")
}

// milliseconds is at least a microsecond, for a logarithm needs something.
func milliseconds(d time.Duration) float64 {
	return float64(max(d, time.Microsecond)) / float64(time.Millisecond)
}

func duration(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Microsecond).String()
}
