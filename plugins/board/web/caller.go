package web

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

const callerPath = "/mec_liveness/v1/caller"

// caller answers who sent the request, as far as that was proved, and what he may do on the board.
// Whoever proved nothing is told so, and that he has to.
type caller struct{ host *plugins.Host }

// shownCaller is the answer.
type shownCaller struct {
	Identities bool     `json:"identities"` // whether the server asks anybody who he is
	Name       string   `json:"name,omitempty"`
	Roles      []string `json:"roles,omitempty"`
	Source     string   `json:"source,omitempty"`
	MayRead    bool     `json:"mayRead"`
	MayDrain   bool     `json:"mayDrain"`
	Links      links    `json:"links"` // none for whoever may not read
}

// links lead from a service to where more is seen of it.
type links struct {
	Console   string `json:"console,omitempty"`   // ServiceComb's own, relative to where the board is
	Dashboard string `json:"dashboard,omitempty"` // of the operator, with names in braces
}

// consoleLink is where ServiceComb's console is served, seen from the board. Below plugins.MepPrefix
// it is not.
const consoleLink = "servicecomb/"

// ServeHTTP implements http.Handler.
func (c caller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := shownCaller{Identities: c.host.Identity != nil && c.host.Identity.On()}
	if who := plugins.CallerOf(r.Context()); who != nil {
		out.Name, out.Roles, out.Source = who.Name, who.Roles, who.Source
	}
	out.MayDrain = !out.Identities || plugins.CallerOf(r.Context()).Has(conf.RoleAdmin)
	out.MayRead = out.MayDrain || plugins.CallerOf(r.Context()).Has(conf.RoleReader)
	if out.MayRead {
		out.Links.Dashboard = c.host.Config.Board.DashboardURL
		if c.host.Config.Server.ConsoleDir != "" && !strings.HasPrefix(r.URL.Path, plugins.MepPrefix+"/") {
			out.Links.Console = consoleLink
		}
	}
	body, _ := json.Marshal(out) // strings and bools: cannot fail
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n'))
}
