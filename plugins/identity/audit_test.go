package identity

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// auditBench collects the lines of an audit with a clock of its own.
type auditBench struct {
	*audit
	now   time.Time
	lines []auditLine
}

func newAuditBench() *auditBench {
	b := &auditBench{now: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("east", 3600))}
	b.audit = newAudit(func(l auditLine) { b.lines = append(b.lines, l) }, func() time.Time { return b.now })
	return b
}

// ask has the request answered by h and returns the lines that it made.
func (b *auditBench) ask(r *http.Request, h http.HandlerFunc) []auditLine {
	b.lines = nil
	b.Handler(h).ServeHTTP(httptest.NewRecorder(), r)
	return b.lines
}

// answers is a handler that says who calls and which route it is, as the plugins do.
func answers(status int, c *plugins.Caller, route string, changes bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		plugins.NoteCaller(w, c)
		if route != "" {
			plugins.NoteRoute(w, route, changes)
		}
		w.WriteHeader(status)
	}
}

const services = "/mec_service_mgmt/v1/applications/app-1/services"

func TestEachRefusedAndEachChangingRequestHasOneLine(t *testing.T) {
	b := newAuditBench()
	c := &plugins.Caller{Name: "app-1", App: "app-1", Roles: []string{conf.RoleApp}, Source: "token"}
	for _, one := range []struct {
		method, path, route string
		status              int
		changes             bool
		outcome             string // "": no line
	}{
		{"POST", services, "mp1.PostService", 201, true, "done"},
		{"POST", services, "mp1.PostService", 400, true, "refused"},
		{"POST", services, "mp1.PostService", 503, true, "failed"},
		{"POST", services, "", 401, true, "refused"}, // before it is known which route it is
		{"DELETE", services + "/x", "mp1.DeleteService", 204, true, "done"},
		{"DELETE", services + "/x", "mp1.DeleteService", 404, true, "failed"},
		{"GET", services, "mp1.GetApplicationServices", 200, false, ""},
		{"GET", services, "mp1.GetApplicationServices", 304, false, ""},
		{"GET", services, "mp1.GetApplicationServices", 404, false, ""},
		{"GET", services, "mp1.GetApplicationServices", 403, false, "refused"},
		{"GET", services, "mp1.GetApplicationServices", 429, false, "refused"},
		{"HEAD", services, "", 401, false, "refused"},
		{"OPTIONS", services, "", 204, false, ""},
		{"PATCH", services + "/x/liveness", "mp1.PatchLiveness", 204, false, ""},
		{"PUT", services + "/x/liveness", "mp1.PutLiveness", 200, false, ""},
		{"PATCH", services + "/x/liveness", "mp1.PatchLiveness", 404, false, ""},
		{"PATCH", services + "/x/liveness", "mp1.PatchLiveness", 403, false, "refused"},
		{"PATCH", services + "/x/liveness", "", 401, false, "refused"},
		{"PUT", "/mec_app_support/v1/registrations/liveness", "mp1.PutRegistration", 204, true, "done"}, // only looks like a heartbeat
	} {
		what := fmt.Sprint(one)
		lines := b.ask(httptest.NewRequest(one.method, one.path, nil), answers(one.status, c, one.route, one.changes))
		if one.outcome == "" {
			require.Empty(t, lines, what)
			continue
		}
		require.Len(t, lines, 1, what)
		level := map[bool]string{true: "WARN", false: "INFO"}[one.outcome == "refused"]
		require.Equal(t, auditLine{Time: "2026-01-02T02:04:05.000006Z", Level: level, Msg: "audit", Outcome: one.outcome, Status: one.status, Method: one.method,
			Route: one.route, Resource: one.path, Identity: "app-1", Source: "token", Roles: []string{"app"}, Address: "192.0.2.1"}, lines[0], what)
	}
}

func TestALineOfAnAnonymousRequestHasAllItsMembers(t *testing.T) {
	b := newAuditBench()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.RemoteAddr = "[2001:db8::1]:77"
	r.Header.Set("X-Request-Id", "4bf92f35-77b3.a")
	lines := b.ask(r, answers(401, nil, "", false))
	require.Len(t, lines, 1)
	require.JSONEq(t, `{"time":"2026-01-02T02:04:05.000006Z","level":"WARN","msg":"audit","outcome":"refused","status":401,"method":"GET","route":"",
		"resource":"/metrics","identity":"","source":"","roles":[],"address":"2001:db8::1","request":"4bf92f35-77b3.a"}`, string(lines[0].encode()))
	require.Equal(t, byte('\n'), lines[0].encode()[len(lines[0].encode())-1])
}

// A guess at a secret is of nobody, but the line says whose secret it was. What is proved is no
// claim any more, also in a record that is used again.
func TestALineSaysWhoTheSenderSaidToBeWhereThatIsNotProved(t *testing.T) {
	b := newAuditBench()
	claims := func(status int, c *plugins.Caller) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			plugins.NoteClaim(inBetween{w}, "app-1")
			answers(status, c, "mep.PostToken", true)(w, r)
		}
	}
	ask := func(h http.HandlerFunc) auditLine {
		lines := b.ask(httptest.NewRequest("POST", "/oauth2/token", nil), h)
		require.Len(t, lines, 1)
		return lines[0]
	}
	guess := ask(claims(401, nil))
	require.Equal(t, []string{"", "app-1"}, []string{guess.Identity, guess.Claimed})
	require.Contains(t, string(guess.encode()), `"identity":"","claimed":"app-1",`)
	made := ask(claims(200, &plugins.Caller{Name: "app-1", Source: "credential"}))
	require.Equal(t, []string{"app-1", ""}, []string{made.Identity, made.Claimed})
	require.Empty(t, ask(answers(401, nil, "mep.PostToken", true)).Claimed)
	plugins.NoteClaim(httptest.NewRecorder(), "nobody listens")
}

// Of what a caller sends only the method, the path and an id in its form are written, without
// anything that forges a line or changes a terminal.
func TestNothingThatACallerSendsForgesALineOrLeaksASecret(t *testing.T) {
	b := newAuditBench()
	for _, id := range []string{"a b", "x\n{}", strings.Repeat("x", 65), "Bearer ey", `"`, "é", ""} {
		r := httptest.NewRequest("GET", services+"?access_token=secret", nil)
		r.Header["X-Request-Id"] = []string{id}
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Cookie", "__Host-mep=secret")
		line := string(b.ask(r, answers(403, &plugins.Caller{Name: "n\n\u202e\x1b[2J", Source: "to\nken", Roles: []string{"ro\rle"}}, "r", false))[0].encode())
		require.NotContains(t, line, "secret")
		require.NotContains(t, line, `"request"`)
		require.Equal(t, 1, strings.Count(line, "\n"))
		require.False(t, strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }), "%q", line)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.Path, r.Method, r.RemoteAddr = "/a\n\x00\u2028"+strings.Repeat("b", 5000), "M\nX", "no\naddress"
	r.Header["X-Request-Id"] = []string{"a", "b"}
	line := string(b.ask(r, answers(400, nil, "", false))[0].encode())
	require.Less(t, len(line), 600)
	require.Equal(t, 1, strings.Count(line, "\n"), "%q", line)
}

func FuzzAuditLine(f *testing.F) {
	f.Add("GET", "/a%0a\u2028?x", "id\n", "1.2.3.4:5", "name\u202e")
	f.Fuzz(func(t *testing.T, method, path, id, address, name string) {
		b := newAuditBench()
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL.Path, r.URL.RawPath, r.RemoteAddr = method, path, path, address
		r.Header["X-Request-Id"] = []string{id}
		lines := b.ask(r, answers(403, &plugins.Caller{Name: name}, "", false))
		if len(lines) != 1 {
			t.Fatalf("%d lines", len(lines))
		}
		out := lines[0].encode()
		var m map[string]any
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatal(err)
		}
		for k, v := range m {
			if s, is := v.(string); is && (len(s) > 256 || strings.ContainsFunc(s, unicode.IsControl)) {
				t.Fatalf("%s: %q", k, s)
			}
		}
	})
}

// A writer stands between the audit log and those who tell it what they know.
type inBetween struct{ http.ResponseWriter }

func (w inBetween) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestTheRouteIsToldThroughEveryWriter(t *testing.T) {
	b := newAuditBench()
	lines := b.ask(httptest.NewRequest("POST", "/", nil), func(w http.ResponseWriter, _ *http.Request) {
		plugins.NoteRoute(inBetween{inBetween{w}}, "servicecomb", true)
		_, _ = w.Write(nil)
	})
	require.Len(t, lines, 1)
	require.Equal(t, "servicecomb", lines[0].Route)
	require.Equal(t, 200, lines[0].Status)
	plugins.NoteRoute(inBetween{httptest.NewRecorder()}, "nobody listens", true)
}

func TestAHeartbeatCostsTheAuditLogNoAllocation(t *testing.T) {
	b := newAuditBench()
	c := &plugins.Caller{Name: "app-1"}
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		plugins.NoteCaller(w, c)
		plugins.NoteRoute(w, "mp1.PatchLiveness", false)
	}))
	r, w := httptest.NewRequest("PATCH", services+"/x/liveness", nil), httptest.NewRecorder()
	require.Zero(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }))
	require.Empty(t, b.lines)
}

// The page for operators shows a line, and has a row for each of its members.
func TestTheDocumentedAuditLineIsOne(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(page), "\n## The audit log\n")
	require.True(t, ok)
	_, shown, ok := strings.Cut(section, "```json\n")
	require.True(t, ok)
	shown, _, _ = strings.Cut(shown, "```")
	var l auditLine
	d := json.NewDecoder(strings.NewReader(shown))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&l))
	require.Equal(t, shown, string(l.encode()))
	of := reflect.TypeFor[auditLine]()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		require.Regexp(t, "(?m)^\\| [^|]*`"+name+"`", section)
	}
}

// A request with many heartbeats has a line if a part of it is refused, as a single heartbeat has.
func TestABatchOfHeartbeatsHasALineIfAPartOfItIsRefused(t *testing.T) {
	b := newAuditBench()
	c := &plugins.Caller{Name: "app-1", App: "app-1", Roles: []string{conf.RoleApp}, Source: "token"}
	quiet := answers(http.StatusOK, c, "mp1.PostHeartbeats", false)
	require.Empty(t, b.ask(httptest.NewRequest(http.MethodPost, mp1.HeartbeatsPath, nil), quiet))
	lines := b.ask(httptest.NewRequest(http.MethodPost, mp1.HeartbeatsPath, nil), func(w http.ResponseWriter, r *http.Request) {
		plugins.NoteRefused(w)
		quiet(w, r)
	})
	require.Len(t, lines, 1)
	require.Equal(t, outcomeRefused, lines[0].Outcome)
	require.Equal(t, http.StatusOK, lines[0].Status)
	require.Equal(t, "mp1.PostHeartbeats", lines[0].Route)
	plugins.NoteRefused(httptest.NewRecorder()) // nobody listens
}
