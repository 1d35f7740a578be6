package meta

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// root is the repository's own tree, from this folder.
const root = "../.."

// rules are all there are. Each has a tree in testdata/NAME that breaks it, and
// what it must say of that tree in testdata/NAME.want.
var rules = map[string]func(*Tree) []Finding{
	"imports":     Imports,
	"package-doc": PackageDocs,
	"clock":       Clock,
	"tls":         TLS,
	"size":        Size,
	"foreign":     Foreign,
	"adr":         ADRs,
	"tiers":       Tiers,
	"documents":   Documents,
	"messages":    Messages,
}

func TestTheHouseKeepsItsRules(t *testing.T) {
	tree, err := Walk(root)
	require.NoError(t, err)
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, f := range rule(tree) {
				t.Error(f)
			}
		})
	}
}

func TestEveryRuleRejectsItsFixture(t *testing.T) {
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			tree, err := Walk(filepath.Join("testdata", name))
			require.NoError(t, err)
			var got []string
			for _, f := range rule(tree) {
				got = append(got, f.String())
			}
			sort.Strings(got)
			want, err := os.ReadFile(filepath.Join("testdata", name+".want"))
			require.NoError(t, err, "findings:\n%s", strings.Join(got, "\n"))
			require.NotEmpty(t, strings.TrimSpace(string(want)), "a fixture that breaks nothing proves nothing")
			assert.Equal(t, strings.TrimSpace(string(want)), strings.Join(got, "\n"))
		})
	}
}

// A rule that looks at nothing finds nothing: the walk must reach all there is.
func TestWalkReachesTheWholeTree(t *testing.T) {
	tree, err := Walk(root)
	require.NoError(t, err)
	assert.NotEmpty(t, tree.Module)
	seen := map[string]int{}
	for _, f := range tree.Files {
		seen[f.Path]++
		assert.NotContains(t, "/"+f.Path, "/testdata/")
		assert.NotContains(t, "/"+f.Path, "/.git/")
	}
	for _, path := range []string{"go.mod", "LICENSE", ".ci/run", ".golangci.yml", "conf/mepserver.yaml", "conf/load.go",
		"conf/faults_test.go", "cmd/mepserver/flags.go", "test/meta/tree.go", "build/tools/go.mod"} {
		assert.Equal(t, 1, seen[path], path)
	}
	inOwn := map[string]bool{}
	for _, f := range tree.goFiles() {
		inOwn[f.Dir()] = true
	}
	for _, dir := range []string{"conf", "cmd/mepserver", "test/meta", "heartbeat"} {
		assert.True(t, inOwn[dir], dir)
	}
}

func TestWalkRefusesATreeThatIsNone(t *testing.T) {
	_, err := Walk(t.TempDir())
	assert.ErrorContains(t, err, "no go.mod")
	_, err = Walk("nowhere")
	assert.Error(t, err)
}

func TestTableHasEachRowOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table {
		assert.False(t, seen[r.dir], r.dir)
		seen[r.dir] = true
		for _, p := range r.project {
			if p != "*" {
				_, known := rowFor(strings.TrimSuffix(p, "/*"))
				assert.True(t, known, "%s names %s, which has no row", r.dir, p)
			}
		}
	}
}
