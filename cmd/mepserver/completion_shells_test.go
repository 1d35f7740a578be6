package main

import (
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// zshDriver has a zsh complete lines in a terminal of its own, as at a Tab, and prints what it offers
// behind each: its completion only runs there.
const zshDriver = `zmodload zsh/zpty || exit 1
zpty z zsh -f -i
zpty -w z "PS1= PS2= RPS1=; unsetopt beep; autoload -U compinit && compinit -u -D; source ${(q)1}
offer() { compadd() { local -a hits; builtin compadd -O hits \"\$@\"; print -rl -- \"<\${^hits}>\" }; _main_complete; print -r -- \"<>\${(j: :)words}<>\" }
zle -C offer complete-word offer; bindkey '^I' offer; bindkey '^U' kill-whole-line; print '<'READY'>'"
local line text
while zpty -r z line; do [[ $line == *'<READY>'* ]] && break; done
for text in "${@:2}"; do
  zpty -w -n z $'\x15'$text$'\t'
  while zpty -r z line; do
    [[ $line == *"<>$text<>"* ]] && break
    if [[ $line == *'<'*'>'* ]]; then line=${line##*'<'}; print -r -- ${line%%'>'*}; fi
  done
  print -r -- '=='
done
zpty -d z
`

// fishDriver has fish do the same.
const fishDriver = `source $argv[1]; for line in $argv[2..]; complete -C $line; echo ==; end`

// offered is what a shell that has the completion offers behind each line; it is skipped where there
// is none of that name. args come before the file of the completion.
func offered(t *testing.T, name string, args []string, lines []string) [][]string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skip("no " + name + " here; .ci/run installs Debian's")
	}
	file := filepath.Join(t.TempDir(), "completion")
	require.NoError(t, os.WriteFile(file, []byte(done(t, "completion", name)), 0o600))
	c := exec.CommandContext(t.Context(), program, slices.Concat(args, []string{file}, lines)...) //nolint:gosec // a test's own words
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
	c.WaitDelay = time.Second
	out, err := c.Output()
	require.NoError(t, err, "%s", out)
	var all [][]string
	for part := range strings.SplitSeq(strings.TrimSuffix(string(out), "==\n"), "==\n") {
		all = append(all, slices.Sorted(slices.Values(strings.Fields(part))))
	}
	require.Len(t, all, len(lines), "%s", out)
	return all
}

// completions are lines, and what must be offered behind them, in every shell.
var completions = map[string][]string{
	"mepserver re":                  {"restore"},
	"mepserver app r":               {"remove", "rotate"},
	"mepserver services --st":       {"--state"},
	"mepserver services --state ":   {"ACTIVE", "INACTIVE", "SUSPENDED"},
	"mepserver services --state S":  {"SUSPENDED"},
	"mepserver services -o ":        {"json", "text", "wide"},
	"mepserver app add x --role h":  {"host"},
	"mepserver app list -o ":        {"json", "text"},
	"mepserver completion z":        {"zsh"},
	"mepserver help und":            {"undrain"},
	"mepserver drain x --reason ":   nil,
	"mepserver drain x --rea":       {"--reason"},
	"mepserver --li":                {"--listen"},
	"mepserver nonsense --nonsense": nil,
}

// offersAll tries a shell on all lines, and on files, of which some shells offer each folder on the
// way.
func offersAll(t *testing.T, name string, args ...string) {
	t.Helper()
	lines := slices.Sorted(maps.Keys(completions))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "only.yaml"), nil, 0o600))
	all := offered(t, name, args, slices.Concat(lines, []string{"mepserver services --config " + dir + "/on", "mepserver backup " + dir + "/on", "mepserver "}))
	for i, line := range lines {
		require.Equal(t, completions[line], all[i], line)
	}
	for _, got := range all[len(lines) : len(lines)+2] {
		require.True(t, slices.ContainsFunc(got, func(s string) bool { return path.Base(s) == "only.yaml" }), "%q", got)
		require.False(t, slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "--") }), "%q", got)
	}
	first := all[len(lines)+2]
	for _, c := range commands() {
		require.Contains(t, first, strings.Fields(c.name)[0])
	}
	require.NotContains(t, first, "wide")
}

func TestZshCompletes(t *testing.T) {
	driver := filepath.Join(t.TempDir(), "driver")
	require.NoError(t, os.WriteFile(driver, []byte(zshDriver), 0o600))
	offersAll(t, "zsh", "-f", driver)
}

func TestFishCompletes(t *testing.T) { offersAll(t, "fish", "--no-config", "-c", fishDriver) }
