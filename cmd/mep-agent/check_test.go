package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// listing is a platform that lists two services of the application: the one of this file's
// configuration, and another. It records the methods that it was asked with.
type listing struct {
	mu      sync.Mutex
	methods []string
	tokens  []string
}

func (l *listing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.methods, l.tokens = append(l.methods, r.Method), append(l.tokens, r.Header.Get("Authorization"))
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`[{"serInstanceId":"id1","serName":"s","version":"1","state":"SUSPENDED","serializer":"JSON",
		"transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"1","endpoint":{"uris":["http://h"]},"security":{}}},
		{"serInstanceId":"id2","serName":"other\u001b[2J","version":"1","state":"ACTIVE","serializer":"JSON"}]`))
}

// checked runs check, and returns the exit code and what was printed.
func checked(t *testing.T, config string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"check", "--config", file(t, config)}, args...), nil, &o, &e)
	return code, o.String(), e.String()
}

const twoServices = services + `
- serName: new
  version: "1"
  state: ACTIVE
  serializer: JSON
  transportId: its-own
  probe: {tcp: "127.0.0.1:1"}
`

func TestCheckSaysWhatWouldBeDoneAndChangesNothing(t *testing.T) {
	l := &listing{}
	platform := httptest.NewServer(l)
	defer platform.Close()
	config := "application: {id: a}\nplatform: {endpoints: ['" + platform.URL + "']}\n" + twoServices
	code, out, errs := checked(t, config)
	require.Equal(t, 0, code, "%s%s", out, errs)
	require.Regexp(t, `(?m)^configuration +file +ok +2 services of a, from \S+$`, out)
	require.Regexp(t, `(?m)^identity +token +ok +none is used$`, out)
	require.Regexp(t, `(?m)^`+platform.URL+` +TCP +ok +127\.0\.0\.1:\d+$`, out)
	require.Regexp(t, `(?m)^`+platform.URL+` +Mp1 +ok +lists 2 services of a$`, out)
	require.Regexp(t, `(?m)^SERVICE +ACTION +ID +REASON$`, out)
	require.Regexp(t, `(?m)^s +adopt +id1 +it is registered, SUSPENDED$`, out)
	require.Regexp(t, `(?m)^new +register +- +.* when its probe succeeds$`, out)
	require.Regexp(t, `(?m)^other\[2J +leave +id2 +it is of no service of this configuration$`, out)
	require.Equal(t, []string{"GET"}, l.methods)

	code, out, _ = checked(t, config, "-o", "json")
	require.Equal(t, 0, code)
	var report checkReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.True(t, report.OK)
	require.Len(t, report.Services, 3)
	require.NotContains(t, out, "\x1b")

	code, out, _ = checked(t, config, "--offline")
	require.Equal(t, 0, code)
	require.NotContains(t, out, platform.URL)
	require.Len(t, l.methods, 2, "nothing was sent")
}

func TestCheckSaysEveryFaultAtOnce(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.pem")
	require.NoError(t, os.WriteFile(broken, []byte("two words"), 0o600))
	config := "application: {id: a, stateFile: " + dir + "/none/state}\nlog: {level: LOUD}\n" +
		"platform: {endpoints: ['https://127.0.0.1:1'], caFile: " + broken + ", certFile: /nowhere/c.pem, keyFile: /nowhere/k.pem}\n" +
		"identity: {kind: tokenFile, tokenFile: " + broken + "}\n" + services + "  probe: {exec: [no-such-program]}\n"
	code, out, errs := checked(t, config)
	require.Equal(t, 1, code)
	require.Empty(t, out)
	for _, want := range []string{":2: log.level: must be", `platform.caFile: "` + broken + `": the CA file holds no PEM certificate`,
		`platform.certFile: "/nowhere/c.pem": no such file`, `platform.keyFile: "/nowhere/k.pem": no such file`,
		`identity.tokenFile: "` + broken + `": must hold one line`, "application.stateFile: ", `services[0].probe.exec: "no-such-program": executable file not found`} {
		require.Contains(t, errs, want)
	}
	require.Equal(t, 7, strings.Count(errs, "\n"), errs)
	code, out, errs = checked(t, config, "-o", "json")
	require.Equal(t, 1, code)
	var report checkReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.False(t, report.OK)
	require.Len(t, report.Findings, 7)
	require.NotEmpty(t, errs)
}

func TestCheckSaysWhereTheWayToThePlatformEnds(t *testing.T) {
	answers := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for name, c := range map[string]struct {
		handler http.Handler
		secure  bool
		url     func(string) string
		check   string
		want    string
	}{
		"refused":   {url: func(string) string { return "http://127.0.0.1:1" }, check: "TCP", want: "refused"},
		"no such":   {url: func(string) string { return "http://nowhere.invalid" }, check: "DNS"}, // some resolvers hang for it,
		"authority": {handler: answers(200, "[]"), secure: true, check: "TLS", want: "platform.caFile must name"},
		"no TLS":    {handler: answers(200, "[]"), url: func(u string) string { return strings.Replace(u, "http:", "https:", 1) }, check: "TLS", want: "is it http://?"},
		"TLS":       {handler: answers(200, "[]"), secure: true, url: func(u string) string { return strings.Replace(u, "https:", "http:", 1) }, check: "Mp1", want: "https://?"},
		"who":       {handler: answers(401, ""), check: "Mp1", want: "set identity"},
		"forbidden": {handler: answers(403, `{"detail":"no\u001b"}`), check: "Mp1", want: "403 Forbidden: no; this identity may not act for application a"},
		"path":      {handler: answers(404, ""), check: "Mp1", want: "is platform.prefix right?"},
		"starting":  {handler: answers(503, ""), check: "Mp1", want: "does not serve now"},
		"elsewhere": {handler: answers(302, ""), check: "Mp1", want: "redirects are not followed"},
		"no list":   {handler: answers(200, "hello"), check: "Mp1", want: "not what MEC 011 has"},
		"no answer": {handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), check: "Mp1", want: "no answer within 200ms"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(c.handler)
			s.Config.ErrorLog = nil
			if s.Start(); c.secure {
				s.Close()
				s = httptest.NewTLSServer(c.handler)
			}
			defer s.Close()
			url := s.URL
			if c.url != nil {
				url = c.url(url)
			}
			timeout := "1m" // a busy machine must not end what answers
			if c.want == "no answer within 200ms" || c.check == "DNS" {
				timeout = "200ms"
			}
			config := "application: {id: a}\nplatform: {timeout: " + timeout + ", endpoints: ['" + url + "']}\n" + services
			code, out, errs := checked(t, config)
			require.Equal(t, 2, code, "%s%s", out, errs)
			require.Regexp(t, `(?m)^`+url+` +`+c.check+` +failed .*`+regexp.QuoteMeta(c.want), out)
			require.Len(t, regexp.MustCompile(`(?m)^\S+ +\S+ +failed `).FindAllString(out, -1), 1, out)
			require.NotContains(t, out, "ACTION", "nobody knows what the agent would do")
			require.Empty(t, errs)
		})
	}
}

func TestCheckWantsEveryEndpoint(t *testing.T) {
	platform := httptest.NewServer(&listing{})
	defer platform.Close()
	code, out, _ := checked(t, "application: {id: a}\nplatform: {endpoints: ['http://127.0.0.1:1', '"+platform.URL+"']}\n"+services)
	require.Equal(t, 2, code)
	require.Regexp(t, `(?m)^s +adopt +id1 `, out, "the other one can be asked")
}

// EdgeGallery locks a key that was wrong three times.
func TestCheckShowsAKeyOnceAndTriesTheConnectionWithoutAToken(t *testing.T) {
	l, asked := &listing{}, 0
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mep/token" {
			asked++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		l.ServeHTTP(w, r)
	}))
	defer platform.Close()
	config := "application: {id: a}\nidentity: {kind: edgegallery}\nplatform: {endpoints: ['" + platform.URL + "', '" + platform.URL + "/b']}\n" + services
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"check", "--config", file(t, config)},
		[]string{"MEP_IDENTITY_ACCESS_KEY=half", "MEP_IDENTITY_SECRET_KEY=hush"}, &out, &errs)
	require.Equal(t, 2, code, "%s", &errs)
	require.Regexp(t, `(?m)^identity +token +failed +token server: 401$`, out.String())
	require.Regexp(t, `(?m)^`+platform.URL+` +TCP +ok `, out.String())
	require.Equal(t, 1, asked)
	require.Equal(t, []string{"", ""}, l.tokens)
	require.NotContains(t, out.String(), "hush")
}

func TestAMisspeltVariableIsAWarning(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"check", "--offline", "--config", file(t, "application: {id: a}\n"+services)},
		[]string{"MEP_PLATFORM_ENDPOINT=http://x", "MEP_SERVICE_HOST=10.0.0.1"}, &out, &errs)
	require.Equal(t, 0, code, "%s", &errs)
	require.Regexp(t, `(?m)^environment +MEP_PLATFORM_ENDPOINT +warning +names no setting; is it meant to be MEP_PLATFORM_ENDPOINTS\?$`, out.String())
	require.NotContains(t, out.String(), "MEP_SERVICE_HOST")
}

// A second start fails at an address that another program has; one that an agent has is its own.
func TestCheckWantsAnAddressOfItsOwn(t *testing.T) {
	var isAgent atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !isAgent.Load() {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte("[]"))
	}))
	config := "application: {id: a}\nlocal: {listen: '" + strings.TrimPrefix(s.URL, "http://") + "'}\n" + services
	code, out, _ := checked(t, config, "--offline")
	require.Equal(t, 2, code)
	require.Regexp(t, `(?m)^configuration +local.listen +failed +.*address already in use$`, out)
	isAgent.Store(true)
	code, out, _ = checked(t, config, "--offline")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "where an agent runs already")
	s.Close()
	code, out, _ = checked(t, config, "--offline")
	require.Equal(t, 0, code, out)
}
