package plugins

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// Caller is who sent a request, as far as it was proved. It is not changed after it is made:
// requests of one connection or token share it.
type Caller struct {
	// Name is what limits are counted by and what logs show: the appInstanceId, or the id of
	// a credential, or the SAN of a certificate. It is never a secret.
	Name string
	// App is the application that the caller is; "" if it is none.
	App string
	// Apps are what a host acts for: appInstanceIds, or prefixes of them that end in *.
	Apps []string
	// Roles are conf's.
	Roles []string
	// Source is what proved it, for logs: certificate, token, proxy, cookie, socket or
	// SourceGateway.
	Source string
}

// SourceGateway is the Source of callers for whom EdgeGallery's gateway answers.
const SourceGateway = "gateway"

// Has says whether the caller has a role.
func (c *Caller) Has(role string) bool { return c != nil && slices.Contains(c.Roles, role) }

// MayActFor says whether the caller may act for an application. This is the one comparison
// of an identity with a path. Only an admin may act for one that has no id yet ("").
func (c *Caller) MayActFor(app string) bool {
	switch {
	case c == nil:
		return false
	case c.Has(conf.RoleAdmin):
		return true
	case app == "":
		return false
	case c.App == app && c.Has(conf.RoleApp):
		return true
	case !c.Has(conf.RoleHost):
		return false
	}
	return slices.ContainsFunc(c.Apps, func(of string) bool {
		prefix, wild := strings.CutSuffix(of, "*")
		return of == app || wild && prefix != "" && strings.HasPrefix(app, prefix)
	})
}

type callerKey struct{}

// WithCaller returns a context in which CallerOf finds the caller.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who sent the request; nil: it is anonymous, or there are no identities.
func CallerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// Identity is what the identity plugin offers: who calls, and what he may.
type Identity interface {
	// On says whether there is any source of identities. Without one, the application in the
	// path is the caller and everything is allowed.
	On() bool
	// Handler finds out who calls before next: CallerOf then returns it. A credential that is
	// presented and not valid is refused here, as is whatever may not come from a web page.
	Handler(next http.Handler) http.Handler
	// Route tells of a route that is served, before requests are. pattern is METHOD and path,
	// or the path alone, as in Base.Handle.
	Route(pattern, name string, a server.Access)
	// Bearer says until when a token is valid that a browser logs in with. The error is one of
	// mp1/server's.
	Bearer(ctx context.Context, token string) (ends time.Time, err error)
	// Allow says whether the caller of a request may use a route. name is the route's, app
	// the application in its path or "". The error is one of mp1/server's, which answers it.
	Allow(r *http.Request, name string, a server.Access, app string) error
}

// ValidApps says whether a host may act for what a word names: an appInstanceId, or a prefix of
// at least one character that ends in *. A * alone would be everybody: that needs admin.
func ValidApps(word string) bool { return mp1.ValidID(strings.TrimSuffix(word, "*")) }
