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
		src, g, err := c.parse(strings.Fields(line)[1:], io.Discard)
		require.NoError(t, err)
		assert.Equal(t, []string{"F"}, g.args)
		assert.True(t, g.on("force"))
		assert.Equal(t, map[string]string{"data-dir": "D"}, src.Flags)
	}
	_, ok := commandIn([]string{"serve"})
	assert.False(t, ok)
	_, ok = commandIn(nil)
	assert.False(t, ok)
	for line, name := range map[string]string{"app add my-app": "app add", "app": "app", "app my-app": "app", "init": "init"} {
		c, ok := commandIn(strings.Fields(line))
		require.True(t, ok)
		assert.Equal(t, name, c.name)
	}
}

func TestACommandThatCannotBeDoneIsOneLineAndExitCodeOne(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		"check extra":                      `mepserver: mepserver check takes no arguments but flags, not ["extra"]; --help says more`,
		"restore":                          `mepserver: mepserver restore takes FILE; --help says more`,
		"backup a b":                       `mepserver: mepserver backup takes FILE, not ["a" "b"]`,
		"check --force":                    "mepserver: flag provided but not defined: -force; mepserver check --help says how it is called",
		"check --data-dir D":               "mepserver: there is no store in D",
		"backup D/b --data-dir D":          "mepserver: there is no store in D",
		"import":                           "mepserver: mepserver import needs --edgegallery",
		"import --edgegallery D --discard": "mepserver: mepserver import needs --edgegallery ",
		"import --discard --data-dir D/n":  "mepserver: there is no store in D/n",
		"import --edgegallery D":           "mepserver: there is no store of EdgeGallery's in D: it has no directory member",
		"restore D/b --data-dir D/new":     "mepserver: stat D/b: no such file or directory",
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

func TestAWrongCallIsOneLineAndNothingIsMade(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		"app":                                     "mepserver: mepserver app takes add ID, rotate ID, remove ID or list; --help says more",
		"app my-app":                              `mepserver: mepserver app takes add ID, rotate ID, remove ID or list, not ["my-app"]; --help says more`,
		"app add":                                 "mepserver: mepserver app add takes ID; --help says more",
		"app add ../x":                            `mepserver: ID must be 1 to 128`,
		"app add a --role root":                   `mepserver: --role must be of app, host, reader, registry, admin, not "root"`,
		"app add a --role host":                   "mepserver: --role host needs --apps",
		"app add a -o yaml":                       `mepserver: -o must be text or json or secret, not "yaml"`,
		"app add a --secret s":                    "mepserver: flag provided but not defined: -secret; mepserver app add --help says how it is called",
		"app add a --out @ --data-dir @/x":        "mepserver: @ is there already: nothing is overwritten",
		"app add a --data-dir @":                  "mepserver: there is no store in @, and no server that answers",
		"app list --data-dir @":                   "mepserver: there is no store in @, and no server that answers\n",
		"app list":                                "mepserver: there is no store in ./data, and no server that answers; --config mep/mepserver.yaml names the one that init made",
		"app list -o secret":                      `mepserver: -o must be text or json, not "secret"`,
		"app list --ca @":                         "mepserver: --ca goes with --url",
		"app list --url https://mep":              "mepserver: --url needs --credential-file FILE",
		"app list --url= --data-dir @":            "mepserver: --url must not be empty; mepserver app list --help says how it is called",
		"app list --url https://mep --data-dir @": "mepserver: --url says which server it is: leave out --config and --data-dir",
		"app list --url http://10.0.0.5 --credential-file @/c":  "mepserver: --url must begin with https://",
		"app list --url https://10.0.0.5 --credential-file @/c": "mepserver: open @/c: no such file or directory",
		"app rotate a --now --grace 1h":                         "mepserver: --now and --grace exclude each other",
		"app rotate a --grace soon":                             `mepserver: --grace must be a duration such as 30m or 24h, not "soon"`,
		"app rotate a --grace 0s":                               `mepserver: --grace must be a duration such as 30m or 24h, not "0s"`,
		"app rotate a --now=maybe":                              "mepserver: invalid boolean value \"maybe\" for -now: it is true or false",
		"init":                                                  "mepserver: --host must say at which DNS name or IP address clients reach the server",
		"init mep":                                              `mepserver: mepserver init takes no arguments but flags, not ["mep"]`,
		"init --host a:1 --dir @/n":                             `mepserver: --host must be a DNS name such as mep.example.org or an IP address such as 10.0.0.5, without a port, not "a:1"`,
		"init --host a --dir @/n --listen b":                    `mepserver: --listen: must be HOST:PORT`,
		"init --host a --dir @/n --etcd-endpoints http://a --data-dir @/d": "mepserver: --data-dir is of the embedded store, which --etcd-endpoints replaces",
		"init --renew --dir @/n":  "mepserver: no platform in @/n; --dir names the folder that init made",
		"init --renew --listen a": "mepserver: --renew makes a new certificate and changes nothing else",
	} {
		line, want = strings.ReplaceAll(line, "@", dir), strings.ReplaceAll(want, "@", dir)
		code, out, errs := typed(t, strings.Fields(line)...)
		assert.Equal(t, 1, code, line)
		assert.Contains(t, errs, want)
		assert.Equal(t, 1, strings.Count(errs, "\n"), errs)
		assert.Empty(t, out)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, line)
	}
}

func TestEveryCommandHasItsHelp(t *testing.T) {
	for _, c := range commands() {
		assert.Contains(t, strings.ReplaceAll(help, "\n                                  ", " "), strings.Replace(c.name, "app ", " app ", 1)[min(1, strings.Count(c.name, " ")):])
		var out bytes.Buffer
		_, _, err := c.parse([]string{"--help"}, &out)
		require.ErrorIs(t, err, flag.ErrHelp)
		for _, name := range c.args {
			assert.Contains(t, out.String(), name)
		}
		for _, o := range c.flags {
			dashes := "--"
			if len(o.name) == 1 {
				dashes = "-"
			}
			assert.Contains(t, out.String(), dashes+o.name, c.name)
		}
		for line := range strings.Lines(out.String()) {
			assert.LessOrEqual(t, len(line), 90, line)
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
