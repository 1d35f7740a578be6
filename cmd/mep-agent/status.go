package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/logs"
)

const (
	statusTimeout = 5 * time.Second
	maxStatus     = 16 << 20
)

// status asks the agent that serves its pages at listen, and prints a table of its services.
func status(ctx context.Context, listen string, out io.Writer) error {
	if listen == "" {
		return errors.New("status needs local.listen, which the running agent serves it on")
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/status", nil)
	if err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return fmt.Errorf("no agent answers: %w", errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("what listens on %s is no agent: it answers %d", listen, resp.StatusCode)
	}
	var all []agent.Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&all); err != nil {
		return fmt.Errorf("what listens on %s is no agent", listen)
	}
	return table(out, all, time.Now())
}

// table prints one row for each service.
func table(out io.Writer, all []agent.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tSTATE\tLAST BEAT\tNEXT BEAT\tINTERVAL\tLAST ANSWER\tID")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(s.Service), cell(s.State), ago(now, s.LastBeat), in(now, s.NextBeat),
			interval(s.Interval), cell(s.LastAnswer), cell(s.ID))
	}
	return w.Flush()
}

// cell is a value from outside as a cell: control characters are dropped, nothing is "-".
func cell(s string) string {
	if s = logs.Clean(s); s == "" {
		return "-"
	}
	return s
}

// ago is how long ago a time was, "-" for none.
func ago(now time.Time, at *time.Time) string {
	if at == nil {
		return "-"
	}
	return now.Sub(*at).Round(100*time.Millisecond).String() + " ago"
}

// in is how long it is until a time, "-" for none.
func in(now time.Time, at *time.Time) string {
	if at == nil {
		return "-"
	}
	return "in " + max(at.Sub(now), 0).Round(100*time.Millisecond).String()
}

// interval is a number of seconds as a duration, "-" for 0.
func interval(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).String()
}
