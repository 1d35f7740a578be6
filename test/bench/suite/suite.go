// Package suite measures a mepserver beside what it could be at best: a bare net/http server, etcd
// alone, and service-center's own heartbeats, in the same run. It knows the binary, Mp1 and the
// targets of each measure; it must not know anything of the program's inside. Its figures are
// printed and written down, and never fail a test, for machines differ.
//
// Measures are listed in [stages]: each stage runs servers that its measures share. A new measure
// is a line there and a function.
package suite

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/bench/report"
)

// Config says what is measured, and where that goes.
type Config struct {
	Out  io.Writer
	Self string // a program that serves 204 over plain HTTP and TLS when its arguments are bare, and the files of a certificate and its key
	// Certificate makes a certificate for loopback in a folder, and who trusts it.
	Certificate func(dir string) (certFile, keyFile string, pool *x509.CertPool, err error)
	Command     string // as it was typed, for the report
	Seed        uint64
	Quick       bool          // sizes so small that the figures say nothing, to see that all of it works
	Million     bool          // also the measures that are run only when asked
	Scale       float64       // numbers of services, of those that the targets are for; 0: all of them
	Most        time.Duration // of the whole run: what comes later is not measured; 0: an hour
	Only        []string      // names of stages or measures; none: all of them
	Profile     string        // a folder for processor profiles of the server, one for each measure; "": none
	Files       string        // a folder for the plots and the distributions; "": they are not kept

	Base      string            // the root of a server to measure in place of our own; "": our own
	Transport http.RoundTripper // to Base, with whatever proves who asks
	App       string            // the application that registers services at Base
}

// figure is one measured value, for the row of the measure at the same place.
type figure struct {
	value   float64
	more    string
	load    float64 // processors that the load took; below 0: not measured
	skipped string
}

// skip is a figure that could not be measured.
func skip(format string, args ...any) figure {
	return figure{load: -1, skipped: fmt.Sprintf(format, args...)}
}

// measure is one line, or several, of the table.
type measure struct {
	name  string
	asked bool // it is run only when Config.Million or its name asks for it
	rows  []report.Row
	run   func(ctx context.Context, l *lab, s *site) ([]figure, error)
}

// stage is measures that share their servers.
type stage struct {
	name     string
	open     func(ctx context.Context, l *lab) (*site, error)
	measures []measure
}

// lab is one run.
type lab struct {
	Config
	size   sizes
	rnd    *rand.Rand
	dir    string // of everything that goes with the run
	binary string // mepserver's; "": Base is measured
	began  time.Time
	where  string // the stage and the measure that runs
	plots  []plot
	hists  []report.Named
	rows   []report.Row
	others *others
	nth    int // of the measures that are wanted, the one that runs
	all    int // how many are wanted
}

// plot is one that goes into the report.
type plot struct{ file, title, svg string }

// Run measures, shows progress, and returns the report in Markdown. A measure that fails is a row
// that says so, and an error; the others go on.
func Run(ctx context.Context, c Config) (markdown string, err error) {
	l := &lab{Config: c, size: full, rnd: rand.New(rand.NewPCG(c.Seed, 0)), began: time.Now(), others: watchOthers()}
	if c.Quick {
		l.size = quick
	}
	l.size.scale(c.Scale)
	if l.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(l.dir) }()
	if err := l.known(); err != nil {
		return "", err
	}
	if c.Base == "" {
		if err := l.build(); err != nil {
			return "", err
		}
	}
	l.say("seed %d; %s", c.Seed, report.Machine())
	var failed error
	within, stop := context.WithTimeout(ctx, cmp.Or(c.Most, time.Hour))
	defer stop()
	for _, st := range l.stages() {
		for _, m := range st.measures {
			if l.wanted(st, m) {
				l.all++
			}
		}
	}
	for _, st := range l.stages() {
		failed = errors.Join(failed, l.stage(within, st))
	}
	if l.Profile != "" {
		l.top()
	}
	markdown, err = l.report()
	_, _ = fmt.Fprintf(c.Out, "\n%s\n", report.Table(l.rows, l.judged()))
	return markdown, errors.Join(failed, err)
}

// judged says whether the figures can be compared with the targets.
func (l *lab) judged() bool { return !l.Quick && (l.Scale == 0 || l.Scale == 1) }

// say shows progress.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.Out, "%6.1f s  %s%s\n", time.Since(l.began).Seconds(), l.where, fmt.Sprintf(format, args...))
}

// stages are those that Base leaves.
func (l *lab) stages() []stage {
	if l.Base != "" {
		return baseStages()
	}
	return stages()
}

// known is an error if Only names what is not there.
func (l *lab) known() error {
	var names []string
	for _, st := range l.stages() {
		names = append(names, st.name)
		for _, m := range st.measures {
			names = append(names, m.name)
		}
	}
	for _, name := range l.Only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no measure is named %q; there are %q", name, names)
		}
	}
	return nil
}

// wanted says whether a measure is to be run.
func (l *lab) wanted(st stage, m measure) bool {
	if len(l.Only) > 0 {
		return slices.Contains(l.Only, st.name) || slices.Contains(l.Only, m.name)
	}
	return !m.asked || l.Million
}

// errInterrupted is of what was not run, for the time was over or somebody ended the run.
var errInterrupted = errors.New("the run was ended before")

// stage runs the measures of one that are wanted, on servers that end with it.
func (l *lab) stage(ctx context.Context, st stage) (failed error) {
	var todo []measure
	for _, m := range st.measures {
		if l.wanted(st, m) {
			todo = append(todo, m)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		for _, m := range todo {
			l.keep(m, nil, errInterrupted)
		}
		return fmt.Errorf("%s: %w", st.name, errInterrupted)
	}
	l.where = st.name + ": "
	defer func() { l.where = "" }()
	s, err := st.open(ctx, l)
	if s != nil {
		defer s.close()
	}
	if err != nil {
		l.nth += len(todo)
		for _, m := range todo {
			l.keep(m, nil, err)
		}
		if errors.Is(err, errSkipped) {
			l.say("left out: %v", err)
			return nil
		}
		l.say("failed: %v", err)
		return fmt.Errorf("%s: %w", st.name, err)
	}
	for _, m := range todo {
		l.nth++
		l.where = fmt.Sprintf("%d/%d %s/%s: ", l.nth, l.all, st.name, m.name)
		if ctx.Err() != nil {
			l.keep(m, nil, errInterrupted)
			continue
		}
		l.say("begins")
		s.profile(l, m.name)
		figures, err := m.run(ctx, l, s)
		s.profile(l, "rest")
		l.keep(m, figures, err)
		if err != nil {
			l.say("failed: %v", err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return failed
}

// keep puts the figures of a measure into its rows.
func (l *lab) keep(m measure, figures []figure, err error) {
	for i, r := range m.rows {
		switch {
		case i < len(figures):
			f := figures[i]
			r.Value, r.More, r.Load, r.Skipped = f.value, f.more, f.load, f.skipped
		case err != nil:
			r.Skipped, r.Load = err.Error(), -1
		default:
			r.Skipped, r.Load = "it gave no figure", -1
		}
		l.rows = append(l.rows, r)
		l.say("%s", report.Line(r, l.judged()))
	}
}

// keepHist keeps a distribution for the report.
func (l *lab) keepHist(name string, h *load.Hist) {
	l.hists = append(l.hists, report.Named{Name: name, Hist: h.Export()})
}

// draw keeps a plot for the report.
func (l *lab) draw(file, title string, series ...report.Series) {
	series = slices.DeleteFunc(series, func(s report.Series) bool { return s.N == 0 })
	if len(series) > 0 {
		l.plots = append(l.plots, plot{file, title, report.Plot(title, series)})
	}
}

// line is a distribution as one line of a plot; it is kept as well.
func (l *lab) line(name string, h *load.Hist) report.Series {
	l.keepHist(name, h)
	return report.Series{Name: name, At: h.At, N: h.N()}
}

// report is the part of the document that is measured, with its files.
func (l *lab) report() (string, error) {
	text := fmt.Sprintf("%s.\n\n`%s`, seed %d, on %s, took %v; other programs took %s of the machine's processors meanwhile.\n\n%s\n", report.Machine(), l.Command, l.Seed, l.began.UTC().Format(time.DateOnly),
		time.Since(l.began).Round(time.Second), l.others.share(), report.Table(l.rows, l.judged()))
	if l.Files == "" {
		return text, nil
	}
	if err := os.MkdirAll(l.Files, 0o755); err != nil { //nolint:gosec // part of the documents
		return "", err
	}
	for _, p := range l.plots {
		if err := os.WriteFile(filepath.Join(l.Files, p.file), []byte(p.svg), 0o644); err != nil { //nolint:gosec // the same
			return "", err
		}
		text += fmt.Sprintf("![%s](%s/%s)\n\n", p.title, filepath.Base(l.Files), p.file)
	}
	if len(l.hists) > 0 {
		b, err := report.Log(l.began, l.hists)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(l.Files, "histograms.hlog"), b, 0o644); err != nil { //nolint:gosec // the same
			return "", err
		}
	}
	return text, nil
}
