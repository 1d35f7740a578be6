package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"

	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/cmd/operate"
	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/admin"
)

func TestWhatWentWrongIsAnExitCode(t *testing.T) {
	status, kind := http.StatusForbidden, "application/problem+json"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
	}))
	defer s.Close()
	for _, line := range []string{"services", "services d1", "drain d1 --reason x", "undrain d1"} {
		words := append(strings.Fields(line), "--url", s.URL)
		status = http.StatusForbidden
		code, out, errs := typed(t, words...)
		require.Equal(t, exitFailed, code, line)
		require.Empty(t, out)
		require.Equal(t, "mepserver: the server refused (403): Forbidden\n", errs)
		status = http.StatusNotFound
		code, _, _ = typed(t, words...)
		require.Equal(t, exitNotFound, code, line)
	}
	s.Close()
	code, _, errs := typed(t, "services", "--url", s.URL)
	require.Equal(t, exitUnreachable, code)
	require.Contains(t, errs, "mepserver: no server is reached: ")
	require.Equal(t, 1, strings.Count(errs, "\n"))
	code, _, errs = typed(t, "services", "--data-dir", t.TempDir())
	require.Equal(t, exitUnreachable, code, errs)
	require.Contains(t, errs, "no server answers there")
	require.Equal(t, exitNotGood, exitCode(operate.ErrNotGood))
	require.Equal(t, exitUnreachable, exitCode(admin.ErrNotServed))
}

// Who names no server is told where one was looked for.
func TestWithoutAServerItIsSaidHowToNameOne(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, errs := typed(t, "services", "--url", "http://127.0.0.1:1")
	require.Equal(t, exitUnreachable, code)
	require.NotContains(t, errs, "./data")
	l, err := net.Listen("tcp", "127.0.0.1:30100")
	if err != nil {
		t.Skip("somebody has the default port: ", err)
	}
	require.NoError(t, l.Close())
	code, _, errs = typed(t, "services")
	require.Equal(t, exitUnreachable, code)
	require.Contains(t, errs, "no server has its data in ./data; --url, --config or --data-dir names another")
}

func TestAWrongCallOfARunningServerAsksNobody(t *testing.T) {
	for line, want := range map[string]string{
		"services a b":                          `mepserver services takes [ID|NAME], not ["a" "b"]`,
		"services a --late":                     "with an ID or NAME there is nothing to select",
		"services -o yaml":                      `-o must be text or wide or json, not "yaml"`,
		"services --ca f":                       "--ca goes with --url",
		"services --url https://a --data-dir d": "--url says which server it is",
		"services --url https://a --token-file t --credential-file c": "exclude each other",
		"services --url https://a --cert c":                           "a client certificate needs --cert and --key",
		"drain a":                                                     "--reason must say why",
		"drain --reason x":                                            "mepserver drain takes ID|NAME; --help",
	} {
		code, out, errs := typed(t, strings.Fields(line)...)
		require.Equal(t, exitFailed, code, line)
		require.Contains(t, errs, want)
		require.Empty(t, out)
	}
}

func TestTheServerIsFoundAsTheHelpSays(t *testing.T) {
	t.Chdir(t.TempDir())
	find := func(environ []string, line ...string) *remote.Server {
		c, ok := commandIn([]string{"services"})
		require.True(t, ok)
		src, g, err := c.parse(line, &bytes.Buffer{})
		require.NoError(t, err)
		all, err := conf.Load(src)
		require.NoError(t, err)
		s, err := environment{environ: environ}.running(t.Context(), all, g)
		require.NoError(t, err)
		return s
	}
	agents := []string{"MEP_PLATFORM_ENDPOINTS=https://one:1,https://two:2", "MEP_IDENTITY_CLIENT_ID=a", "MEP_IDENTITY_CLIENT_SECRET=s3cret"}
	require.Equal(t, "http://127.0.0.1:30100/", find(nil).Base.String())
	require.Equal(t, "https://one:1/", find(agents).Base.String())
	require.True(t, find(agents).Proved)
	require.Equal(t, "https://three/", find(agents, "--url", "https://three").Base.String())
	require.False(t, find(agents, "--url", "https://three").Proved, "a secret goes to no other platform")
	require.True(t, find(agents, "--data-dir", "d").Local)
	require.NoError(t, os.Mkdir("data", 0o700))
	l, err := admin.Listen(t.Context(), filepath.Join("data", "admin.sock"))
	require.NoError(t, err)
	require.True(t, find(nil).Local)
	require.NoError(t, l.Close())
	require.False(t, find(nil).Local, "a socket that was left behind is no server")
	_, err = environment{environ: append(agents, "MEP_PLATFORM_ENDPOINTS=x")}.running(t.Context(), conf.Config{}, given{})
	require.NoError(t, err, "the first of one name counts")
	_, err = environment{environ: []string{"MEP_PLATFORM_ENDPOINTS=http://10.0.0.5", "MEP_IDENTITY_CLIENT_ID=a", "MEP_IDENTITY_CLIENT_SECRET=s3cret"}}.running(t.Context(), conf.Config{}, given{})
	require.ErrorContains(t, err, "https://")
	require.NotContains(t, err.Error(), "s3cret")
}
