package identity

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// routes is the table route × role: every route that is served, and who may use it. It is
// filled before requests are served, and does not change then.
type routes struct {
	rows []routeRow
	open map[string]bool // paths of Open routes
	// site has the patterns of the routes for which a caller may need no proof in EdgeGallery's
	// site; nil: there are none.
	site *http.ServeMux
}

// routeRow is a row of the table, as the admin socket shows it.
type routeRow struct {
	Pattern string   `json:"pattern"` // METHOD and path; without a method: all that have no row of their own
	Name    string   `json:"name"`
	Access  string   `json:"access"`
	Roles   []string `json:"roles"` // empty for open ones, which need none
}

// add takes a row in.
func (t *routes) add(pattern, name string, a server.Access) {
	if t.site != nil && needsNothing(name, a) {
		t.site.Handle(pattern, http.NotFoundHandler())
	}
	pattern = strings.TrimSuffix(pattern, "{$}") // the path alone, as people write it
	t.rows = append(t.rows, routeRow{pattern, name, a.String(), mayUse[a]})
	if a != server.Open {
		return
	}
	if t.open == nil {
		t.open = map[string]bool{}
	}
	_, path, _ := strings.Cut(pattern, "/")
	t.open["/"+path] = true
}

// Route implements plugins.Identity.
func (d *door) Route(pattern, name string, a server.Access) { d.routes.add(pattern, name, a) }

// isOpen says whether the path is that of an Open route. Routes with wildcards never are.
func (t *routes) isOpen(path string) bool { return t.open[path] }

// maySite says whether a request is for one of the routes of site.
func (t *routes) maySite(r *http.Request) bool {
	if t.site == nil {
		return false
	}
	_, pattern := t.site.Handler(r)
	return pattern != ""
}

// show is the route of the admin socket that shows the table.
func (t *routes) show() plugins.AdminRoute {
	return plugins.AdminRoute{Pattern: "GET /routes", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		rows := slices.Clone(t.rows)
		slices.SortFunc(rows, func(a, b routeRow) int { return cmp.Compare(a.Pattern, b.Pattern) })
		body, _ := json.Marshal(map[string][]routeRow{"routes": rows}) // strings: cannot fail
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(body, '\n'))
	})}
}
