package meta

import (
	"go/ast"
	"path"
)

// skipVerify is the member of tls.Config that turns the checks of a certificate off.
const skipVerify = "InsecureSkipVerify"

// pinned is the one package that may name it: EdgeGallery's certificates name no host.
const pinned = "plugins/edgegallery/pin"

// TLS refuses code that turns certificate checks off, tests included. The package pinned may do
// it where it checks the certificate itself: the tls.Config that names the member also has a
// VerifyConnection, which calls a function of that file that has x509 verify the chain.
func TLS(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.goFiles() {
		allowed := map[ast.Node]bool{}
		if path.Dir(f.Path) == pinned && !f.Test() {
			allowed = verifiedMembers(f.Go)
		}
		ast.Inspect(f.Go, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == skipVerify && !allowed[n] {
				out = append(out, Finding{"tls", f.Path, f.Line(n.Pos()), id.Name + " turns off the check that TLS is for"})
			}
			return true
		})
	}
	return out
}

// verifiedMembers are the places where a file names the member in a literal that has a check of
// its own.
func verifiedMembers(f *ast.File) map[ast.Node]bool {
	verifying := map[string]bool{} // functions that have x509 verify a chain
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && calls(fn.Body, func(name string) bool { return name == "Verify" }) {
			verifying[fn.Name.Name] = true
		}
	}
	out := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if literal, ok := n.(*ast.CompositeLit); ok {
			member, check := keyOf(literal, skipVerify), keyOf(literal, "VerifyConnection")
			if member != nil && check != nil && calls(check.Value, func(name string) bool { return verifying[name] }) {
				out[member.Key] = true
			}
		}
		return true
	})
	return out
}

// keyOf is the element of a literal with this key; nil: there is none.
func keyOf(literal *ast.CompositeLit, key string) *ast.KeyValueExpr {
	for _, e := range literal.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == key {
				return kv
			}
		}
	}
	return nil
}

// calls says whether a node calls a function or method with such a name.
func calls(in ast.Node, such func(name string) bool) (found bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			switch f := call.Fun.(type) {
			case *ast.Ident:
				found = found || such(f.Name)
			case *ast.SelectorExpr:
				found = found || such(f.Sel.Name)
			}
		}
		return !found
	})
	return found
}
