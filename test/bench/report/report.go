// Package report shows what was measured: a table with targets, plots of distributions, and the
// machine. It knows Markdown, SVG and the log files of HdrHistogram; it must not know what the
// figures mean nor how they were measured.
package report

import (
	"fmt"
	"math"
	"strings"
)

// Row is one line of the table.
type Row struct {
	Name   string  // what was measured
	Value  float64 // in Unit
	Unit   string  // "", %, s, ms, kB, points, ×
	More   string  // the rounds, percentiles, or how it was measured
	Load   float64 // processors that the load took meanwhile; below 0: it was not measured
	Target *Target // nil: there is none
	// Skipped says why there is no Value; "": there is one.
	Skipped string
}

// Target is what a value should be.
type Target struct {
	Bound   float64
	AtLeast bool   // else at most
	Before  string // what was measured when the target was set
}

// Met says whether a value keeps the target.
func (t Target) Met(v float64) bool {
	if t.AtLeast {
		return v >= t.Bound
	}
	return v <= t.Bound
}

// Verdict is a word about the target.
func (r Row) Verdict() string {
	switch {
	case r.Skipped != "":
		return "not measured"
	case r.Target == nil:
		return "–"
	case math.IsNaN(r.Value) || math.IsInf(r.Value, 0):
		return "**missed**: no figure"
	case r.Target.Met(r.Value):
		return "kept"
	default:
		return "**missed**"
	}
}

// show writes a figure with three digits.
func show(v float64, unit string) string {
	digits := 2
	switch a := math.Abs(v); {
	case a >= 100:
		digits = 0
	case a >= 10:
		digits = 1
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, v, unit))
}

// Value is the figure as the table has it.
func (r Row) value() string {
	if r.Skipped != "" {
		return "–"
	}
	return show(r.Value, r.Unit)
}

func (r Row) target() string {
	if r.Target == nil {
		return "–"
	}
	sign := "≤"
	if r.Target.AtLeast {
		sign = "≥"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %g %s", sign, r.Target.Bound, r.Unit))
}

func (r Row) before() string {
	if r.Target == nil || r.Target.Before == "" {
		return "–"
	}
	return r.Target.Before
}

func (r Row) load() string {
	if r.Skipped != "" || r.Load < 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*r.Load)
}

func (r Row) more() string {
	if r.Skipped != "" {
		return "not measured: " + r.Skipped
	}
	return r.More
}

// Table is the rows in Markdown. judged is false where the sizes are too small for the targets.
func Table(rows []Row, judged bool) string {
	var b strings.Builder
	b.WriteString("| measure | at 48bd2db | target | measured | | load, of a core | in it |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		verdict := r.Verdict()
		if !judged && r.Skipped == "" {
			verdict = "not judged"
		}
		cells := []string{r.Name, r.before(), r.target(), r.value(), verdict, r.load(), r.more()}
		for i := range cells {
			cells[i] = strings.NewReplacer("|", "/", "\n", " ").Replace(cells[i])
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

// Line is a row for a terminal; judged is as for Table.
func Line(r Row, judged bool) string {
	out := r.Name + ": " + r.value()
	if r.Target != nil && judged {
		out += " (" + r.target() + ": " + r.Verdict() + ")"
	}
	return out + "; " + r.more()
}
