package tier_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fixture builds the test of a package in testdata, of which every test that runs fails.
func fixture(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name+".test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, "./testdata/"+name).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

func run(t *testing.T, binary string, args ...string) (out string, passed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = t.TempDir()
	b, err := cmd.CombinedOutput()
	return string(b), err == nil
}

// What a plain go test passes to a test asks for nothing.
var usual = []string{"-test.paniconexit0", "-test.timeout=10m0s", "-test.count=1", "-test.v=true", "-test.parallel=3", "-test.short", "-test.skip=X"}

func TestATierIsHeldBackUntilItIsAskedFor(t *testing.T) {
	lab := fixture(t, "lab")
	out, passed := run(t, lab, usual...)
	require.True(t, passed, "%s", out)
	lines := strings.Split(out, "\n")
	assert.Equal(t, "not run: test/tier/testdata/lab, for it always fails; to run it: go test ./test/tier/testdata/lab -run .", lines[0])
	assert.Equal(t, "testing: warning: no tests to run", lines[1], "by which go test knows that there was none")
	assert.NotContains(t, out, "prepared", "what only its tests need was not made")
	assert.NotContains(t, out, "it ran")
}

func TestATierThatIsAskedForRunsAndItsFailureCounts(t *testing.T) {
	lab := fixture(t, "lab")
	for _, args := range [][]string{{"-test.run=."}, {"-test.run="}, {"-test.run=ThatFails"}, {"-long"}, {"-long=false"},
		{"-test.run=^$", "-test.bench=."}, {"-test.run=^$", "-test.fuzz=.", "-test.fuzzcachedir=" + t.TempDir()}} {
		out, passed := run(t, lab, append(usual, args...)...)
		assert.False(t, passed, "%q: %s", args, out)
		assert.Contains(t, out, "it ran", "%q", args)
		assert.NotContains(t, out, "not run:", "%q", args)
	}
	out, passed := run(t, lab, "-test.list=.")
	assert.True(t, passed)
	assert.Contains(t, out, "TestThatFails\n", "editors list tests")
}

func TestALongTestIsHeldBackUntilItIsAskedFor(t *testing.T) {
	mixed := fixture(t, "mixed")
	out, passed := run(t, mixed, usual...)
	assert.True(t, passed, "%s", out)
	assert.Contains(t, out, "--- PASS: TestQuick")
	assert.Contains(t, out, "--- SKIP: TestLong")
	assert.Contains(t, out, "not run: test/tier/testdata/mixed, for it always fails; to run it: go test ./test/tier/testdata/mixed -run TestLong\n")
	for _, which := range []string{".", "TestLong"} {
		out, passed = run(t, mixed, "-test.v", "-test.run="+which)
		assert.False(t, passed, "%s", out)
		assert.Contains(t, out, "it ran")
	}
}

// go test itself shows that no test ran, also where it takes the result from its cache.
func TestGoTestShowsThatNoTestRan(t *testing.T) {
	goTest := func(args ...string) (string, bool) {
		return run(t, "go", append([]string{"-C", mustAbs(t), "test"}, args...)...)
	}
	for range 2 {
		out, passed := goTest("./testdata/lab")
		require.True(t, passed, "%s", out)
		require.Contains(t, out, "[no tests to run]")
	}
	out, passed := goTest("./testdata/lab", "-run", ".")
	require.False(t, passed, "what was held back must not be taken for what was asked for\n%s", out)
	require.Contains(t, out, "it ran")
}

func mustAbs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	require.NoError(t, err)
	return dir
}
