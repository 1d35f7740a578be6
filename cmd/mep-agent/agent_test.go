package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
)

const services = `
services:
- serName: s
  version: "1"
  state: ACTIVE
  serializer: JSON
  transportInfo: {id: t, name: n, type: REST_HTTP, protocol: HTTP, version: "1", endpoint: {uris: ["http://h"]}, security: {}}
`

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestAConfigurationWithFaultsEndsTheStart(t *testing.T) {
	name := file(t, "identity:\n  kind: oauth2\n  clientSecret: hush\nplatform: {timeout: 5}\n"+strings.Replace(services, "ACTIVE", "RUNNING", 1))
	for _, args := range [][]string{{"--config", name}, {"status", "--config", name}} {
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(context.Background(), args, []string{"MEP_LOG_LEVEL=LOUD"}, &out, &errs))
		require.Empty(t, out.String())
		for _, want := range []string{
			name + ":3: identity.clientSecret: must not stand in this file",
			name + ":4: platform.timeout: must be a Go duration",
			name + ":9: services[0].state: must be one of ACTIVE",
			"MEP_LOG_LEVEL: log.level: must be DEBUG or",
			"application.id: is mandatory",
			name + ":2: identity.tokenURL: is mandatory",
		} {
			require.Contains(t, errs.String(), want)
		}
		require.Equal(t, 8, strings.Count(errs.String(), "\n"), errs.String())
		require.NotContains(t, errs.String(), "hush")
	}
}

func TestWhatCannotStartSaysSoOnOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	name := file(t, "application: {id: a}\n"+services)
	for _, c := range []struct {
		env, want string
	}{
		{"MEP_LOCAL_LISTEN=" + taken.Addr().String(), "cannot listen on "},
		{"MEP_PLATFORM_CA_FILE=/nowhere/ca.pem", "read the CA file: "},
	} {
		var out, errs bytes.Buffer
		environ := []string{"MEP_PLATFORM_ENDPOINTS=https://127.0.0.1:1", c.env}
		require.Equal(t, 1, run(context.Background(), []string{"--config", name}, environ, &out, &errs))
		require.Contains(t, errs.String(), "mep-agent: "+c.want)
		require.Equal(t, 1, strings.Count(errs.String(), "\n"))
	}
	var out, errs bytes.Buffer
	require.Equal(t, 1, run(context.Background(), []string{"status", "--config", name}, nil, &out, &errs))
	require.Contains(t, errs.String(), "status needs local.listen")
}

func TestTheConfigurationBecomesOptions(t *testing.T) {
	c, err := conf.LoadAgent(conf.Sources{File: file(t, `
application: {id: a, onStop: leave, stateFile: f, confirmReady: true, onTermination: confirm}
platform: {endpoints: ["http://x", "http://y"], prefix: /mep, timeout: 2s}
`+services+`  probe: {tcp: "127.0.0.1:1", interval: 2s, timeout: 1s, failures: 4}
`), Environ: []string{"MEP_IDENTITY_KIND=edgegallery", "MEP_IDENTITY_ACCESS_KEY=a", "MEP_IDENTITY_SECRET_KEY=b"}})
	require.NoError(t, err)
	o, err := agentOptions(c)
	require.NoError(t, err)
	require.Equal(t, "a", o.App)
	require.Equal(t, []string{"http://x", "http://y"}, o.Endpoints)
	require.Equal(t, "/mep", o.Prefix)
	require.Equal(t, 2*time.Second, o.Timeout)
	require.Equal(t, agent.Leave, o.OnStop)
	require.Equal(t, "f", o.StateFile)
	require.True(t, o.ConfirmReady)
	require.Equal(t, agent.ConfirmTermination, o.OnTermination)
	require.NotNil(t, o.Token)
	require.Equal(t, "s", o.Services[0].Info.SerName)
	p := o.Services[0].Probe
	require.Equal(t, []any{2 * time.Second, time.Second, 4}, []any{p.Interval, p.Timeout, p.Failures})
	require.Error(t, p.Check(context.Background()))
}

func TestStatusPrintsATable(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last, next := now.Add(-1500*time.Millisecond), now.Add(time.Second)
	var out bytes.Buffer
	require.NoError(t, table(&out, []agent.Status{
		{Service: "face", ID: "id1", State: "beating", Interval: 30, LastBeat: &last, NextBeat: &next, LastAnswer: "204"},
		{Service: "a\nb\x1b", State: "searching", LastAnswer: "503, later"},
		{Service: "late", State: "beating", NextBeat: &last},
	}, now))
	require.Equal(t, ""+
		"SERVICE  STATE      LAST BEAT  NEXT BEAT  INTERVAL  LAST ANSWER  ID\n"+
		"face     beating    1.5s ago   in 1s      30s       204          id1\n"+
		"ab       searching  -          -          -         503, later   -\n"+
		"late     beating    -          in 0s      -         -            -\n", out.String())

	answers := map[string]http.HandlerFunc{
		"answers 404": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"is no agent": func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode("x") },
	}
	for want, answer := range answers {
		s := httptest.NewServer(answer)
		require.ErrorContains(t, command{}.status(context.Background(), strings.TrimPrefix(s.URL, "http://"), &out), want)
		s.Close()
		require.ErrorContains(t, command{}.status(context.Background(), strings.TrimPrefix(s.URL, "http://"), &out), "no agent answers: ")
	}
}

// A supervisor asks by status --ready, and shows people what it printed.
func TestReadyIsAnExitCodeAndSaysWhichServiceIsNot(t *testing.T) {
	answer, ready := "", false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" && !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer s.Close()
	address := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct {
		answer, flags string
		code          int
		want          string
	}{
		{`[{"service":"a","state":"beating","ready":true}]`, "--ready", 0, "ready: 1 service\n"},
		{`[]`, "--ready", 0, "ready: 0 services\n"},
		{`[{"service":"a","state":"beating","ready":true},{"service":"b\u001b[2J","state":"searching","reason":"no answer\u0007 in time"}]`, "--ready", 2,
			"not ready: 1 of 2 services\nb[2J: searching: no answer in time\n"},
		{`[{"service":"a","state":"beating","ready":true},{"service":"b","state":"withheld","reason":"its probe fails"}]`, "", 0, "" +
			"SERVICE  STATE     LAST BEAT  NEXT BEAT  INTERVAL  LAST ANSWER  ID  REASON\n" +
			"a        beating   -          -          -         -            -   -\n" +
			"b        withheld  -          -          -         -            -   its probe fails\n"},
		{`[{"service":"a","state":"beating","registered":true,"reason":"heartbeats are not taken"}]`, "--registered", 0, "registered: 1 service\n"},
		{`[{"service":"a","state":"registering","reason":"503"}]`, "--registered", 2, "not registered: 1 of 1 service\na: registering: 503\n"},
		{`[{"service":"b","state":"searching"}]`, "", 0, "SERVICE  STATE      LAST BEAT  NEXT BEAT  INTERVAL  LAST ANSWER  ID\nb        searching  -          -          -         -            -\n"},
		{`[{"service":"\u009b1","state":"searching"}]`, "--ready -o json", 2,
			"{\n  \"ready\": false,\n  \"services\": [\n    {\n      \"service\": \"\\u009b1\",\n      \"state\": \"searching\",\n      \"ready\": false,\n      \"registered\": false\n    }\n  ]\n}\n"},
		{"[" + strings.Repeat(`{"service":"a","state":"searching"},`, 29) + `{"service":"z"}]`, "--ready", 2,
			"not ready: 30 of 30 services\n" + strings.Repeat("a: searching: -\n", 20) + "and 10 more\n"},
	} {
		answer, ready = c.answer, strings.HasPrefix(c.want, "ready")
		var out, errs bytes.Buffer
		code := run(context.Background(), append([]string{"status", address}, strings.Fields(c.flags)...), []string{"MEP_LOG_LEVEL=LOUD"}, &out, &errs)
		require.Equal(t, c.code, code, "%s", &errs)
		require.Equal(t, c.want, out.String())
		require.Empty(t, errs.String(), "a configuration that is broken later must not kill an agent that runs")
	}
}

func TestTheExampleIsTheShippedFile(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 0, run(context.Background(), []string{"example"}, nil, &out, &errs))
	shipped, err := os.ReadFile("../../conf/mep-agent.yaml")
	require.NoError(t, err)
	require.Equal(t, string(shipped), out.String())
	require.Equal(t, 0, run(context.Background(), []string{"check", "--offline", "--config", file(t, out.String())}, nil, &out, &errs), "%s", &errs)
}
