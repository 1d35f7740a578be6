package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/operate"
	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/conf"
)

// showServices shows all services that are asked for, or all of one.
func showServices(ctx context.Context, p environment, c conf.Config, g given) error {
	show, err := g.form(asText, asWide, asJSON)
	if err != nil {
		return err
	}
	q := operate.Query{States: strings.ToUpper(strings.Join(lists(g.values["state"]), ",")), App: g.last("app"), Name: g.last("name"), Late: g.on("late"), Drained: g.on("drained")}
	if len(g.args) > 0 && q != (operate.Query{}) {
		return errors.New("with an ID or NAME there is nothing to select; leave out --state, --app, --name, --late and --drained")
	}
	by, err := p.running(ctx, c, g)
	if err != nil {
		return err
	}
	if len(g.args) > 0 {
		one, err := operate.Named(ctx, by, g.args[0], func(id string) (json.RawMessage, error) { return operate.One(ctx, by, id) })
		return p.printOne(show, one, err)
	}
	all, err := operate.Services(ctx, by, q)
	switch {
	case err != nil:
		return err
	case show == asJSON:
		return terminal.PrintJSON(p.out, all)
	}
	return operate.PrintServices(p.out, all, show == asWide)
}

func drainService(ctx context.Context, p environment, c conf.Config, g given) error {
	if !g.has("reason") {
		return errors.New("--reason must say why, in a few words: it is shown to everybody who asks where the service is")
	}
	return p.change(ctx, c, g, "drained", func(by *remote.Server, id string) (json.RawMessage, error) {
		return operate.Drain(ctx, by, id, g.last("reason"))
	})
}

func undrainService(ctx context.Context, p environment, c conf.Config, g given) error {
	return p.change(ctx, c, g, "not drained any more", func(by *remote.Server, id string) (json.RawMessage, error) { return operate.Undrain(ctx, by, id) })
}

// change has a server change a service, and says what came of it.
func (p environment) change(ctx context.Context, c conf.Config, g given, what string, ask func(by *remote.Server, id string) (json.RawMessage, error)) error {
	show, by, err := p.shown(ctx, c, g)
	if err != nil {
		return err
	}
	one, err := operate.Named(ctx, by, g.args[0], func(id string) (json.RawMessage, error) { return ask(by, id) })
	if err != nil || show == asJSON {
		return p.printOne(show, one, err)
	}
	var s operate.Service
	if err := json.Unmarshal(one, &s); err != nil {
		return errors.New("the server's answer describes no service; is it a mepserver?")
	}
	_, err = fmt.Fprintf(p.out, "%s is %s: %s is %s\n", g.args[0], what, terminal.Cell(s.Name), terminal.Cell(s.State))
	return err
}

// shown is the form in which a command prints, and the running server that it asks.
func (p environment) shown(ctx context.Context, c conf.Config, g given) (form string, by *remote.Server, err error) {
	if form, err = g.form(asText, asJSON); err == nil {
		by, err = p.running(ctx, c, g)
	}
	return form, by, err
}

// printOne prints what is known of one service, unless it could not be asked.
func (p environment) printOne(show string, one json.RawMessage, err error) error {
	switch {
	case err != nil:
		return err
	case show == asJSON:
		return terminal.PrintJSON(p.out, one)
	}
	return operate.PrintOne(p.out, time.Now(), one)
}

// watchServices prints changes until the command is stopped, which is no failure.
func watchServices(ctx context.Context, p environment, c conf.Config, g given) error {
	show, by, err := p.shown(ctx, c, g)
	if err != nil {
		return err
	}
	return operate.Watch(ctx, by, operate.WatchOptions{Since: g.last("since"), JSON: show == asJSON, Out: p.out, Errs: p.errs})
}

// doctor looks for what operators get wrong.
func doctor(ctx context.Context, p environment, c conf.Config, g given) error {
	show, by, err := p.shown(ctx, c, g)
	if err != nil {
		return err
	}
	d := operate.Doctor{Server: by, JSON: show == asJSON, Out: p.out}
	if by.Local {
		d.Local = &c
	}
	return d.Run(ctx)
}
