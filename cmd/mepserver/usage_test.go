package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHelpIsACommandAsWell(t *testing.T) {
	require.Equal(t, help, done(t, "help"))
	require.Equal(t, done(t, "--help"), done(t, "help"))
	require.Equal(t, done(t, "--version"), done(t, "version"))
	for _, c := range commands() {
		require.Equal(t, c.help, done(t, append([]string{"help"}, strings.Fields(c.name)...)...), c.name)
	}
	for line, want := range map[string]string{
		"help servces":    `mepserver: there is no command "servces"; is it mepserver services? mepserver help lists all`,
		"help app lst":    `mepserver: there is no command "app lst"; is it mepserver app list? mepserver help lists all`,
		"help services x": `mepserver: there is no command "services x"; is it mepserver services? mepserver help lists all`,
		"help nonsense":   `mepserver: there is no command "nonsense"; mepserver help lists all`,
	} {
		code, out, errs := typed(t, strings.Fields(line)...)
		require.Equal(t, exitFailed, code)
		require.Empty(t, out)
		require.Equal(t, want+"\n", errs)
	}
}

// What is shown to be typed can be typed where the program was called.
func TestTheProgramIsNamedAsItWasCalled(t *testing.T) {
	for program, want := range map[string]string{"": "mepserver", "mepserver": "mepserver", "bin/mepserver": "bin/mepserver", "./mep\x1b[2J": "'./mep[2J'", "/opt/my tools/mepserver": "'/opt/my tools/mepserver'",
		"/tmp/go-build1905/b001/exe/mepserver": "go run ./cmd/mepserver"} {
		require.Equal(t, want, environment{program: program}.called())
	}
}

func TestADemoBeyondLoopbackIsRefusedInItsOwnWords(t *testing.T) {
	for _, p := range []environment{{args: []string{"demo", "--listen", "0.0.0.0:30100"}}, {args: []string{"demo"}, environ: []string{"MEP_SERVER_LISTEN=0.0.0.0:30100"}}} {
		var errs strings.Builder
		p.out, p.errs = io.Discard, &errs
		require.Equal(t, exitFailed, p.run(t.Context()))
		require.Regexp(t, `^mepserver: --listen .* must be on loopback, .*\n$`, errs.String())
	}
}
