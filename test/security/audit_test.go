package security

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// auditLine is what is documented of a line.
type auditLine struct {
	Outcome, Method, Route, Resource, Identity, Claimed, Source, Address, Request string
	Status                                                                        int
	Roles                                                                         []string
}

// auditLines reads the audit log, each line of which must be one.
func auditLines(t *testing.T, text string) (out []auditLine) {
	t.Helper()
	for line := range strings.Lines(text) {
		var common struct{ Time, Level, Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &common), line)
		if common.Msg != "audit" {
			continue
		}
		var l auditLine
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		require.NotEmpty(t, common.Time)
		out = append(out, l)
	}
	return out
}

// settled are the lines of a file once they are as many as expected.
func settled(t *testing.T, path string, n int) (out []auditLine) {
	t.Helper()
	wait.Until(t, fmt.Sprint(n, " lines"), func() bool {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		out = auditLines(t, string(b))
		return len(out) >= n
	})
	return out
}

// Who did what, and who tried: a line for each, by whom, and none of any secret.
func TestEachRefusedAndEachChangingRequestIsAudited(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.log")
	s := mep.Secure(t, "MEP_AUDIT_FILE="+file)
	credential, reader := s.Add("app-1"), s.Add("board", "reader")
	app, watcher := s.As(credential), s.As(reader)
	token := s.Token(credential)
	before := len(settled(t, file, 3)) // two credentials by the socket, one token
	certified := s.WithCertificate(s.CA.Client("app-2", func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "urn", Opaque: "mec:app:app-2"}} }))

	v := app.Register("app-1", "n", 60)
	own, others := mep.ServicesOf("app-1"), mep.ServicesOf("app-2")
	require.Equal(t, 204, app.Do("PATCH", v.Liveness, mep.Alive).Status)                                          // no line
	require.Equal(t, 200, app.Do("GET", own, "").Status)                                                          // no line
	require.Equal(t, 403, app.Do("POST", others, mep.Info("x", -1), "X-Request-Id", "req-7").Status)              // refused
	require.Equal(t, 403, app.Do("GET", others+"?access_token="+canary, "").Status)                               // refused
	require.Equal(t, 403, certified.Do("PATCH", v.Liveness, mep.Alive).Status)                                    // refused
	require.Equal(t, 401, s.Do("GET", own, "").Status)                                                            // anonymous
	require.Equal(t, 401, s.Do("POST", own, mep.Info(canary, -1), "Authorization", "Bearer "+canary).Status)      // not valid
	require.Equal(t, 401, app.Do("POST", own, mep.Info("x", -1), "Cookie", "a=b", "Authorization", token).Status) // no Bearer
	require.Equal(t, 403, watcher.Do("POST", "/v4/default/registry/microservices", `{"service":{"serviceName":"`+canary+`"}}`).Status)
	require.Equal(t, 400, app.Do("POST", own, `{"serName":"`+canary).Status)
	require.Equal(t, 404, app.Do("DELETE", own+"/nothing", "").Status)
	require.Equal(t, 204, app.Do("DELETE", own+"/"+v.ID, "").Status)

	require.Equal(t, 401, s.Do("POST", "/oauth2/token", "grant_type=client_credentials&client_id=app-1&client_secret="+canary, "Content-Type", "application/x-www-form-urlencoded").Status)
	require.Equal(t, 401, s.Do("POST", "/v4/token", `{"name":"app-1","password":"`+canary+`"}`).Status)
	require.Equal(t, 401, s.Do("POST", "/login", `{"client_id":"app-1","client_secret":"`+canary+`"}`).Status)

	lines := settled(t, file, before+16)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(b), canary)
	require.NotContains(t, string(b), token)
	require.NotContains(t, string(b), credential.Secret)
	is, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), is.Mode())
	role := []string{"app"}
	of := func(outcome string, status int, method, route, resource, identity, source string, roles []string) auditLine {
		return auditLine{Outcome: outcome, Status: status, Method: method, Route: route, Resource: resource, Identity: identity, Source: source, Roles: roles, Address: "127.0.0.1"}
	}
	require.Equal(t, "socket", lines[0].Source)
	require.Equal(t, "POST /mec_liveness/v1/credentials", lines[0].Route)
	refused := of("refused", 403, "POST", "mp1.PostService", others, "app-1", "token", role)
	refused.Request = "req-7"
	guess := func(route, resource string) auditLine {
		l := of("refused", 401, "POST", route, resource, "", "", nil)
		l.Claimed = "app-1"
		return l
	}
	for i, want := range []auditLine{
		of("done", 200, "POST", "mep.PostToken", "/oauth2/token", "app-1", "credential", role), // the client fetches a token of its own
		of("done", 201, "POST", "mp1.PostService", own, "app-1", "token", role),
		refused,
		of("refused", 403, "GET", "mp1.GetApplicationServices", others, "app-1", "token", role),
		of("refused", 403, "PATCH", "mp1.PatchLiveness", v.Liveness, "app-2", "certificate", role),
		of("refused", 401, "GET", "", own, "", "", nil),
		of("refused", 401, "POST", "", own, "", "", nil),
		of("refused", 401, "POST", "", own, "", "", nil),
		of("done", 200, "POST", "mep.PostToken", "/oauth2/token", "board", "credential", []string{"reader"}),
		of("refused", 403, "POST", "/v4/:project/registry/microservices", "/v4/default/registry/microservices", "board", "token", []string{"reader"}),
		of("refused", 400, "POST", "mp1.PostService", own, "app-1", "token", role),
		of("failed", 404, "DELETE", "mp1.DeleteService", own+"/nothing", "app-1", "token", role),
		of("done", 204, "DELETE", "mp1.DeleteService", own+"/"+v.ID, "app-1", "token", role),
		guess("mep.PostToken", "/oauth2/token"),
		guess("mep.PostServiceCombToken", "/v4/token"),
		guess("mep.PostLogin", "/login"),
	} {
		got := lines[before+i]
		if len(got.Roles) == 0 {
			got.Roles = nil
		}
		require.Equal(t, want, got, "line %d", before+i)
	}
	metrics := s.As(s.Add("prometheus", "reader"))
	require.Positive(t, metrics.Metric(`mep_audit_lines_total{outcome="refused"}`))
	require.Zero(t, metrics.Metric("mep_audit_lines_dropped_total"))
}

// Without a file the lines stand in the log, and without identities there are none.
func TestWithoutAFileTheLogHasTheAuditLines(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	require.Equal(t, 401, s.Do("POST", mp1.Base+"/subscriptions", "{}").Status)
	lines := auditLines(t, s.Log())
	require.Len(t, lines, 1)
	require.Equal(t, http.MethodPost, lines[0].Method)
	plain := mep.Start(t)
	plain.Register("app", "n", 60)
	require.Equal(t, 400, plain.Do("POST", mep.ServicesOf("app"), "{").Status)
	require.Empty(t, auditLines(t, plain.Log()))
}

// A program that rotates logs moves the file away; a full disk holds up nobody.
func TestTheAuditFileIsRotatedAndAFullDiskIsCounted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.log")
	s := mep.Start(t, "MEP_AUDIT_FILE="+file)
	s.Register("app", "a", 60)
	require.Len(t, settled(t, file, 1), 1)
	require.NoError(t, os.Rename(file, file+".1"))
	s.Register("app", "b", 60)
	wait.Until(t, "it is made anew", func() bool { _, err := os.Stat(file); return err == nil })
	require.Len(t, settled(t, file, 1), 1)
	require.Len(t, settled(t, file+".1", 1), 1)

	if _, err := os.Stat("/dev/full"); err != nil {
		return
	}
	full := mep.Start(t, "MEP_AUDIT_FILE=/dev/full")
	for i := range 50 {
		v := full.Register("app", fmt.Sprint("n", i), 60)
		v.Beat()
	}
	wait.Until(t, "losses are counted", func() bool { return full.Metric("mep_audit_lines_dropped_total") == 50 })
}
