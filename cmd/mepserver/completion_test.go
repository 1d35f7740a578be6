package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// completed is what a bash that has the completion offers behind a line, whose last word may be
// empty.
func completed(t *testing.T, line string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	file := filepath.Join(t.TempDir(), "completion")
	require.NoError(t, os.WriteFile(file, []byte(done(t, "completion", "bash")), 0o600))
	script := `set -u; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _mepserver; printf '%s\n' "${COMPREPLY[@]}"`
	words := strings.Split(line, " ")
	out, err := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-c", script, "bash", file}, words...)...).CombinedOutput() //nolint:gosec // a test's own words
	require.NoError(t, err, "%s", out)
	return slices.Sorted(slices.Values(strings.Fields(string(out)))) // nil if there is nothing
}

func TestBashCompletesCommandsFlagsAndValues(t *testing.T) {
	for line, want := range completions {
		require.Equal(t, want, completed(t, line), line)
	}
	for line, want := range map[string][]string{
		"mepserver completion ":                             {"--help", "bash", "fish", "zsh"},
		"mepserver services --config ../../conf/mepserver.": {"../../conf/mepserver.yaml"},
		"mepserver backup ../../conf/mepserver.y":           {"../../conf/mepserver.yaml"},
		"mepserver nonsense --":                             nil,
	} {
		require.Equal(t, want, completed(t, line), line)
	}
}

// A command or a flag that is added is completed without another word about it.
func TestEveryCommandAndFlagIsCompletedByEveryShell(t *testing.T) {
	first := completed(t, "mepserver ")
	for _, c := range commands() {
		require.Contains(t, first, strings.Fields(c.name)[0])
		want := []string{"--help"}
		for _, o := range c.flags {
			want = append(want, spelled(o))
		}
		require.Subset(t, completed(t, "mepserver "+c.name+" -"), want, c.name)
	}
	for _, o := range serverFlags() {
		require.Contains(t, first, spelled(o))
	}
	for shell, flag := range map[string]string{"zsh": "%s", "fish": "-l %s"} {
		text := done(t, "completion", shell)
		for _, c := range commands() {
			require.Contains(t, text, c.name)
			for _, o := range c.flags {
				name := strings.Replace(flag, "%s", o.name, 1)
				if len(o.name) == 1 {
					name = o.name
				}
				require.Contains(t, text, name, shell)
			}
		}
		if path, err := exec.LookPath(shell); err == nil {
			file := filepath.Join(t.TempDir(), shell)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			out, err := exec.CommandContext(t.Context(), path, "-n", file).CombinedOutput() //nolint:gosec // a test's own file
			require.NoError(t, err, "%s", out)
		}
	}
	code, _, errs := typed(t, "completion", "csh")
	require.Equal(t, 1, code)
	require.Equal(t, "mepserver: SHELL must be of bash, zsh, fish, not \"csh\"\n", errs)
}
