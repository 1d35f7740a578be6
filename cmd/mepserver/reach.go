package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/cmd/adminapi"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/admin"
	"github.com/mec-liveness/mepserver/plugins/identity/issuer"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
)

// reached does something with the credentials of the server at --url, or else of the one
// whose admin socket the configuration names, or else of the embedded store itself.
func reached(ctx context.Context, p environment, c conf.Config, g given, do func(by *adminapi.API) error) error {
	if g.has("url") {
		if g.has("config") || g.has("data-dir") {
			return errors.New("--url says which server it is: leave out --config and --data-dir")
		}
		if !g.has("credential-file") {
			return errors.New("--url needs --credential-file FILE, a credential of the role admin such as the admin.json of mepserver init")
		}
		by, err := adminapi.At(g.last("url"), g.last("ca"), g.last("credential-file"))
		if err != nil {
			return err
		}
		return explained(do(by))
	}
	for _, name := range []string{"ca", "credential-file"} {
		if g.has(name) {
			return fmt.Errorf("--%s goes with --url", name)
		}
	}
	path := c.AdminSocket()
	if path != "" {
		err := do(adminapi.By(admin.Transport(path)))
		if !errors.Is(err, admin.ErrNotServed) || c.Store.Kind != conf.Embedded {
			return explained(err)
		}
	} else if c.Store.Kind != conf.Embedded {
		return errors.New("a server over a cluster has no admin socket unless server.adminSocket names one; use --url with --credential-file")
	}
	by, end, err := openStore(ctx, p, c, g.has("config"))
	if errors.Is(err, servicecenter.ErrNoStore) && !g.has("data-dir") {
		return fmt.Errorf("%w; --config mep/mepserver.yaml names the one that init made", err)
	}
	if err != nil {
		return err
	}
	defer end()
	return explained(do(by))
}

// explained says what to do where the server's words do not.
func explained(err error) error {
	switch {
	case errors.Is(err, adminapi.ErrThere):
		return fmt.Errorf("%w; mepserver app rotate gives it a new secret", err)
	case errors.Is(err, adminapi.ErrUnknown):
		return fmt.Errorf("%w; mepserver app list shows all", err)
	}
	return err
}

// openStore opens the embedded store, which no server uses; end closes it.
func openStore(ctx context.Context, p environment, c conf.Config, create bool) (by *adminapi.API, end func(), err error) {
	store, err := servicecenter.OfflineCredentials(ctx, c.Store.DataDir, create, int64(c.Store.QuotaBytes), plugins.NewLog(p.errs, "WARN"), p.fail)
	if err != nil {
		return nil, nil, err
	}
	return adminapi.Within(issuer.Administration(store, time.Now, store.List)), store.Close, nil
}
