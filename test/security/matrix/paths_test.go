package matrix

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// TestNoSpellingOfAPathLeadsPastTheTable: a path that one router reads as an open route, or as
// one's own, and another as the victim's.
func TestNoSpellingOfAPathLeadsPastTheTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const apps = mp1.Base + "/applications/"
	theirs := victim + "/services/" + w.ids["{serviceId}"]
	targets := []string{apps + theirs}
	for _, own := range []string{"", "other/../", "other%2F..%2F", "other/%2e%2e/", "other%2f%2e%2e%2f", "./", "%2e/", "/", "other;/../", "other%00/../", "other%5c..%5c", `other\..\`} {
		targets = append(targets, apps+own+theirs, "/mep"+apps+own+theirs, "/mep/mep"+apps+own+theirs)
	}
	for _, open := range []string{"/health", "/ready", "/oauth2/token", "/.well-known/jwks.json", "/mec_liveness/v1/webhook-keys", "/login", "/v4/token"} {
		for _, up := range []string{"/..", "/../..", "/%2e%2e", "%2f..", "/../../..", ";/..", "//..", "/.", "%00/..", "%3f/..", "%23/.."} {
			targets = append(targets, open+up+apps+theirs, open+up+registry+"/microservices", open+up+"/metrics", open+up+"/mec_liveness/v1/credentials")
		}
	}
	targets = append(targets, apps+"%76ictim/services/"+w.ids["{serviceId}"], apps+"victim%00/services", apps+theirs+"/", apps+theirs+"/liveness/", apps+theirs+"%2fliveness",
		"//health"+apps+theirs, w.s.URL+apps+theirs, "http://127.0.0.2/health/.."+apps+theirs, registry+"/microservices/", registry+"/microservices?:project=x", "/v4//registry/microservices",
		"/V4/default/registry/microservices", "/v4/default/registry/%6dicroservices", "/registry/v3/govern/services/", "/metrics/", "/metrics;x", "/%6detrics", "/debug/pprof/", "/debug/pprof/heap")
	before := w.stored(t)
	for name, with := range map[string]presented{"nobody": {}, "another": bearer(w.issuer.token(other, nil)), "a host of none": bearer(w.issuer.token("agent", claims{"roles": []string{"host"}, "apps": []string{other}}))} {
		for i, target := range targets {
			method := []string{"GET", "DELETE", "PUT", "PATCH"}[i%4]
			for _, method := range []string{"GET", method} {
				status := w.raw(t, with, method, target)
				require.True(t, status == 0 || status >= 400, "%s %s by %s: %d", method, target, name, status)
			}
		}
	}
	require.Equal(t, before, w.stored(t))
	t.Logf("%d targets", len(targets))
}

// raw sends a request whose target no client library would leave as it is; 0: no answer.
func (w *world) raw(t *testing.T, with presented, method, target string) int {
	t.Helper()
	c := w.dial(t)
	defer func() { _ = c.Close() }()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.2\r\nConnection: close\r\nX-HTTP-Method-Override: DELETE\r\nX-Original-URL: /health\r\nX-Rewrite-URL: /health\r\nX-Forwarded-For: 127.0.0.9\r\nContent-Length: 2\r\n", method, target)
	for i := 0; i < len(with.header); i += 2 {
		head += with.header[i] + ": " + with.header[i+1] + "\r\n"
	}
	_, err := c.Write([]byte(head + "\r\n{}"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}
