// Package issuer makes access tokens for the credentials that the store keeps, publishes the
// keys that verify them, and lets admins make and end credentials. It must not know what
// callers may do with a token, nor the store that keeps the credentials.
package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// Plugin is the plugin that makes Host.Issuer. It comes after those that Host.Ready is of.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "issuer", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	var m plugins.Collectors
	l := login{now: time.Now}
	if c := h.Config.Identity.Issuer; c.Enabled {
		a, err := start(h, c)
		if err != nil {
			return nil, err
		}
		h.Issuer = a
		l.grant = a.grant
		a.register(&m)
	}
	if h.Issuer != nil || h.Config.Identity.JWT.On() {
		l.bearer = h.Identity.Bearer
		l.serve(h.Base)
	}
	return m.Unregister, nil
}

// start makes the authority and serves it.
func start(h *plugins.Host, c conf.Issuer) (*authority, error) {
	kept, err := certs.Keep(keyFile{c.KeyFile}, time.Now, func(err error) {
		if err != nil {
			h.Log.Error("identity.issuer.keyFile cannot be used; the keys before it stay", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
			return
		}
		h.Log.Info("identity.issuer.keyFile was read anew")
	})
	if err != nil {
		return nil, err
	}
	d := newDirectory(h.Base, h.Base.Alone(), time.Now)
	a := newAuthority(d, kept.Current, c.Lifetime, time.Now)
	others := h.Ready
	h.Ready = func() bool { return d.ready() && others() }
	h.Go(func(ctx context.Context) {
		h.Base.FollowCredentials(ctx, d.load, d.see, d.current, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the credentials are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	a.serve(h)
	return a, nil
}

// KeyFiles is the rule of identity.issuer.keyFile, as it is now.
func KeyFiles(now time.Time) conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		i := c.Identity.Issuer
		if !i.Enabled || i.KeyFile == "" {
			return
		}
		var faults certs.Faults
		if _, err := certs.Load(keyFile{i.KeyFile}, now); errors.As(err, &faults) {
			for _, one := range faults {
				fault("identity.issuer.keyFile", "%s", one.Error())
			}
		}
	}
}

// keyFile is the file of the issuer's private keys: the first signs, all verify. It is a
// certs.Source.
type keyFile struct{ path string }

var _ certs.Source[*keySet] = keyFile{}

// Files implements certs.Source.
func (f keyFile) Files() []string { return certs.PrivateKeys{File: f.path}.Files() }

// Parse implements certs.Source.
func (f keyFile) Parse(contents [][]byte, now time.Time) (*keySet, error) {
	private, err := certs.PrivateKeys{File: f.path}.Parse(contents, now)
	if err != nil || private == nil {
		return nil, err
	}
	set, err := newKeySet(private)
	if err != nil {
		return nil, certs.Faults{{File: f.path, Rule: err.Error()}}
	}
	return set, nil
}

// serve registers the routes.
func (a *authority) serve(h *plugins.Host) {
	b := h.Base
	b.Handle("POST "+plugins.TokenPath, "mep.PostToken", server.Open, http.HandlerFunc(a.serveToken))
	b.Handle("GET "+keysPath, "mep.GetKeys", server.Open, http.HandlerFunc(a.serveKeys))
	b.Handle("POST "+plugins.AccountTokenPath, "mep.PostServiceCombToken", server.Open, answer(a.tokenForServiceComb))
	b.Handle(plugins.TokenPath, "mep.MethodNotAllowed", server.Open, refuseMethod(http.MethodPost))
	b.Handle(keysPath, "mep.MethodNotAllowed", server.Open, refuseMethod(http.MethodGet, http.MethodHead))
	b.Handle(plugins.AccountTokenPath, "mep.MethodNotAllowed", server.Open, refuseMethod(http.MethodPost))
	admin := administration{accounts: Accounts{Store: b, Now: a.now, Count: a.known.count, Wrote: a.known.observe}, list: a.known.listed}
	for _, r := range admin.routes() {
		b.Handle(r.pattern, r.name, server.Administrating, r.handler)
		h.OnAdmin(plugins.AdminRoute{Pattern: r.pattern, Handler: r.handler})
	}
}

func (l login) serve(b plugins.Base) {
	b.Handle("GET "+plugins.LoginPath, "mep.GetLogin", server.Open, http.HandlerFunc(l.form))
	b.Handle("POST "+plugins.LoginPath, "mep.PostLogin", server.Open, http.HandlerFunc(l.enter))
	b.Handle("POST "+plugins.LogoutPath, "mep.PostLogout", server.Open, http.HandlerFunc(l.exit))
	b.Handle(plugins.LoginPath, "mep.MethodNotAllowed", server.Open, refuseMethod(http.MethodGet, http.MethodHead, http.MethodPost))
	b.Handle(plugins.LogoutPath, "mep.MethodNotAllowed", server.Open, refuseMethod(http.MethodPost))
}

func refuseMethod(allow ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { server.RefuseMethod(w, allow...) })
}

// problemOf is the error of mp1/server for one of ours.
func problemOf(err error) error {
	if errors.Is(err, errClient) {
		return server.ErrCredential
	}
	return err
}
