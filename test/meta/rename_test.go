package meta

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The script works on the tree that it stands in, so it is tried in a copy.
func TestRenameModuleRenamesEveryMention(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join(root, "build", "rename-module.sh"))
	require.NoError(t, err)
	const other = "github.com/old/name-tools v1.0.0 and my-github.com/old/name"
	files := map[string]string{
		"go.mod":             "module github.com/old/name\n\ngo 1.26\n",
		"build/tools/go.mod": "module github.com/old/name/build/tools\n",
		"a/a.go":             "package a\n\nimport (\n\t_ \"github.com/old/name/b\"\n\t_ \"github.com/other/c\"\n)\n",
		"README.md":          "https://github.com/old/name and github.com/old/name, github.com/old/name/b; " + other + "\n",
		".ci/run":            "-X github.com/old/name/cmd.version=1\n",
		"data/x.md":          "github.com/old/name\n",
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "build"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "build", "rename-module.sh"), script, 0o600))
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{filepath.Join(dir, "build", "rename-module.sh")}, args...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, bad := range [][]string{nil, {""}, {"name"}, {"example.org"}, {"example.org/a b"}, {"example.org/a#b"}} {
		out, err := run(bad...)
		require.Error(t, err, "%q", bad)
		assert.Contains(t, out, "usage")
	}
	out, err := run("z.example.org/new/name")
	require.NoError(t, err, out)

	for name, want := range map[string]string{
		"go.mod":             "module z.example.org/new/name\n\ngo 1.26\n",
		"build/tools/go.mod": "module z.example.org/new/name/build/tools\n",
		"a/a.go":             "package a\n\nimport (\n\t_ \"github.com/other/c\"\n\t_ \"z.example.org/new/name/b\"\n)\n",
		"README.md":          "https://z.example.org/new/name and z.example.org/new/name, z.example.org/new/name/b; " + other + "\n",
		".ci/run":            "-X z.example.org/new/name/cmd.version=1\n",
		"data/x.md":          "github.com/old/name\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(got), name)
	}
	out, err = run("z.example.org/new/name")
	require.NoError(t, err, out)
	assert.Contains(t, out, "already")
}
