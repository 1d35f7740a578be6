package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommandsTakeTheirArgumentsAndFlagsInAnyOrder(t *testing.T) {
	for _, line := range []string{"backup F --force --data-dir D", "backup --force --data-dir=D F", "backup --data-dir D F --force"} {
		c, ok := commandIn(strings.Fields(line))
		require.True(t, ok)
		src, args, own, err := c.parse(strings.Fields(line)[1:], io.Discard)
		require.NoError(t, err)
		assert.Equal(t, []string{"F"}, args)
		assert.Equal(t, map[string]bool{"force": true}, own)
		assert.Equal(t, map[string]string{"data-dir": "D"}, src.Flags)
	}
	_, ok := commandIn([]string{"serve"})
	assert.False(t, ok)
	_, ok = commandIn(nil)
	assert.False(t, ok)
}

func TestACommandThatCannotBeDoneIsOneLineAndExitCodeOne(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		"check extra":                  `mepserver: mepserver check takes no arguments but flags, not ["extra"]; --help says more`,
		"restore":                      `mepserver: mepserver restore takes FILE, not []; --help says more`,
		"backup a b":                   `mepserver: mepserver backup takes FILE, not ["a" "b"]`,
		"check --force":                "mepserver: flag provided but not defined: -force; mepserver check --help says how it is called",
		"check --data-dir D":           "mepserver: there is no store in D",
		"backup D/b --data-dir D":      "mepserver: there is no store in D",
		"restore D/b --data-dir D/new": "mepserver: stat D/b: no such file or directory",
	} {
		var out, errs bytes.Buffer
		line, want = strings.ReplaceAll(line, "D", dir), strings.ReplaceAll(want, "D", dir)
		p := environment{args: strings.Fields(line), out: &out, errs: &errs}
		assert.Equal(t, 1, p.run(t.Context()), line)
		assert.Contains(t, errs.String(), want)
		assert.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())
		assert.Empty(t, out.String())
	}
	for _, kind := range []string{"check", "backup F", "restore F"} {
		var errs bytes.Buffer
		p := environment{args: strings.Fields(kind), environ: []string{"MEP_STORE_ENDPOINTS=http://127.0.0.1:1"}, out: io.Discard, errs: &errs}
		assert.Equal(t, 1, p.run(t.Context()))
		assert.Contains(t, errs.String(), "only an embedded store")
	}
}

func TestEveryCommandHasItsHelp(t *testing.T) {
	for _, c := range commands() {
		assert.Contains(t, help, "\n  mepserver "+c.name+" ")
		var out bytes.Buffer
		_, _, _, err := c.parse([]string{"--help"}, &out)
		require.ErrorIs(t, err, flag.ErrHelp)
		for _, name := range append(c.args, c.flags...) {
			assert.Contains(t, out.String(), name)
		}
	}
}

// An installed program has no file beside it.
func TestTheExampleIsTheShippedFile(t *testing.T) {
	var out bytes.Buffer
	p := environment{args: []string{"example"}, out: &out, errs: io.Discard}
	require.Equal(t, 0, p.run(t.Context()))
	shipped, err := os.ReadFile("../../conf/mepserver.yaml")
	require.NoError(t, err)
	require.Equal(t, string(shipped), out.String())
}
