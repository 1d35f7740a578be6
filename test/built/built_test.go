package built_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
)

// project is a module with a command and two tests that print what it is: one depends on
// its sources as it should, the other forgot to.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile("built.go")
	require.NoError(t, err)
	tests := `package PKG

import (
	"os/exec"
	"testing"

	"example.org/p/test/built"
)

func TestIt(t *testing.T) {
	CALL
	path, err := built.Command(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
}
`
	for name, text := range map[string]string{
		"go.mod":                   "module example.org/p\n\ngo 1.26\n",
		"go.sum":                   "",
		"cmd/x/main.go":            "package main\n\nfunc main() {}\n",
		"test/built/built.go":      string(source),
		"test/careful/a_test.go":   strings.NewReplacer("PKG", "careful", "CALL", "built.Depend()").Replace(tests),
		"test/forgetful/a_test.go": strings.NewReplacer("PKG", "forgetful", "CALL", "").Replace(tests),
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		old := time.Now().Add(-time.Hour) // go test caches nothing that has just been written
		require.NoError(t, os.Chtimes(file, old, old))
	}
	return dir
}

func goTest(t *testing.T, dir, pkg string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "./test/"+pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "..", "cache"), "GOCACHE="+cache(t), "GOFLAGS=")
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// cache is the go command's own, which XDG_CACHE_HOME would change.
func cache(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func TestATestRunsAgainWhenTheProgramHasChanged(t *testing.T) {
	dir := project(t)
	for _, pkg := range []string{"careful", "forgetful"} {
		require.Regexp(t, `^ok `, goTest(t, dir, pkg))
		require.Contains(t, goTest(t, dir, pkg), "(cached)", "nothing has changed")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd/x/main.go"), []byte("package main\n\nfunc main() { panic(\"broken\") }\n"), 0o600))
	assert.Contains(t, goTest(t, dir, "careful"), "panic: broken")
	assert.Contains(t, goTest(t, dir, "forgetful"), "(cached)", "if this one notices too, Depend is needed no more")
}

func TestACommandIsLinkedOnceUnlessFlagsMayChangeIt(t *testing.T) {
	dir := project(t)
	t.Chdir(filepath.Join(dir, "test"))
	t.Setenv("GOCACHE", cache(t))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("GOFLAGS", "")
	info := func(flags ...string) os.FileInfo {
		path, err := built.Command(t.TempDir(), "x", flags...)
		require.NoError(t, err)
		i, err := os.Stat(path)
		require.NoError(t, err)
		return i
	}
	first := info()
	assert.True(t, os.SameFile(first, info()))
	assert.False(t, os.SameFile(first, info("-tags", "other")))
	t.Setenv("GOFLAGS", "-v=false")
	assert.False(t, os.SameFile(first, info()), "an overlay in GOFLAGS is nobody else's business")
	t.Setenv("GOFLAGS", "")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd/x/main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o600))
	assert.False(t, os.SameFile(first, info()), "who runs the old one keeps it")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd/x/main.go"), []byte("package main\n\nfunc main() {\n"), 0o600))
	_, err := built.Command(t.TempDir(), "x")
	require.ErrorContains(t, err, "cannot build x: ")
}
