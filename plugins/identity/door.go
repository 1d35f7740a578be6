package identity

import (
	"net/http"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// door implements plugins.Identity.
type door struct{ on bool }

var _ plugins.Identity = (*door)(nil)

// On implements plugins.Identity.
func (d *door) On() bool { return d.on }

// Handler implements plugins.Identity.
func (d *door) Handler(next http.Handler) http.Handler { return next }

// Allow implements plugins.Identity.
func (d *door) Allow(r *http.Request, _ string, a server.Access, app string) error {
	c := plugins.CallerOf(r.Context())
	switch {
	case !d.on || a == server.Open:
		return nil
	case c == nil:
		return server.ErrAnonymous
	case a == server.Owner && !c.MayActFor(app):
		return server.ErrNotYours
	}
	return nil
}
