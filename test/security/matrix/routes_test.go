package matrix

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/printed"
)

// TestTheRoutesAreDocumented prints the table of the running server into docs/routes.md.
func TestTheRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	once := slices.DeleteFunc(slices.Clone(w.routes), func(r route) bool { return strings.Contains(r.Pattern, " /mep/") }) // the same once more
	printed.Compare(t, *update, "../../../docs/routes.md", "table of routes", "./test/security/matrix", tableOf(once))
}

// TestTheRoutesOfEdgeGalleryAreDocumented prints what a server has under compat: edgegallery and
// not otherwise.
func TestTheRoutesOfEdgeGalleryAreDocumented(t *testing.T) {
	t.Parallel()
	read := func(s *mep.Secured) (out []route) {
		var table struct{ Routes []route }
		require.NoError(t, json.Unmarshal(s.Admin("GET", "/routes", "").Body, &table))
		return table.Routes
	}
	usual := map[string]bool{}
	for _, r := range read(mep.Secure(t)) {
		usual[r.Pattern] = true
	}
	more := slices.DeleteFunc(read(mep.Secure(t, "MEP_COMPAT=edgegallery")), func(r route) bool { return usual[r.Pattern] })
	require.NotEmpty(t, more)
	printed.Compare(t, *update, "../../../docs/routes.md", "table of EdgeGallery's routes", "./test/security/matrix", tableOf(more))
}

// tableOf is a row for each path that is served with a method.
func tableOf(routes []route) string {
	type row struct{ path, methods, access, roles string }
	var rows []row
	for _, r := range routes {
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok { // other methods
			continue
		}
		if strings.HasPrefix(path, "/board/") { // one row for all files of the page
			path = "/board/*"
		}
		next := row{path, method, r.Access, strings.Join(r.Roles, ", ")}
		if i := slices.IndexFunc(rows, func(o row) bool { return o.path == next.path && o.access == next.access }); i >= 0 {
			if !strings.Contains(rows[i].methods, method) {
				rows[i].methods += ", " + method
			}
			continue
		}
		rows = append(rows, next)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.path, b.path) })
	var out strings.Builder
	out.WriteString("| path | methods | who | roles |\n|---|---|---|---|\n")
	for _, r := range rows {
		if r.roles == "" {
			r.roles = "–"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", r.path, r.methods, r.access, r.roles)
	}
	return out.String()
}
