package identity

import (
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// mayUse are the roles that may use the routes of each Access, beside admins, who may use
// all. An Access without a row is nobody's. Of Owner, OwnerInBody, OwnersInBody and Mm5OrOwner routes the
// application must be the caller's own, too. Those of Mm5 are open to whoever the site admits.
var mayUse = map[server.Access][]string{
	server.Identified:      conf.RoleNames(),
	server.Owner:           {conf.RoleApp, conf.RoleHost, conf.RoleAdmin},
	server.OwnerInBody:     {conf.RoleApp, conf.RoleHost, conf.RoleAdmin},
	server.OwnersInBody:    {conf.RoleApp, conf.RoleHost, conf.RoleAdmin},
	server.Reading:         {conf.RoleReader, conf.RoleAdmin},
	server.RegistryReading: {conf.RoleReader, conf.RoleRegistry, conf.RoleAdmin},
	server.RegistryWriting: {conf.RoleRegistry, conf.RoleAdmin},
	server.Administrating:  {conf.RoleAdmin},
	server.Mm5:             {conf.RoleAdmin},
	server.Mm5OrOwner:      {conf.RoleApp, conf.RoleHost, conf.RoleAdmin},
}

// needsNothing says whether a caller may need no proof for a route in EdgeGallery's site.
func needsNothing(name string, a server.Access) bool { return isMm5(a) || aroundGateway[name] }

// Allow implements plugins.Identity. A refusal depends on the caller and the route only,
// never on whether what the path names exists.
func (d *door) Allow(r *http.Request, name string, a server.Access, app string) error {
	switch {
	case a == 0: // somebody forgot to say who may use it
		return server.ErrRole
	case !d.on || a == server.Open:
		return nil
	}
	c := plugins.CallerOf(r.Context())
	switch {
	case c == nil && d.site != nil && needsNothing(name, a):
		if err := d.site.allow(r, a); err != nil || a != server.Mm5OrOwner {
			return err
		}
		return claimsNoOther(r, app)
	case c == nil:
		return server.ErrAnonymous
	case !slices.ContainsFunc(mayUse[a], c.Has):
		return server.ErrRole
	case (a == server.Owner || a == server.Mm5OrOwner) && !c.MayActFor(app):
		return server.ErrNotYours
	}
	return nil
}
