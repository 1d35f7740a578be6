package identity

import (
	"cmp"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// door implements plugins.Identity.
type door struct {
	on           bool
	routes       routes
	certificates *certificates
	tokens       *tokens
	proxy        *proxy
	site         *site // nil: there is none
	clock        func() time.Time
	refused      func(why string)         // counts
	issuer       func() plugins.Issuer    // known when all plugins are set up
	trusts       func(*http.Request) bool // plugins.Host.Trusts
}

var _ plugins.Identity = (*door)(nil)

// On implements plugins.Identity.
func (d *door) On() bool { return d.on }

// Handler implements plugins.Identity. Whoever proves nothing comes no further than to Open
// routes: he does not even learn which paths there are.
func (d *door) Handler(next http.Handler) http.Handler {
	if !d.on {
		return next
	}
	d.tokens.issuer = d.issuer()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claimed := r.Header[gatewayHeader]
		caller, err := d.callerOf(w, r)
		switch {
		case err != nil && d.leadsToLogin(r):
			d.toLogin(w, err)
		case err != nil:
			d.refuse(w, err)
		case caller != nil:
			plugins.NoteCaller(w, caller)
			next.ServeHTTP(w, r.WithContext(plugins.WithCaller(r.Context(), caller)))
		case d.routes.isOpen(r.URL.Path), d.routes.maySite(r): // of the latter Allow decides
			next.ServeHTTP(w, withClaim(r, claimed))
		case d.leadsToLogin(r):
			d.toLogin(w, anonymous)
		default:
			d.refuse(w, anonymous)
		}
	})
}

// refuse answers a request whose credentials were not taken. The answer is the same whatever
// is wrong with them.
func (d *door) refuse(w http.ResponseWriter, err error) {
	why, answer := refusal(err)
	d.refused(why)
	server.RefuseError(w, answer, 1)
}

// callerOf finds out who calls; nil: nobody proved anything. Every credential that is
// presented must be valid and name the same application, for one that is wrong beside one
// that is right is either an attack or a mistake, and either would be hidden. The roles are
// those of the first that has any, in this order: gateway, token, cookie, proxy, certificate.
func (d *door) callerOf(w http.ResponseWriter, r *http.Request) (*plugins.Caller, error) {
	certificate := d.certificates.of(r.TLS)
	if certificate != nil {
		if err := d.checkCertificate(w, certificate); err != nil {
			return nil, err
		}
	}
	var found proved
	calledFor, err := d.site.of(r)
	if err != nil {
		return nil, err
	}
	if err := found.add(calledFor); err != nil {
		return nil, err
	}
	if !exchangesCredentials(r.URL.Path) {
		if err := d.bearers(r, certificate, &found); err != nil {
			return nil, err
		}
	}
	named, err := d.proxy.of(r, certificate)
	if err != nil {
		return nil, err
	}
	if err := found.add(named); err != nil {
		return nil, err
	}
	if certificate != nil {
		if err := found.add(certificate.caller); err != nil {
			return nil, err
		}
	}
	return found.first, nil
}

// bearers adds who bears the tokens of a request. found is for whom the gateway calls, if it does.
func (d *door) bearers(r *http.Request, c *certificate, found *proved) error {
	byGateway := found.first != nil
	if values := r.Header["Authorization"]; values != nil && (!byGateway || d.tokens.mepauth != nil) {
		raw, err := bearerOf(values)
		var b *bearer
		if err == nil {
			b, err = d.bearer(r, raw, c, byGateway)
		}
		switch {
		case err == nil:
			if err := found.add(b.caller); err != nil {
				return err
			}
		case !d.ignores(r, values):
			return err
		}
	}
	if !takesCookie(r.URL.Path) {
		return nil
	}
	raw, err := cookieOf(r)
	if err != nil || raw == "" {
		return err
	}
	b, err := d.bearer(r, raw, c, byGateway)
	switch {
	case err != nil && d.routes.isOpen(r.URL.Path): // a page that leads to the login is shown to whose session has ended
		return nil
	case err != nil:
		return err
	}
	return found.add(b.byCookie)
}

// bearer is who bears a token. If it came by the gateway, that has compared the address that the
// token is bound to.
func (d *door) bearer(r *http.Request, raw string, c *certificate, byGateway bool) (*bearer, error) {
	b, err := d.tokens.of(r.Context(), raw)
	switch {
	case err != nil:
		return nil, err
	case !b.comesWith(c):
		return nil, notBound
	case !byGateway && !b.comesFrom(r):
		return nil, notFrom
	}
	return b, nil
}

// checkCertificate refuses a certificate that is wrong or has ended since the connection was
// made, and closes the connection then: on a new one a client can show another.
func (d *door) checkCertificate(w http.ResponseWriter, c *certificate) error {
	left := c.ends.Sub(d.clock())
	if c.err != nil || left <= renewalTime {
		w.Header().Set("Connection", "close")
	}
	switch {
	case c.err != nil:
		return c.err
	case left <= 0:
		return certificateEnded
	}
	return nil
}

// proved is who is named by the credentials of one request.
type proved struct{ first *plugins.Caller }

// add takes one more in; nil: that one named nobody.
func (c *proved) add(one *plugins.Caller) error {
	switch {
	case one == nil:
	case c.first == nil:
		c.first = one
	case named(one) != named(c.first):
		return disagreeing
	}
	return nil
}

// named is what a credential names: an application, or whatever else it proves. A token on the
// connection of another's certificate was stolen, whatever roles either has.
func named(c *plugins.Caller) string { return cmp.Or(c.App, c.Name) }

// exchangesCredentials says whether a path is one at which a credential is exchanged for a
// token. What Authorization, cookie and body mean there is decided by its handler: a client
// whose token has ended must be able to get another.
func exchangesCredentials(path string) bool {
	switch path {
	case plugins.TokenPath, plugins.AccountTokenPath, plugins.LoginPath, plugins.LogoutPath, mepauthTokenPath:
		return true
	}
	return false
}
