package tier_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is .ci/run with other steps.
func script(t *testing.T, steps string) (out string, passed bool) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	b, err := os.ReadFile("../../.ci/run")
	require.NoError(t, err)
	functions, _, found := strings.Cut(string(b), "# What is above is tried by test/tier.\n")
	require.True(t, found)
	file := filepath.Join(t.TempDir(), "run")
	functions = strings.ReplaceAll(functions, `cd "$(dirname "$0")/.."`, "cd "+mustAbs(t))
	require.NoError(t, os.WriteFile(file, []byte(functions+steps+"\necho went on\n"), 0o600))
	return run(t, "bash", file)
}

func TestTheScriptGoesOnAfterATierThatPassed(t *testing.T) {
	out, passed := script(t, "step a tier\ntier quick go test ./testdata/mixed -run Quick -v\ntook\ncat \"$work/times\"")
	assert.True(t, passed, "%s", out)
	assert.Contains(t, out, "quick: --- PASS: TestQuick")
	assert.Regexp(t, ` s    quick\n +\d+ s  a tier\nwent on\n$`, out, "the times")
}

func TestTheScriptFailsWithATier(t *testing.T) {
	for why, steps := range map[string]string{
		"a test fails":                      "tier lab go test ./testdata/lab -run .",
		"one of two in the background does": "tier lab go test ./testdata/lab -run . & tier ok go test ./testdata/mixed -run Quick\nwait $!",
		"it is held back":                   "tier lab go test ./testdata/lab",
		"it is held back, with -v":          "tier lab go test ./testdata/lab -v",
		"no test has the name":              "tier lab go test ./testdata/mixed -run NoSuchTest",
		"etcd cannot be built":              "tier lab echo 'etcd cannot be built here, its modules cannot be fetched'",
		"there is no such package":          "tier lab go test ./testdata/none -run .",
	} {
		out, passed := script(t, "step a tier\n"+steps)
		assert.False(t, passed, "%s: %s", why, out)
		assert.NotContains(t, out, "went on", why)
		assert.Contains(t, out, "FAILED after ", why)
	}
	out, _ := script(t, "tier lab go test ./testdata/lab -run . -v")
	assert.Contains(t, out, "lab:     lab_test.go:21: it ran", "what the test said is shown")
}

func TestTheScriptSaysLastWhatFailed(t *testing.T) {
	log := strings.Join([]string{
		"=== RUN   TestBad", "=== PAUSE TestBad", "=== RUN   TestGood", "    good_test.go:1: said early",
		"=== CONT  TestBad", "    bad_test.go:1: expected 1", "=== NAME  TestGood", "    good_test.go:2: said late",
		"=== RUN   TestBad/inner", "    bad_test.go:2: expected 2", "--- PASS: TestGood (0.00s)",
		"--- FAIL: TestBad (0.00s)", "    --- PASS: TestBad/fine (0.00s)", "    --- FAIL: TestBad/inner (0.00s)", "FAIL", "",
	}, "\n")
	file := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(file, []byte(log), 0o600))
	out, passed := script(t, "tier lab bash -c 'cat "+file+"; false'")
	assert.False(t, passed)
	_, last, found := strings.Cut(out, "lab: what failed:\n")
	require.True(t, found, "%s", out)
	for _, said := range []string{"expected 1", "expected 2", "--- FAIL: TestBad (0.00s)", "--- FAIL: TestBad/inner"} {
		assert.Contains(t, last, said)
	}
	for _, said := range []string{"said early", "said late", "TestGood", "TestBad/fine"} {
		assert.NotContains(t, last, said)
	}
}
