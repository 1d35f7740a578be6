package e2e

import (
	"bufio"
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// metric reads one series of /metrics, 0 if it is not there.
func (s *server) metric(series string) int {
	s.t.Helper()
	r := s.want(200, "GET", "/metrics", "")
	for sc := bufio.NewScanner(bytes.NewReader(r.body)); sc.Scan(); {
		if rest, ok := strings.CutPrefix(sc.Text(), series+" "); ok {
			f, err := strconv.ParseFloat(rest, 64)
			require.NoError(s.t, err)
			return int(f)
		}
	}
	return 0
}

// Every refusal is a ProblemDetails whose status is the HTTP status.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("a", "b", 60)
	other := s.register("other", "b", 60)
	none := strings.Repeat("0", 64)
	svcs := base + "/applications/a/services"
	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{404, "GET", svcs + "/" + none, ""},
		{404, "GET", base + "/services/" + none, ""},
		{404, "DELETE", svcs + "/" + none, ""},
		{404, "GET", svcs + "/" + none + "/liveness", ""},
		{404, "PATCH", svcs + "/" + none + "/liveness", `{"state":"INACTIVE"}`},
		{404, "PATCH", svcs + "/..%2f..%2fx/liveness", alive},
		{404, "GET", base + "/nothing", ""},
		{403, "PATCH", svcs + "/" + other.id + "/liveness", `{"state":"INACTIVE"}`},
		{403, "DELETE", svcs + "/" + other.id, ""},
		{403, "GET", svcs + "/" + other.id, ""},
		{400, "PATCH", v.liveness, `{"state":"INACTIVE"}`},
		{400, "PATCH", v.liveness, `{"state":"SUSPENDED"}`},
		{400, "PATCH", v.liveness, ``},
		{400, "PATCH", v.liveness, `null`},
		{400, "PATCH", v.liveness, `{"State":"ACTIVE"}`},
		{400, "PATCH", v.liveness, `{"state":"ACTIVE","state":"ACTIVE"}`},
		{400, "PATCH", v.liveness, alive + alive},
		{400, "PATCH", v.liveness, "{\"state\":\"ACTIVE\xff\"}"},
		{413, "PATCH", v.liveness, `{"state":"ACTIVE","x":"` + strings.Repeat("x", 2000) + `"}`},
		{413, "POST", svcs, `{"serName":"` + strings.Repeat("x", 70000) + `"}`},
		{400, "POST", svcs, `{"Name":"x","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"x"}`},
		{400, "POST", svcs, strings.Replace(info("x", 1), "ACTIVE", "SUSPENDED", 1)},
		{400, "POST", svcs, `{"serName":"x","version":"1","state":"ACTIVE","serializer":"JSON"}`},
		{405, "POST", v.liveness, alive},
		{405, "DELETE", v.liveness, ""},
		{405, "PATCH", svcs, alive},
		{405, "DELETE", base + "/services", ""},
		{400, "GET", base + "/services?instance_id=5", ""},
		{400, "GET", svcs + "?instance_id=5", ""},
		{400, "GET", base + "/services?ser_name=a&ser_category_id=b", ""},
		{400, "GET", base + "/services?is_local=maybe", ""},
		{400, "GET", base + "/services?scope_of_locality=NOWHERE", ""},
		{414, "GET", base + "/services?ser_instance_id=" + strings.Repeat("x", 4000), ""},
		{400, "GET", base + "//services", ""},
	} {
		r := s.do(c.method, c.path, c.body)
		what := c.method + " " + c.path[:min(len(c.path), 120)] + " " + c.body[:min(len(c.body), 60)]
		require.Equal(t, c.status, r.status, "%s: %s", what, r.body)
		require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), what)
		m := r.json(t)
		require.EqualValues(t, c.status, m["status"], what)
		require.NotEmpty(t, m["detail"], what)
		if c.status == 405 {
			require.NotEmpty(t, r.header.Get("Allow"), what)
		}
	}
	require.Equal(t, 415, s.do("PATCH", v.liveness, alive, "Content-Type", "text/xml").status)
	for _, ok := range []string{"application/json; charset=utf-8", "application/merge-patch+json", "*/*", ""} {
		require.Equal(t, 204, s.do("PATCH", v.liveness, alive, "Content-Type", ok).status, ok)
	}
	require.Equal(t, "ACTIVE", other.state())
}

// An INACTIVE service needs no heartbeat, is listed with its state, and a heartbeat
// does not wake it.
func TestAHeartbeatNeverWakesTheInactive(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	r := s.want(201, "POST", base+"/applications/a/services", strings.Replace(info("x", 1), `"state":"ACTIVE"`, `"state":"INACTIVE"`, 1))
	m := r.json(t)
	require.EqualValues(t, 1, m["livenessInterval"], "it keeps its interval while INACTIVE")
	link := m["_links"].(map[string]any)["liveness"].(map[string]any)["href"].(string)
	require.Equal(t, 409, s.do("PATCH", link, alive).status)
	time.Sleep(4 * time.Second)
	require.Equal(t, 409, s.do("PATCH", link, alive).status)
	list := s.want(200, "GET", base+"/services", "").list(t)
	require.Len(t, list, 1)
	require.Equal(t, "INACTIVE", list[0]["state"])
}

// The feature request's own URL and body, EdgeGallery's prefix and verb.
func TestEveryFormOfTheHeartbeat(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("a", "b", 60)
	wrapped := `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`
	for _, prefix := range []string{"", "/mep"} {
		for _, path := range []string{"/applications/a/services/" + v.id + "/liveness", "/applications/a/service/" + v.id + "/liveness"} {
			for _, method := range []string{"PATCH", "PUT"} {
				for _, body := range []string{alive, wrapped, " {\n\"state\" : \"ACTIVE\"}\n"} {
					s.want(204, method, prefix+base+path, body)
				}
			}
			s.want(200, "GET", prefix+base+path, "")
		}
		r := s.want(201, "POST", prefix+base+"/applications/a/services", info("x", 0))
		require.True(t, strings.HasPrefix(r.header.Get("Location"), prefix+base), "links carry the prefix that the request came with")
		self := r.json(t)["_links"].(map[string]any)["self"].(map[string]any)
		require.True(t, strings.HasPrefix(self["liveness"].(string), "/mep/"))
	}
}

func TestDiscoveryFilters(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	with := func(name, more string) string {
		body := info(name, -1)
		return s.want(201, "POST", base+"/applications/a/services", body[:len(body)-1]+more+"}").json(t)["serInstanceId"].(string)
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
		for _, path := range []string{base + "/services", base + "/applications/a/services"} {
			r := s.want(200, "GET", path+"?"+query, "")
			got := []string{}
			for _, m := range r.list(t) {
				got = append(got, m["serInstanceId"].(string))
			}
			require.ElementsMatch(t, want, got, query)
		}
	}
	require.Equal(t, "[]", strings.TrimSpace(string(s.want(200, "GET", base+"/services?ser_name=nobody", "").body)))
	transports := s.want(200, "GET", base+"/transports", "").list(t)
	require.NotEmpty(t, transports)
	body := `{"serName":"x","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"` + transports[0]["id"].(string) + `"}`
	m := s.want(201, "POST", base+"/applications/a/services", body).json(t)
	require.Equal(t, transports[0]["id"], m["transportInfo"].(map[string]any)["id"])
}

func TestServersRunSideBySide(t *testing.T) {
	t.Parallel()
	a, b := start(t, fast...), start(t, fast...)
	v := a.register("app", "x", 60)
	require.NotEqual(t, a.url, b.url)
	b.want(404, "GET", base+"/services/"+v.id, "")
	require.Empty(t, b.want(200, "GET", base+"/services", "").list(t))
	require.Len(t, a.want(200, "GET", base+"/services", "").list(t), 1)
}

func TestHealthReadyAndSIGTERM(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	s.want(200, "GET", "/health", "")
	s.want(200, "GET", "/ready", "")
	require.Contains(t, s.line, s.dir)
	require.NotContains(t, s.log.String(), "DEBUG")
	began := time.Now()
	s.signal(syscall.SIGTERM)
	require.NoError(t, s.cmd.Wait(), "exit 0; log:\n%s", s.log)
	t.Logf("SIGTERM to exit 0: %v", time.Since(began))
}

// fails runs mepserver with arguments that it must refuse with exit 1.
func fails(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(cmd.Environ(), env...)
	timer := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestAFailedStartIsOneClearLine(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	lines := fails(t, nil, "--listen", l.Addr().String(), "--data-dir", t.TempDir())
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "cannot listen on "+l.Addr().String())

	s := start(t)
	lines = fails(t, nil, "--listen", "127.0.0.1:0", "--data-dir", s.dir)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], filepath.Base(s.dir))

	lines = fails(t, []string{"MEP_LIVENESS_HOLD=yes", "MEP_COMPAT=other"}, "--listen", "0.0.0.0:0")
	require.Len(t, lines, 3, "all faults at once: %q", lines)
}
