package servicecenter

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

func send(t *testing.T, method, path, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, web.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var b strings.Builder
	_, err = copyTo(&b, res)
	require.NoError(t, err)
	return res.StatusCode, res.Header, b.String()
}

// The order in which Go initialises packages made service-center's own bootstrap
// panic; ours has survived it when a test of this package runs. What a process
// prints while it is being initialised must stay away from the user.
func TestServiceCenterInitialisesInOrderAndSilently(t *testing.T) {
	if os.Getenv("MEP_TEST_INIT") != "" {
		return // the child: TestMain started and stopped service-center
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServiceCenterInitialisesInOrderAndSilently$")
	cmd.Env = append(os.Environ(), "MEP_TEST_INIT=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "PASS", strings.TrimSpace(string(out)))
}

func TestThereIsOneServiceCenterPerProcess(t *testing.T) {
	_, err := Start(context.Background(), Options{Listen: "127.0.0.1:1", DataDir: t.TempDir(), Log: plugins.NewLog(logged, "INFO")})
	require.ErrorContains(t, err, "started before")
}

func TestADataDirectoryHasOneUser(t *testing.T) {
	dir := t.TempDir()
	l, err := lockDir(dir)
	require.NoError(t, err)
	_, err = lockDir(dir)
	require.ErrorContains(t, err, dir)
	require.NoError(t, l.Close())
	l, err = lockDir(dir)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestPATCHGoesThroughTheChain(t *testing.T) {
	center.Handle("PATCH /chain/{what}", "test.Patch", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "thing", r.PathValue("what"))
		w.WriteHeader(http.StatusNoContent)
	}))
	status, _, _ := send(t, "PATCH", "/chain/thing", "{}")
	require.Equal(t, http.StatusNoContent, status)
	require.Eventually(t, func() bool { // the metrics handler counts it, after the answer
		_, b := get(t, "/metrics")
		return strings.Contains(b, `api="test.Patch",code="204"`) || strings.Contains(b, `code="204"`) && strings.Contains(b, `test.Patch`)
	}, 10*time.Second, 50*time.Millisecond)
}

func TestAPanicIsA500AndNothingMore(t *testing.T) {
	center.Handle("GET /panics", "test.Panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }))
	status, h, b := send(t, "GET", "/panics", "")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Equal(t, "application/problem+json", h.Get("Content-Type"))
	require.NotContains(t, b, "secret")
	require.True(t, json.Valid([]byte(b)))
	status, _, _ = send(t, "GET", "/v4/default/registry/version", "")
	require.Equal(t, http.StatusOK, status, "and everybody else goes on")
}

func TestWhatTheAccessInterceptorRefusesIsAProblemOnOurRoutes(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, c := range []struct {
		status int
		path   string
	}{
		{414, "/mec_service_mgmt/v1/services?ser_name=" + long},
		{414, "/mep/mec_service_mgmt/v1/services?ser_name=" + long},
		{400, "/mec_service_mgmt//v1/services"},
		{400, "/mec_service_mgmt/v1/services?ser_name=x&"},
		{400, "/mep/x;"},
	} {
		status, h, b := send(t, "GET", c.path, "")
		require.Equal(t, c.status, status, c.path[:min(len(c.path), 30)])
		require.Equal(t, "application/problem+json", h.Get("Content-Type"))
		require.True(t, json.Valid([]byte(b)))
	}
	status, h, _ := send(t, "GET", "/v4/default/registry/version?a=b&", "")
	require.Equal(t, 400, status)
	require.NotEqual(t, "application/problem+json", h.Get("Content-Type"), "service-center's own surface stays as it is")
}

// The table of guarded routes is all of the v4 routes that write services or
// instances: a service-center with another one is found here.
func TestTheGuardKnowsEveryWritingRoute(t *testing.T) {
	src, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/apache/servicecomb-service-center/server/rest/controller/v4").Output()
	require.NoError(t, err)
	dir := strings.TrimSpace(string(src))
	leave := []string{"/instances/action", "/tags", "/rules", "/schemas", "/dependencies"}
	found := 0
	for _, file := range []string{"instance_controller.go", "microservice_controller.go"} {
		b, err := os.ReadFile(dir + "/" + file)
		require.NoError(t, err)
		for line := range strings.Lines(string(b)) {
			method, rest, ok := strings.Cut(line, "Method: rest.HTTPMethod")
			if !ok || strings.HasPrefix(rest, "Get") {
				continue
			}
			_ = method
			verb, _, _ := strings.Cut(rest, ",")
			_, path, _ := strings.Cut(rest, `Path: "`)
			path, _, _ = strings.Cut(path, `"`)
			if containsAny(path, leave) {
				continue
			}
			found++
			require.Contains(t, guarded, strings.ToUpper(verb)+" "+path)
		}
	}
	require.Equal(t, len(guarded), found)
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
