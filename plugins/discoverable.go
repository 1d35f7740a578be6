package plugins

import (
	"context"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

// Discoverable is what the caller of a request may discover, if he is an application and somebody
// says what that requires. Whoever reads for the platform sees everything.
func (h *Host) Discoverable(ctx context.Context) mp1.RequiredServices {
	c := CallerOf(ctx)
	if h.Required == nil || c == nil || c.App == "" || c.Has(conf.RoleAdmin) || c.Has(conf.RoleReader) {
		return mp1.AllServices()
	}
	return h.Required(ctx, c.App)
}
