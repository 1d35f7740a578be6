package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/mec-liveness/mepserver/agent"
)

const (
	statusTimeout = 5 * time.Second
	maxStatus     = 64 << 20 // 10,000 services need a tenth of it
	maxLate       = 20       // services that --ready names: a supervisor keeps little of what a probe prints
)

// agentStatus is what a running agent says of itself, in the form of status -o json.
type agentStatus struct {
	Ready    bool           `json:"ready"` // every service is
	Services []agent.Status `json:"services"`
}

// status asks the agent that serves its pages at address, and prints what it knows. With
// --ready it prints whether every service is alive, and fails with errNotGood if one is not.
func (c command) status(ctx context.Context, address string, out io.Writer) error {
	if address == "" {
		return errors.New("status needs local.listen, which the running agent serves it on, or the address")
	}
	address, err := checkedAddress(address)
	if err != nil {
		return err
	}
	if _, port, _ := net.SplitHostPort(address); port == "0" {
		return errors.New("the system chose the port, for local.listen has port 0: give status the address that the agent printed at its start")
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s, err := askAgent(ctx, address)
	if err != nil {
		return err
	}
	switch {
	case c.json:
		err = printJSON(out, s)
	case c.ready:
		err = printReadiness(out, s)
	default:
		err = table(out, s.Services, time.Now())
	}
	if err == nil && c.ready && !s.Ready {
		return errNotGood
	}
	return err
}

// askAgent reads the status of the agent that listens at address.
func askAgent(ctx context.Context, address string) (agentStatus, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/status", nil)
	if err != nil {
		return agentStatus{}, fmt.Errorf("ask the agent: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, // and no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return agentStatus{}, fmt.Errorf("no agent answers: %w", errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return agentStatus{}, fmt.Errorf("what listens on %s is no agent: it answers %d", address, resp.StatusCode)
	}
	s := agentStatus{Services: []agent.Status{}}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&s.Services); err != nil || s.Services == nil {
		return agentStatus{}, fmt.Errorf("what listens on %s is no agent", address)
	}
	s.Ready = !slices.ContainsFunc(s.Services, func(one agent.Status) bool { return !one.Ready })
	return s, nil
}

// printReadiness prints one line, and one more for each service that is not ready.
func printReadiness(out io.Writer, s agentStatus) error {
	if s.Ready {
		_, err := fmt.Fprintf(out, "ready: %s\n", servicesOf(len(s.Services)))
		return err
	}
	var late []agent.Status
	for _, one := range s.Services {
		if !one.Ready {
			late = append(late, one)
		}
	}
	_, err := fmt.Fprintf(out, "not ready: %d of %s\n", len(late), servicesOf(len(s.Services)))
	for i, one := range late {
		if i == maxLate && err == nil {
			_, err = fmt.Fprintf(out, "and %d more\n", len(late)-i)
		}
		if i >= maxLate || err != nil {
			break
		}
		_, err = fmt.Fprintf(out, "%s: %s: %s\n", cell(one.Service), cell(one.State), cell(one.LastAnswer))
	}
	return err
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
