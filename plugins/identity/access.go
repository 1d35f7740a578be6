package identity

import (
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// mayUse are the roles that may use the routes of each Access, beside admins, who may use
// all. An Access without a row is nobody's. Of Owner and OwnerInBody routes the application
// must be the caller's own, too.
var mayUse = map[server.Access][]string{
	server.Identified:      conf.RoleNames(),
	server.Owner:           {conf.RoleApp, conf.RoleHost, conf.RoleAdmin},
	server.OwnerInBody:     {conf.RoleApp, conf.RoleHost, conf.RoleAdmin},
	server.Reading:         {conf.RoleReader, conf.RoleAdmin},
	server.RegistryReading: {conf.RoleReader, conf.RoleRegistry, conf.RoleAdmin},
	server.RegistryWriting: {conf.RoleRegistry, conf.RoleAdmin},
	server.Administrating:  {conf.RoleAdmin},
}

// Allow implements plugins.Identity. A refusal depends on the caller and the route only,
// never on whether what the path names exists.
func (d *door) Allow(r *http.Request, _ string, a server.Access, app string) error {
	switch {
	case a == 0: // somebody forgot to say who may use it
		return server.ErrRole
	case a == server.Mm5: // nobody is known yet to be of the platform
		return server.ErrRole
	case !d.on || a == server.Open:
		return nil
	}
	c := plugins.CallerOf(r.Context())
	switch {
	case c == nil:
		return server.ErrAnonymous
	case !slices.ContainsFunc(mayUse[a], c.Has):
		return server.ErrRole
	case a == server.Owner && !c.MayActFor(app):
		return server.ErrNotYours
	}
	return nil
}
