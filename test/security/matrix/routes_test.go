package matrix

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mec-liveness/mepserver/test/printed"
)

// TestTheRoutesAreDocumented prints the table of the running server into docs/routes.md.
func TestTheRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type row struct{ path, methods, access, roles string }
	var rows []row
	for _, r := range w.routes {
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok || strings.HasPrefix(path, "/mep/") { // other methods, and the same once more
			continue
		}
		next := row{path, method, r.Access, strings.Join(r.Roles, ", ")}
		if i := slices.IndexFunc(rows, func(o row) bool { return o.path == next.path && o.access == next.access }); i >= 0 {
			rows[i].methods += ", " + method
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
	printed.Compare(t, *update, "../../../docs/routes.md", "table of routes", "./test/security/matrix", out.String())
}
