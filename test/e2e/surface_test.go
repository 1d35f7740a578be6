package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

// Every refusal is a ProblemDetails whose status is the HTTP status.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "b", 60)
	other := s.Register("other", "b", 60)
	none := strings.Repeat("0", 64)
	svcs := mep.ServicesOf("a")
	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{404, "GET", svcs + "/" + none, ""},
		{404, "GET", mep.Base + "/services/" + none, ""},
		{404, "DELETE", svcs + "/" + none, ""},
		{404, "GET", svcs + "/" + none + "/liveness", ""},
		{404, "PATCH", svcs + "/" + none + "/liveness", `{"state":"INACTIVE"}`},
		{404, "PATCH", svcs + "/..%2f..%2fx/liveness", mep.Alive},
		{404, "GET", mep.Base + "/nothing", ""},
		{403, "PATCH", svcs + "/" + other.ID + "/liveness", `{"state":"INACTIVE"}`},
		{403, "DELETE", svcs + "/" + other.ID, ""},
		{403, "GET", svcs + "/" + other.ID, ""},
		{400, "PATCH", v.Liveness, `{"state":"INACTIVE"}`},
		{400, "PATCH", v.Liveness, `{"state":"SUSPENDED"}`},
		{400, "PATCH", v.Liveness, ``},
		{400, "PATCH", v.Liveness, `null`},
		{400, "PATCH", v.Liveness, `{"State":"ACTIVE"}`},
		{400, "PATCH", v.Liveness, `{"state":"ACTIVE","state":"ACTIVE"}`},
		{400, "PATCH", v.Liveness, mep.Alive + mep.Alive},
		{400, "PATCH", v.Liveness, "{\"state\":\"ACTIVE\xff\"}"},
		{413, "PATCH", v.Liveness, `{"state":"ACTIVE","x":"` + strings.Repeat("x", 2000) + `"}`},
		{413, "POST", svcs, `{"serName":"` + strings.Repeat("x", 70000) + `"}`},
		{400, "POST", svcs, `{"Name":"x","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"x"}`},
		{400, "POST", svcs, strings.Replace(mep.Info("x", 1), "ACTIVE", "SUSPENDED", 1)},
		{400, "POST", svcs, `{"serName":"x","version":"1","state":"ACTIVE","serializer":"JSON"}`},
		{405, "POST", v.Liveness, mep.Alive},
		{405, "DELETE", v.Liveness, ""},
		{405, "PATCH", svcs, mep.Alive},
		{405, "DELETE", mep.Base + "/services", ""},
		{400, "GET", mep.Base + "/services?instance_id=5", ""},
		{400, "GET", svcs + "?instance_id=5", ""},
		{400, "GET", mep.Base + "/services?ser_name=a&ser_category_id=b", ""},
		{400, "GET", mep.Base + "/services?is_local=maybe", ""},
		{400, "GET", mep.Base + "/services?scope_of_locality=NOWHERE", ""},
		{414, "GET", mep.Base + "/services?ser_instance_id=" + strings.Repeat("x", 4000), ""},
		{400, "GET", mep.Base + "//services", ""},
	} {
		r := s.Do(c.method, c.path, c.body)
		what := c.method + " " + c.path[:min(len(c.path), 120)] + " " + c.body[:min(len(c.body), 60)]
		require.Equal(t, c.status, r.Status, "%s: %s", what, r.Body)
		require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"), what)
		m := r.Object(t)
		require.EqualValues(t, c.status, m["status"], what)
		require.NotEmpty(t, m["detail"], what)
		if c.status == 405 {
			require.NotEmpty(t, r.Header.Get("Allow"), what)
		}
	}
	s.Want(415, "PATCH", v.Liveness, mep.Alive, "Content-Type", "text/xml")
	for _, ok := range []string{"application/json; charset=utf-8", "application/merge-patch+json", "*/*", ""} {
		require.Equal(t, 204, s.Do("PATCH", v.Liveness, mep.Alive, "Content-Type", ok).Status, ok)
	}
	require.Equal(t, "ACTIVE", other.State())
}

// An INACTIVE service needs no heartbeat, is listed with its state, and a heartbeat
// does not wake it.
func TestAHeartbeatNeverWakesTheInactive(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.RegisterInfo("a", strings.Replace(mep.Info("x", 1), `"state":"ACTIVE"`, `"state":"INACTIVE"`, 1))
	require.EqualValues(t, 1, v.Created.Object(t)["livenessInterval"], "it keeps its interval while INACTIVE")
	s.Want(409, "PATCH", v.Liveness, mep.Alive)
	time.Sleep(4 * time.Second)
	s.Want(409, "PATCH", v.Liveness, mep.Alive)
	list := s.Want(200, "GET", mep.Base+"/services", "").List(t)
	require.Len(t, list, 1)
	require.Equal(t, "INACTIVE", list[0]["state"])
}

// The feature request's own URL and body, EdgeGallery's prefix and verb.
func TestEveryFormOfTheHeartbeat(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "b", 60)
	wrapped := `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`
	for _, prefix := range []string{"", "/mep"} {
		for _, path := range []string{"/applications/a/services/" + v.ID + "/liveness", "/applications/a/service/" + v.ID + "/liveness"} {
			for _, method := range []string{"PATCH", "PUT"} {
				for _, body := range []string{mep.Alive, wrapped, " {\n\"state\" : \"ACTIVE\"}\n"} {
					s.Want(204, method, prefix+mep.Base+path, body)
				}
			}
			s.Want(200, "GET", prefix+mep.Base+path, "")
		}
		r := s.Want(201, "POST", prefix+mep.ServicesOf("a"), mep.Info("x", 0))
		require.True(t, strings.HasPrefix(r.Header.Get("Location"), prefix+mep.Base), "links carry the prefix that the request came with")
		self := r.Object(t)["_links"].(map[string]any)["self"].(map[string]any)
		require.True(t, strings.HasPrefix(self["liveness"].(string), "/mep/"))
	}
}

func TestDiscoveryFilters(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	with := func(name, more string) string {
		body := mep.Info(name, -1)
		return s.RegisterInfo("a", body[:len(body)-1]+more+"}").ID
	}
	one := with("one", `,"serCategory":{"href":"/c/1","id":"c1","name":"n","version":"1"}`)
	two := with("two", `,"scopeOfLocality":"ZONE","consumedLocalOnly":false`)
	three := with("three", `,"isLocal":false`)
	for query, want := range map[string][]string{
		"":                             {one, two, three},
		"ser_name=one":                 {one},
		"ser_name=one&ser_name=three":  {one, three},
		"ser_name=nobody":              {},
		"ser_instance_id=" + two:       {two},
		"ser_category_id=c1":           {one},
		"scope_of_locality=ZONE":       {two},
		"scope_of_locality=MEC_HOST":   {one, three},
		"consumed_local_only=false":    {two},
		"is_local=false":               {}, // what is registered here is local, whatever its application says
		"is_local=true&ser_name=three": {three},
		"ser_name=two&is_local=true":   {two},
		"ser_instance_id=" + one + "&ser_instance_id=" + three: {one, three},
	} {
		for _, path := range []string{mep.Base + "/services", mep.ServicesOf("a")} {
			r := s.Want(200, "GET", path+"?"+query, "")
			got := []string{}
			for _, m := range r.List(t) {
				got = append(got, m["serInstanceId"].(string))
			}
			require.ElementsMatch(t, want, got, query)
		}
	}
	require.Equal(t, "[]", strings.TrimSpace(string(s.Want(200, "GET", mep.Base+"/services?ser_name=nobody", "").Body)))
	transports := s.Want(200, "GET", mep.Base+"/transports", "").List(t)
	require.NotEmpty(t, transports)
	body := `{"serName":"x","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"` + transports[0]["id"].(string) + `"}`
	m := s.Want(201, "POST", mep.ServicesOf("a"), body).Object(t)
	require.Equal(t, transports[0]["id"], m["transportInfo"].(map[string]any)["id"])
}

func TestServersRunSideBySide(t *testing.T) {
	t.Parallel()
	a, b := mep.Start(t, mep.Fast...), mep.Start(t, mep.Fast...)
	v := a.Register("app", "x", 60)
	require.NotEqual(t, a.URL, b.URL)
	b.Want(404, "GET", mep.Base+"/services/"+v.ID, "")
	require.Empty(t, b.Want(200, "GET", mep.Base+"/services", "").List(t))
	require.Len(t, a.Want(200, "GET", mep.Base+"/services", "").List(t), 1)
}

func TestHealthReadyAndSIGTERM(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	s.Want(200, "GET", "/health", "")
	s.Want(200, "GET", "/ready", "")
	require.Contains(t, s.Line, s.DataDir)
	require.NotContains(t, s.Log(), "DEBUG")
	began := time.Now()
	require.Zero(t, s.Terminate(), "exit 0; log:\n%s", s.Stderr)
	t.Logf("SIGTERM to exit 0: %v", time.Since(began))
}

// refuses runs mepserver with arguments that it must refuse with exit 1.
func refuses(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	code, p := proc.Command{Program: mep.Binary(), Args: args, Env: env}.Run(t, time.Minute)
	require.Equal(t, 1, code, "%s", p.Both)
	return strings.Split(strings.TrimSpace(p.Both.String()), "\n")
}

func TestAFailedStartIsOneClearLine(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	lines := refuses(t, nil, "--listen", l.Addr().String(), "--data-dir", t.TempDir())
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "cannot listen on "+l.Addr().String())

	s := mep.Start(t)
	lines = refuses(t, nil, "--listen", "127.0.0.1:0", "--data-dir", s.DataDir)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], filepath.Base(s.DataDir))

	lines = refuses(t, []string{"MEP_LIVENESS_HOLD=yes", "MEP_COMPAT=other"}, "--listen", "0.0.0.0:0")
	require.Len(t, lines, 3, "all faults at once: %q", lines)
}
