package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/adminapi"
	"github.com/mec-liveness/mepserver/cmd/demo"
	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/admin"
	"github.com/mec-liveness/mepserver/plugins/identity/issuer"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
)

// place is where --url says that the server is, with what proves who asks; false: it is not given.
func (g given) place() (at remote.Place, is bool, err error) {
	if !g.has("url") {
		for _, o := range reach()[1:] {
			if name := o.name; g.has(name) {
				return at, false, fmt.Errorf("--%s goes with --url", name)
			}
		}
		return at, false, nil
	}
	switch {
	case g.has("config") || g.has("data-dir"):
		return at, false, errors.New("--url says which server it is: leave out --config and --data-dir")
	case g.has("credential-file") && g.has("token-file"):
		return at, false, errors.New("--credential-file and --token-file exclude each other")
	}
	return remote.Place{URL: g.last("url"), CAFile: g.last("ca"), CredentialFile: g.last("credential-file"), TokenFile: g.last("token-file"),
		CertFile: g.last("cert"), KeyFile: g.last("key")}, true, nil
}

// agentPlace is the platform of mep-agent's environment; false: there is none.
func (p environment) agentPlace() (at remote.Place, is bool) {
	value := p.variable
	at = remote.Place{CAFile: value("MEP_PLATFORM_CA_FILE"), CertFile: value("MEP_PLATFORM_CERT_FILE"), KeyFile: value("MEP_PLATFORM_KEY_FILE"),
		TokenFile: value("MEP_IDENTITY_TOKEN_FILE"), ClientID: value("MEP_IDENTITY_CLIENT_ID"), Secret: value("MEP_IDENTITY_CLIENT_SECRET"),
		SecretFile: value("MEP_IDENTITY_CLIENT_SECRET_FILE"), TokenURL: value("MEP_IDENTITY_TOKEN_URL")}
	at.URL, _, _ = strings.Cut(value("MEP_PLATFORM_ENDPOINTS"), ",")
	return at, at.URL != ""
}

// names says whether it was said which server is meant.
func (p environment) names(g given) bool {
	_, is := p.agentPlace()
	return is || g.has("url") || g.has("config") || g.has("data-dir")
}

// running is the running server that a command asks: at --url; or else by the admin socket, of
// the configuration if one is named; or else at the platform of mep-agent's environment; or else,
// if nothing is named and no server has its data here, at the address that is the default.
func (p environment) running(ctx context.Context, c conf.Config, g given) (*remote.Server, error) {
	at, is, err := g.place()
	named := g.has("config") || g.has("data-dir")
	if err == nil && !is && !named {
		at, is = p.agentPlace()
	}
	switch {
	case err != nil:
		return nil, err
	case is:
		return remote.At(at)
	}
	path := c.AdminSocket()
	if path == "" {
		return nil, errors.New("this server has no admin socket; use --url")
	}
	if !named && !admin.Served(ctx, path) {
		return remote.At(remote.Place{URL: "http://" + demo.DefaultListen})
	}
	return remote.By(admin.Transport(path)), nil
}

// reached does something with the credentials of the server at --url, or else of the one
// whose admin socket the configuration names, or else of the embedded store itself.
func reached(ctx context.Context, p environment, c conf.Config, g given, do func(by *adminapi.API) error) error {
	at, is, err := g.place()
	if err != nil {
		return err
	}
	if is {
		if !g.has("credential-file") && !g.has("token-file") && !g.has("cert") {
			return errors.New("--url needs --credential-file FILE, a credential of the role admin such as the admin.json of mepserver init")
		}
		by, err := remote.At(at)
		if err != nil {
			return err
		}
		return explained(do(adminapi.Of(by)))
	}
	path := c.AdminSocket()
	if path != "" {
		err := do(adminapi.Of(remote.By(admin.Transport(path))))
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
