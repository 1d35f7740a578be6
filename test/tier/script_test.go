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

func TestTheScriptSaysWhereItStopped(t *testing.T) {
	out, passed := script(t, "step one\nstep another\nfalse")
	assert.False(t, passed)
	assert.NotContains(t, out, "went on")
	assert.Regexp(t, `\n=== stopped after \d+ s, in: another\n$`, out)
	out, passed = script(t, "step one\ntier lab go test ./testdata/lab -run . & wait $! || lost lab 'see above'")
	assert.False(t, passed)
	assert.NotContains(t, out, "went on")
	assert.Regexp(t, `(?s)\nFAILED after .*\nlab: what failed:\n.*FAILED after \d+ s: lab: see above\n=== stopped after \d+ s, in: one\n$`, out, "again, for others went on meanwhile")
	out, passed = script(t, "step one")
	assert.True(t, passed)
	assert.NotContains(t, out, "stopped")
}

// A machine without a mirror of Debian's, or with one that hangs, goes on without what that has.
func TestTheScriptGoesOnWithoutWhatCannotBeInstalled(t *testing.T) {
	for why, c := range map[string]struct {
		id, apt string
		calls   string
	}{
		"there":                {"0", `true`, "install one,install two"},
		"no list of packages":  {"0", `[[ $* == *update* ]] || [[ $(grep -c update "$calls") != 0 ]]`, "install one,update,install one,install two"},
		"no mirror":            {"0", `exit 100`, "install one,update,install two,update"},
		"one that hangs":       {"0", `exit 124`, "install one"},
		"lists but no package": {"0", `[[ $* == *update* ]]`, "install one,update,install one,install two,update,install two"},
		"not root":             {"1000", `true`, ""},
	} {
		fake := t.TempDir()
		calls := filepath.Join(fake, "calls")
		for name, text := range map[string]string{"id": "echo " + c.id, "apt-get": "calls=" + calls + `; [[ -t 0 ]] && exit 1
for last; do :; done; [[ $last == update ]] && echo update >>"$calls" || echo "install $last" >>"$calls"
` + c.apt} {
			require.NoError(t, os.WriteFile(filepath.Join(fake, name), []byte("#!/usr/bin/env bash\n"+text+"\n"), 0o700)) //nolint:gosec // it is run
		}
		require.NoError(t, os.WriteFile(calls, nil, 0o600))
		out, passed := script(t, "PATH="+fake+":$PATH\ndebian one\ndebian two")
		assert.True(t, passed, "%s: %s", why, out)
		assert.Regexp(t, `went on\n$`, out, why)
		got, err := os.ReadFile(calls)
		require.NoError(t, err)
		assert.Equal(t, c.calls, strings.ReplaceAll(strings.TrimSpace(string(got)), "\n", ","), why)
	}
}
