package meta

import (
	"fmt"
	"go/ast"
	"regexp"
	"strconv"
)

// Tiers keeps `go test ./...` quick and free of needs, and loses nothing by it: a
// test that starts etcd servers, pauses processes or goes on for as long as it is told
// is held back by test/tier, and whatever is held back is run by .ci/run and named in
// CONTRIBUTING.md.
func Tiers(t *Tree) []Finding {
	const rule = "tiers"
	var out []Finding
	whole, held := map[string]bool{}, map[string]File{}
	for _, f := range t.goFiles() {
		if !within(f.Dir(), "test") || !f.Test() {
			continue
		}
		for _, call := range tierCalls(t, f, f.Go) {
			if call.folder != f.Dir() {
				out = append(out, Finding{rule, f.Path, f.Line(call.node.Pos()), fmt.Sprintf("names the folder %q", call.folder)})
				continue
			}
			held[f.Dir()] = f
			whole[f.Dir()] = whole[f.Dir()] || call.name == "Main"
		}
	}
	for _, f := range t.goFiles() {
		if within(f.Dir(), "test") && f.Test() && !whole[f.Dir()] {
			for _, why := range lengthy(t, f) {
				out = append(out, Finding{rule, f.Path, f.Line(why.node.Pos()), why.what})
			}
		}
	}
	for dir, f := range held {
		command := `go test (\S+ )*\./` + regexp.QuoteMeta(dir) + ` (\S+ )*-run \.( |$)`
		for _, name := range []string{".ci/run", "CONTRIBUTING.md"} {
			if !t.says(name, `(?m)^[^#\n]*`+command) {
				out = append(out, Finding{rule, f.Path, 0, fmt.Sprintf("%s has no line with: go test ./%s -run .", name, dir)})
			}
		}
	}
	return out
}

// tierCall is a call of tier.Main or tier.Long.
type tierCall struct {
	node         ast.Node
	name, folder string
}

// tierCalls are those below a node.
func tierCalls(t *Tree, f File, below ast.Node) (calls []tierCall) {
	tier := localName(f, t.Module+"/test/tier")
	ast.Inspect(below, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for _, name := range []string{"Main", "Long"} {
			if selects(call.Fun, tier, name) && len(call.Args) > 1 {
				folder := ""
				if lit, ok := call.Args[1].(*ast.BasicLit); ok {
					folder, _ = strconv.Unquote(lit.Value)
				}
				calls = append(calls, tierCall{call, name, folder})
			}
		}
		return true
	})
	return calls
}

// selects tells whether an expression is pkg.name; "": of whatever.
func selects(e ast.Node, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return pkg == "" || ok && id.Name == pkg
}

type reason struct {
	node ast.Node
	what string
}

// lengthy is what a test file does that only a tier may. A function that says tier.Long
// may pause processes.
func lengthy(t *Tree, f File) (why []reason) {
	for _, spec := range f.Go.Imports {
		if spec.Path.Value == strconv.Quote(t.Module+"/test/etcd") {
			why = append(why, reason{spec, "starts etcd servers, so tier.Main must hold it back"})
		}
	}
	for _, d := range f.Go.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			if len(tierCalls(t, f, fn)) > 0 {
				continue
			}
		}
		ast.Inspect(d, func(n ast.Node) bool {
			call, _ := n.(*ast.CallExpr)
			switch {
			case selects(n, "syscall", "SIGSTOP"), call != nil && len(call.Args) == 0 && selects(call.Fun, "", "Pause"):
				why = append(why, reason{n, "pauses a process, so tier.Main or tier.Long must hold it back"})
			case call != nil && selects(call.Fun, "flag", "Duration"):
				why = append(why, reason{n, "goes on for as long as it is told, so tier.Main must hold it back"})
			}
			return true
		})
	}
	return why
}

// says tells whether a file is there and holds what a pattern describes.
func (t *Tree) says(name, pattern string) bool {
	for _, f := range t.Files {
		if f.Path == name {
			return regexp.MustCompile(pattern).Match(f.Data)
		}
	}
	return false
}
