package meta

import (
	"go/ast"
	"go/token"
	"regexp"
)

// checkoutPath is a file that a checkout has and an installed program does not have beside it.
var checkoutPath = regexp.MustCompile(`\b(docs|build|test)/[A-Za-z0-9_.-]+|\bconf/mep[a-z-]*\.yaml|\bREADME\.md|\bADR \d`)

// Messages refuses texts of the programs that send their reader to a file of the checkout: who
// reads them has an installed program only.
func Messages(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.goFiles() {
		if f.Test() || !within(f.Dir(), "cmd", "conf", "agent", "heartbeat", "logs", "mp1", "plugins") {
			continue
		}
		imports := map[ast.Node]bool{}
		for _, spec := range f.Go.Imports {
			imports[spec.Path] = true
		}
		ast.Inspect(f.Go, func(n ast.Node) bool {
			text, ok := n.(*ast.BasicLit)
			if !ok || text.Kind != token.STRING || imports[text] {
				return true
			}
			if m := checkoutPath.FindString(text.Value); m != "" {
				out = append(out, Finding{"messages", f.Path, f.Line(text.Pos()), m + " is not there where the program is installed"})
			}
			return true
		})
	}
	return out
}
