package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/conf"
)

// result is the outcome of one thing that check looked at.
type result string

const (
	good    result = "ok"
	warning result = "warning" // the agent works, but perhaps not as it is meant
	bad     result = "failed"
	skipped result = "skipped" // it could not be tried, for what another finding says
)

// finding is one thing that check looked at.
type finding struct {
	Subject string `json:"subject"` // configuration, identity, or the URL of an endpoint
	Check   string `json:"check"`   // what of it
	Result  result `json:"result"`
	Detail  string `json:"detail"`
	Hint    string `json:"hint,omitempty"` // what to do
}

// intended is what the agent would do with one service, and why.
type intended struct {
	agent.Planned
	Reason string `json:"reason"`
}

// checkReport is all that check found, in the form of check -o json.
type checkReport struct {
	OK       bool       `json:"ok"` // no finding failed
	Findings []finding  `json:"checks"`
	Services []intended `json:"services"` // empty if the platform could not be asked
}

func (r *checkReport) add(f ...finding) {
	for _, one := range f {
		r.OK = r.OK && one.Result != bad
	}
	r.Findings = append(r.Findings, f...)
}

// check examines the configuration, then reaches the platform and asks the agent what it would
// do. It changes nothing. Its error is errNotGood, or the faults of the configuration.
func (c command) check(ctx context.Context, sources conf.Sources, out io.Writer) error {
	report := checkReport{OK: true, Services: []intended{}}
	settings, err := conf.ReadAgent(sources)
	var faults conf.Faults
	if !errors.As(err, &faults) && err != nil {
		return err
	}
	if faults = append(faults, checkFiles(settings)...); len(faults) > 0 {
		return report.refuse(faults, c.json, out)
	}
	report.add(finding{"configuration", "file", good, describe(c.config, settings), ""})
	report.add(checkLocal(ctx, settings.Local.Listen)...)
	report.add(warnings(settings, sources.Environ)...)
	if !c.offline {
		if err := report.reach(ctx, settings); err != nil {
			return err
		}
	}
	if err := report.print(out, c.json); err != nil {
		return err
	}
	if !report.OK {
		return errNotGood
	}
	return nil
}

// refuse returns the faults as the error that they are, and prints them for programs too.
func (r *checkReport) refuse(faults conf.Faults, asJSON bool, out io.Writer) error {
	for _, f := range faults {
		r.add(finding{"configuration", f.Path, bad, f.String(), ""})
	}
	if asJSON {
		if err := terminal.PrintJSON(out, r); err != nil {
			return err
		}
	}
	return faults
}

// describe says in a few words what is configured.
func describe(file string, c conf.Agent) string {
	if file == "" {
		file = "the environment"
	}
	return fmt.Sprintf("%s of %s, from %s", servicesOf(len(c.Services)), c.Application.ID, file)
}

// reach has a token fetched, asks every endpoint for the application's services, and has the
// agent say what it would do with them. Its error is of the configuration.
func (r *checkReport) reach(ctx context.Context, c conf.Agent) error {
	o, err := agentOptions(c)
	if err != nil {
		return err
	}
	token := r.token(ctx, c, o.Token)
	reached := make([]endpointReport, len(c.Platform.Endpoints))
	var wg sync.WaitGroup
	for i, endpoint := range c.Platform.Endpoints {
		one := o
		one.Endpoints, one.Token = []string{endpoint}, token
		asking, err := agent.New(one)
		if err != nil {
			return err
		}
		unproved := o.Token != nil && token == nil
		wg.Go(func() { reached[i] = reachEndpoint(ctx, c, asking, endpoint, unproved) })
	}
	wg.Wait()
	asked := false
	for _, e := range reached {
		r.add(e.findings...)
		if e.planned != nil && !asked {
			asked = true
			for i, p := range e.planned {
				probed := i < len(c.Services) && c.Services[i].Probe != nil
				r.Services = append(r.Services, intended{p, reason(p, probed)})
			}
		}
	}
	return nil
}

// token fetches one token, if tokens are configured, and returns a source that has no other: a
// wrong key must not be shown twice, for a platform locks it after the third time.
func (r *checkReport) token(ctx context.Context, c conf.Agent, source agent.TokenSource) agent.TokenSource {
	if source == nil {
		r.add(finding{"identity", "token", good, "none is used", ""})
		return nil
	}
	token, err := source.Token(ctx)
	if err != nil {
		detail, hint := err.Error(), ""
		var said *explainedError
		if errors.As(err, &said) {
			detail, hint = said.err.Error(), said.hint
		}
		r.add(finding{"identity", "token", bad, detail, hint})
		return nil
	}
	r.add(finding{"identity", "token", good, "there is one, of kind " + string(c.Identity.Kind), ""})
	return fixedToken(token)
}

// fixedToken is a source of one token.
type fixedToken string

// Token implements agent.TokenSource.
func (t fixedToken) Token(context.Context) (string, error) { return string(t), nil }

// Reject implements agent.TokenSource.
func (t fixedToken) Reject(string) {}

// reason says why the agent would do so.
func reason(p agent.Planned, probed bool) string {
	switch p.Action {
	case agent.ActionRegister:
		if probed {
			return "the platform does not list it; registered when its probe succeeds"
		}
		return "the platform does not list it"
	case agent.ActionAdopt:
		return "it is registered, " + string(p.State)
	case agent.ActionUpdate:
		return "it is registered otherwise than it is configured"
	default:
		return "it is of no service of this configuration"
	}
}

// print prints the report as a table, or for programs.
func (r checkReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return terminal.PrintJSON(out, r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SUBJECT\tCHECK\tRESULT\tDETAIL")
	for _, f := range r.Findings {
		detail := terminal.Cell(f.Detail)
		if f.Hint != "" {
			detail += "; " + f.Hint
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", terminal.Cell(f.Subject), terminal.Cell(f.Check), f.Result, detail)
	}
	if len(r.Services) > 0 {
		fmt.Fprintln(w, "\nSERVICE\tACTION\tID\tREASON")
		for _, s := range r.Services {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", terminal.Cell(s.Service), s.Action, terminal.Cell(s.ID), terminal.Cell(s.Reason))
		}
	}
	return w.Flush()
}
