package center

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const oldEtcd = "github.com/coreos/etcd/"

// oldNames collects the names that a Go file takes from etcd 3.3, as pkg.Name.
func oldNames(t *testing.T, name string, src any) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	require.NoError(t, err)
	as := map[string]string{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		require.NoError(t, err)
		if rest, ok := strings.CutPrefix(p, oldEtcd); ok {
			local := path.Base(p)
			if i.Name != nil {
				local = i.Name.Name
			}
			as[local] = rest
		}
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && as[id.Name] != "" {
				out = append(out, as[id.Name]+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return out
}

// aliases are the exported names of the alias module.
func aliases(t *testing.T) (out []string) {
	t.Helper()
	root := filepath.Join("..", "..", "..", "build", "coreos-etcd")
	for _, pkg := range []string{"mvcc/mvccpb", "client"} {
		files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, d := range f.Decls {
				if g, ok := d.(*ast.GenDecl); ok {
					for _, s := range g.Specs {
						switch s := s.(type) {
						case *ast.TypeSpec:
							out = append(out, pkg+"."+s.Name.Name)
						case *ast.ValueSpec:
							out = append(out, pkg+"."+s.Names[0].Name)
						}
					}
				}
			}
		}
	}
	return out
}

// lacking are the names that are used and not declared.
func lacking(used, declared []string) (out []string) {
	for _, u := range used {
		if !slices.Contains(declared, u) && !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// service-center names etcd 3.3 in three places; the alias module has just these
// names. A service-center that needs another one is found here, by name.
func TestTheAliasModuleHasWhatServiceCenterNames(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", `{{if .Module}}{{if eq .Module.Path "github.com/apache/servicecomb-service-center"}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{end}}{{end}}`, ".").Output()
	require.NoError(t, err)
	var used []string
	for file := range strings.Lines(string(out)) {
		if file = strings.TrimSpace(file); file != "" {
			used = append(used, oldNames(t, file, nil)...)
		}
	}
	require.NotEmpty(t, used, "service-center names no etcd type any more: drop the alias module")
	declared := aliases(t)
	require.Empty(t, lacking(used, declared), "add these to build/coreos-etcd")
	require.Empty(t, lacking(declared, used), "nobody needs these in build/coreos-etcd")
	fixture := oldNames(t, "fixture.go", "package f\nimport kv \"github.com/coreos/etcd/mvcc/mvccpb\"\nvar x kv.KeyValue\nvar y kv.Watcher\n")
	require.Equal(t, []string{"mvcc/mvccpb.Watcher"}, lacking(fixture, declared), "the check must reject its fixture")
}
