package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
)

func TestFlagsBecomeSources(t *testing.T) {
	for line, want := range map[string]options{
		"":          {sources: conf.Sources{Flags: map[string]string{}}},
		"--version": {version: true, sources: conf.Sources{Flags: map[string]string{}}},
		"--config c.yaml --listen [::1]:1 --data-dir=d --etcd-endpoints http://a:1,http://b:1 --insecure": {
			sources: conf.Sources{File: "c.yaml", Flags: map[string]string{
				"listen": "[::1]:1", "data-dir": "d", "etcd-endpoints": "http://a:1,http://b:1", "insecure": "true"}}},
		"-listen 127.0.0.1:2 --insecure=false": {
			sources: conf.Sources{Flags: map[string]string{"listen": "127.0.0.1:2", "insecure": "false"}}},
		"--listen=": {sources: conf.Sources{Flags: map[string]string{"listen": ""}}},
	} {
		got, err := parseFlags(strings.Fields(line), io.Discard)
		require.NoError(t, err, line)
		assert.Equal(t, want, got, line)
	}
}

func TestEveryFlagIsOneThatConfKnows(t *testing.T) {
	o, err := parseFlags(strings.Fields("--listen 0.0.0.0:1 --data-dir d --etcd-endpoints http://a:1 --insecure"), io.Discard)
	require.NoError(t, err)
	c, err := conf.Load(o.sources)
	require.NoError(t, err)
	assert.Equal(t, conf.Server{Listen: "0.0.0.0:1", Insecure: true}, c.Server)
	assert.Equal(t, conf.Store{Kind: conf.Etcd, DataDir: "d", QuotaBytes: 4 * conf.GiB, Endpoints: []string{"http://a:1"}}, c.Store)
}

func TestHelpGoesToOutAndNamesEveryFlag(t *testing.T) {
	for _, arg := range []string{"--help", "-h"} {
		var out bytes.Buffer
		_, err := parseFlags([]string{arg}, &out)
		require.ErrorIs(t, err, flag.ErrHelp)
		for _, name := range []string{"config", "listen", "data-dir", "etcd-endpoints", "insecure", "version", "help"} {
			assert.Contains(t, out.String(), "\n  --"+name+" ")
		}
		for line := range strings.Lines(out.String()) {
			assert.LessOrEqual(t, len(line), 84, line)
		}
	}
}

func TestBadCommandLinesAreOneLine(t *testing.T) {
	for line, want := range map[string]string{
		"--port 1":                   "flag provided but not defined: -port",
		"--listen":                   "flag needs an argument: -listen",
		"--insecure=yes":             `invalid boolean value "yes"`,
		"serve":                      `there is no command "serve"; mepserver help lists all`,
		"service":                    `there is no command "service"; is it mepserver services?`,
		"demo2 x":                    `there is no command "demo2"; is it mepserver demo?`,
		"--insecure app add x":       "the command comes first: mepserver app add, and then its flags",
		"--config c services --late": "the command comes first: mepserver services, and then its flags",
		"--config=":                  "--config must name a file",
	} {
		var out bytes.Buffer
		_, err := parseFlags(strings.Fields(line), &out)
		require.ErrorContains(t, err, want)
		assert.False(t, errors.Is(err, flag.ErrHelp))
		assert.NotContains(t, err.Error(), "\n")
		assert.Empty(t, out.String())
	}
}
