package main

import (
	"cmp"
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
	"github.com/mec-liveness/mepserver/cmd/terminal"
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
// --ready or --registered it prints whether every service is that, and fails with errNotGood if
// one is not.
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
	is, late := true, []agent.Status(nil)
	switch {
	case c.ready:
		is, late = s.Ready, s.without(func(one agent.Status) bool { return one.Ready })
	case c.entered:
		late = s.without(func(one agent.Status) bool { return one.Registered })
		is = len(late) == 0
	}
	switch {
	case c.json:
		err = terminal.PrintJSON(out, s)
	case c.ready:
		err = printOutcome(out, "ready", is, late, len(s.Services))
	case c.entered:
		err = printOutcome(out, "registered", is, late, len(s.Services))
	default:
		err = table(out, s.Services, time.Now())
	}
	if err == nil && !is {
		return errNotGood
	}
	return err
}

// without are the services for which is says no.
func (s agentStatus) without(is func(agent.Status) bool) []agent.Status {
	return slices.DeleteFunc(slices.Clone(s.Services), is)
}

// askAgent reads the status of the agent that listens at address.
func askAgent(ctx context.Context, address string) (agentStatus, error) {
	none := fmt.Errorf("what listens on %s is no agent", address)
	code, body, err := get(ctx, "http://"+address+"/status")
	switch {
	case err != nil:
		return agentStatus{}, err
	case code != http.StatusOK:
		return agentStatus{}, fmt.Errorf("%w: it answers %d", none, code)
	}
	var s agentStatus
	if json.Unmarshal(body, &s.Services) != nil || s.Services == nil {
		return agentStatus{}, none
	}
	// Whether the agent is ready is more than its services: it decides, not this command.
	code, _, err = get(ctx, "http://"+address+"/ready")
	switch {
	case err != nil:
		return agentStatus{}, err
	case code != http.StatusOK && code != http.StatusServiceUnavailable:
		return agentStatus{}, none
	}
	s.Ready = code == http.StatusOK
	return s, nil
}

// get asks for one of the agent's pages: directly, whatever proxy the environment has.
func get(ctx context.Context, url string) (code int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask the agent: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("no agent answers: %w", errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return 0, nil, fmt.Errorf("the agent's answer is cut off: %w", err)
	}
	return resp.StatusCode, body, nil
}

// printOutcome prints one line, what all services are or not, and one more for each that is late.
func printOutcome(out io.Writer, what string, is bool, late []agent.Status, all int) error {
	if is {
		_, err := fmt.Fprintf(out, "%s: %s\n", what, servicesOf(all))
		return err
	}
	_, err := fmt.Fprintf(out, "not %s: %d of %s\n", what, len(late), servicesOf(all))
	for i, one := range late {
		if i == maxLate && err == nil {
			_, err = fmt.Fprintf(out, "and %d more\n", len(late)-i)
		}
		if i >= maxLate || err != nil {
			break
		}
		_, err = fmt.Fprintf(out, "%s: %s: %s\n", terminal.Cell(one.Service), terminal.Cell(one.State), terminal.Cell(cmp.Or(one.Reason, one.LastAnswer)))
	}
	return err
}

// table prints one row for each service, and why one is not well if there is such a one.
func table(out io.Writer, all []agent.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	reasons := slices.ContainsFunc(all, func(s agent.Status) bool { return s.Reason != "" })
	head := "SERVICE\tSTATE\tLAST BEAT\tNEXT BEAT\tINTERVAL\tLAST ANSWER\tID"
	if reasons {
		head += "\tREASON"
	}
	fmt.Fprintln(w, head)
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s", terminal.Cell(s.Service), terminal.Cell(s.State), ago(now, s.LastBeat), in(now, s.NextBeat),
			interval(s.Interval), terminal.Cell(s.LastAnswer), terminal.Cell(s.ID))
		if reasons {
			fmt.Fprintf(w, "\t%s", terminal.Cell(s.Reason))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
