package meta

import (
	"fmt"
	"go/ast"
	"regexp"
	"strings"
)

// The hard limits of size, in lines. The house aims at 300 and 60; between aim
// and limit a reviewer decides.
const (
	maxFileLines = 400
	maxFuncLines = 80
)

// packageDoc is a first sentence: at least "Package name knows something."
var packageDoc = regexp.MustCompile(`^(Package [a-z0-9_]+|[A-Z][A-Za-z-]*|mep[a-z-]*) [^.]{8,}`)

// PackageDocs demands a doc comment that opens with a sentence from every
// package that has code outside tests; of a test-only folder, one test file
// must carry it.
func PackageDocs(t *Tree) []Finding {
	const rule = "package doc"
	first := map[string]File{}
	best := map[string]string{}
	var dirs []string
	for _, f := range t.goFiles() {
		if _, met := first[f.Dir()]; !met {
			first[f.Dir()] = f
			dirs = append(dirs, f.Dir())
		}
		if f.Go.Doc != nil {
			if text := f.Go.Doc.Text(); len(text) > len(best[f.Dir()]) {
				best[f.Dir()] = text
			}
		}
	}
	var out []Finding
	for _, dir := range dirs {
		name := first[dir].Go.Name.Name
		text := strings.Join(strings.Fields(best[dir]), " ")
		switch {
		case text == "":
			out = append(out, Finding{rule, first[dir].Path, 0, "no file of the package has a doc comment"})
		case !packageDoc.MatchString(text) || !strings.Contains(text, "."):
			out = append(out, Finding{rule, first[dir].Path, 0, "does not begin with a sentence"})
		case name != "main" && !strings.HasPrefix(text, "Package "+strings.TrimSuffix(name, "_test")+" "):
			out = append(out, Finding{rule, first[dir].Path, 0, "does not begin with \"Package " + name + "\""})
		}
	}
	return out
}

// Clock bans time.Now from the logic that must be told the time, and
// time.Sleep from unit tests.
func Clock(t *Tree) []Finding {
	const rule = "clock"
	var out []Finding
	for _, f := range t.goFiles() {
		logic := !f.Test() && (within(f.Dir(), "heartbeat") || (within(f.Dir(), "mp1") && !within(f.Dir(), "mp1/server", "mp1/client")))
		unit := f.Test() && !within(f.Dir(), "test") && !usesSynctest(f)
		if !logic && !unit {
			continue
		}
		name := localName(f, "time")
		ast.Inspect(f.Go, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); !ok || name == "" || pkg.Name != name {
				return true
			}
			switch {
			case logic && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since" || sel.Sel.Name == "Until"):
				out = append(out, Finding{rule, f.Path, f.Line(n.Pos()), "time." + sel.Sel.Name + " in logic, which must be told the time"})
			case unit && sel.Sel.Name == "Sleep":
				out = append(out, Finding{rule, f.Path, f.Line(n.Pos()), "time.Sleep in a unit test; use testing/synctest"})
			}
			return true
		})
		if name == "." {
			out = append(out, Finding{rule, f.Path, 0, "a dot import of time hides its clock"})
		}
	}
	return out
}

// usesSynctest tells whether the file's sleeps may run on a bubble's clock.
func usesSynctest(f File) bool { return localName(f, "testing/synctest") != "" }

// localName is what the file calls an imported package, or "".
func localName(f File, path string) string {
	for _, spec := range f.Go.Imports {
		if strings.Trim(spec.Path.Value, `"`) != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndexByte(path, '/')+1:]
	}
	return ""
}

// Size holds files and functions to the hard limits; generated files and tests
// are excepted.
func Size(t *Tree) []Finding {
	const rule = "size"
	var out []Finding
	for _, f := range t.goFiles() {
		if f.Test() || f.Generated() {
			continue
		}
		if n := strings.Count(string(f.Data), "\n"); n > maxFileLines {
			out = append(out, Finding{rule, f.Path, 0, fmt.Sprintf("%d lines, limit %d", n, maxFileLines)})
		}
		for _, d := range f.Go.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := f.Line(fn.End()) - f.Line(fn.Pos()) + 1; n > maxFuncLines {
				out = append(out, Finding{rule, f.Path, f.Line(fn.Pos()), fmt.Sprintf("%s has %d lines, limit %d", fn.Name.Name, n, maxFuncLines)})
			}
		}
	}
	return out
}
