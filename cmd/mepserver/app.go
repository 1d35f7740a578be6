package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/adminapi"
	"github.com/mec-liveness/mepserver/conf"
)

func addCredential(ctx context.Context, p environment, c conf.Config, g given) error {
	n := adminapi.New{ID: g.args[0], Roles: lists(g.values["role"]), Apps: lists(g.values["apps"])}
	if err := n.Check(); err != nil {
		return err
	}
	return issue(p, g, false, func() (made adminapi.Issued, err error) {
		return made, reached(ctx, p, c, g, func(by *adminapi.API) error {
			made, err = by.Add(ctx, n)
			return err
		})
	})
}

// lists joins lists that were given in one or several flags.
func lists(given []string) (all []string) {
	for _, one := range given {
		all = append(all, strings.Split(one, ",")...)
	}
	return all
}

func rotateCredential(ctx context.Context, p environment, c conf.Config, g given) error {
	id := g.args[0]
	if err := adminapi.CheckID(id); err != nil {
		return err
	}
	var grace *time.Duration
	switch text := g.last("grace"); {
	case g.on("now") && text != "":
		return errors.New("--now and --grace exclude each other: --now ends the old secret, and tokens, at once")
	case g.on("now"):
		grace = new(time.Duration)
	case text != "":
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fmt.Errorf("--grace must be a duration such as 30m or 24h, not %+q; --now ends the old secret at once", text)
		}
		grace = &d
	}
	return issue(p, g, true, func() (made adminapi.Issued, err error) {
		return made, reached(ctx, p, c, g, func(by *adminapi.API) error {
			made, err = by.Rotate(ctx, id, grace)
			return err
		})
	})
}

func removeCredential(ctx context.Context, p environment, c conf.Config, g given) error {
	id := g.args[0]
	if err := adminapi.CheckID(id); err != nil {
		return err
	}
	if err := reached(ctx, p, c, g, func(by *adminapi.API) error { return by.Remove(ctx, id) }); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "removed %s\n", id)
	return err
}

func listCredentials(ctx context.Context, p environment, c conf.Config, g given) error {
	show, err := g.form(asText, asJSON)
	if err != nil {
		return err
	}
	var all []adminapi.Credential
	err = reached(ctx, p, c, g, func(by *adminapi.API) (err error) {
		all, err = by.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return printList(p.out, show, all)
}
