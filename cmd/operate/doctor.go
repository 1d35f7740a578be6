package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/conf"
)

// result is what came of one check.
type result string

const (
	fine    result = "ok"
	warning result = "warning" // it works, but perhaps not as it is meant
	problem result = "problem"
	skipped result = "skipped" // it could not be looked at
)

// finding is one thing that the doctor looked at.
type finding struct {
	Check  string `json:"check"`
	Result result `json:"result"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // what to do
}

// Doctor finds what operators get wrong.
type Doctor struct {
	Server *remote.Server
	// Local is the configuration of a server on this machine; nil: it is elsewhere.
	Local *conf.Config
	JSON  bool
	Out   io.Writer

	all  []finding
	date time.Time // of the server, at the moment here
	here time.Time
	took time.Duration
}

func (d *Doctor) note(check string, r result, hint, format string, args ...any) {
	d.all = append(d.all, finding{check, r, fmt.Sprintf(format, args...), hint})
}

// Run looks at everything and prints what it found. Its error is ErrNotGood if there is a
// problem.
func (d *Doctor) Run(ctx context.Context) error {
	reached := d.reaches(ctx)
	if reached {
		d.clock()
		d.identities(ctx)
		if d.state(ctx) {
			d.servers(ctx)
		}
		d.metrics(ctx)
	}
	d.certificate(ctx)
	if c := d.Local; c != nil && c.Store.Kind == conf.Embedded {
		d.folder(c.Store, !reached)
	}
	return d.print()
}

// reaches asks whether the server serves.
func (d *Doctor) reaches(ctx context.Context) bool {
	answer, err := d.ready(ctx, d.Server)
	if answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden { // which says nothing of the server
		unproved := *d.Server
		unproved.Transport = d.Server.Plain()
		answer, err = d.ready(ctx, &unproved)
	}
	switch {
	case errors.Is(err, remote.ErrUnreachable) || err != nil && d.Server.Local:
		d.note("server", problem, "start it, or name it with --url, --config or --data-dir; its log says why it does not run", "%s", terminal.Cell(err.Error()))
		return false
	case err != nil: // which says what to do
		d.note("server", problem, "", "it is there, and cannot be asked: %s", terminal.Cell(err.Error()))
		return false
	case answer.Status != http.StatusOK:
		d.note("server", problem, "its log says what it waits for: most often the store", "it does not serve: %s", terminal.Cell(remote.Refusal(answer.Status, answer.Body).Error()))
		return false
	}
	if kind := answer.Header.Get("Content-Type"); strings.TrimSpace(string(answer.Body)) != "ready" {
		d.note("server", problem, "name a mepserver with --url, --config or --data-dir", "what answers is no mepserver: /ready is answered with something else (Content-Type %s)", terminal.Cell(kind))
		return false
	}
	d.date, _ = http.ParseTime(answer.Header.Get("Date"))
	d.note("server", fine, "", "it serves and answered in %s", max(d.took.Round(time.Millisecond), time.Millisecond))
	return true
}

// ready asks whether a server serves.
func (d *Doctor) ready(ctx context.Context, server *remote.Server) (remote.Answer, error) {
	begun := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/ready", nil)
	if err != nil {
		return remote.Answer{}, err
	}
	answer, err := server.Do(r)
	d.here, d.took = time.Now(), time.Since(begun)
	return answer, err
}

const (
	skewOdd = 2 * time.Second // Date has whole seconds
	skewBad = 30 * time.Second
)

// clock compares the server's clock with the one here.
func (d *Doctor) clock() {
	if d.date.IsZero() {
		d.note("clock", skipped, "", "the server does not say what time it is")
		return
	}
	skew := d.here.Add(-d.took / 2).Sub(d.date.Add(500 * time.Millisecond)).Abs()
	const hint = "synchronise both clocks: certificates, tokens, signatures and retention depend on them; heartbeats do not"
	switch {
	case skew > skewBad:
		d.note("clock", problem, hint, "the server's clock and the one here are %s apart", terminal.Short(skew))
	case skew > skewOdd:
		d.note("clock", warning, hint, "the server's clock and the one here are %s apart", terminal.Short(skew))
	default:
		d.note("clock", fine, "", "the server's clock and the one here agree")
	}
}

// identities finds a port at which everybody may act for everybody.
func (d *Doctor) identities(ctx context.Context) {
	const hint = "make a platform with TLS and identities: mepserver init --host NAME"
	if c := d.Local; c != nil {
		switch {
		case c.Server.Loopback():
			d.note("identities", fine, "", "only this machine reaches the port")
		case !c.Identified():
			d.note("identities", problem, hint, "whoever reaches %s may act for any application", terminal.Cell(c.Server.Listen))
		default:
			d.note("identities", fine, "", "the server knows who calls")
		}
		return
	}
	if remote.OnLoopback(d.Server.Base.Hostname()) {
		d.note("identities", skipped, "", "the server was asked over loopback; its configuration says who else may reach it")
		return
	}
	anonymous := *d.Server
	anonymous.Transport = d.Server.Plain()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, statePath, nil)
	if err != nil {
		return
	}
	switch answer, err := anonymous.Do(r); {
	case err != nil:
		d.note("identities", skipped, "", "%s", terminal.Cell(err.Error()))
	case answer.Status == http.StatusOK:
		d.note("identities", problem, hint, "whoever reaches %s is let in without proof", terminal.Cell(d.Server.Base.Host))
	default:
		d.note("identities", fine, "", "who proves nothing is refused (%d)", answer.Status)
	}
}

// metrics finds what only the server's counters tell.
func (d *Doctor) metrics(ctx context.Context) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return
	}
	answer, err := d.Server.Do(r)
	if err != nil || answer.Status != http.StatusOK {
		d.note("metrics", skipped, "the role reader may read them", "they cannot be read")
		return
	}
	dropped := 0.0
	for line := range strings.Lines(string(answer.Body)) {
		if text, is := strings.CutPrefix(line, "mep_log_lines_dropped_total "); is {
			dropped, _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
		}
	}
	if dropped > 0 {
		d.note("log", warning, "whoever reads the server's standard error output is too slow or gone", "%.0f lines of the server's log were lost", dropped)
		return
	}
	d.note("log", fine, "", "no line of the server's log was lost")
}

// print prints all findings.
func (d *Doctor) print() error {
	good := true
	for _, f := range d.all {
		good = good && f.Result != problem
	}
	if d.JSON {
		if err := terminal.PrintJSON(d.Out, map[string]any{"ok": good, "checks": d.all}); err != nil {
			return err
		}
	} else if err := d.table(); err != nil {
		return err
	}
	if !good {
		return ErrNotGood
	}
	return nil
}

func (d *Doctor) table() error {
	w := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
	for _, f := range d.all {
		detail := terminal.Cell(f.Detail)
		if f.Hint != "" {
			detail = strings.TrimSuffix(detail, ".") + "; " + terminal.Cell(f.Hint)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Result, f.Check, detail)
	}
	return w.Flush()
}
