package identity

import (
	"net/http"

	"github.com/mec-liveness/mepserver/plugins"
)

// door implements plugins.Identity.
type door struct {
	on     bool
	routes routes
}

var _ plugins.Identity = (*door)(nil)

// On implements plugins.Identity.
func (d *door) On() bool { return d.on }

// Handler implements plugins.Identity.
func (d *door) Handler(next http.Handler) http.Handler { return next }
