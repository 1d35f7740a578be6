package admin

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

func hostAt(path string) *plugins.Host {
	h := &plugins.Host{Config: conf.Default(), Log: plugins.NewLog(io.Discard, "INFO")}
	h.Config.Server.AdminSocket = path
	h.OnAdmin(plugins.AdminRoute{Pattern: "GET /hello", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	})})
	h.OnAdmin(plugins.AdminRoute{Pattern: "GET /no", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not\x1b now", http.StatusConflict)
	})})
	return h
}

func TestTheSocketIsItsOwnersAloneAndGoesWithTheServer(t *testing.T) {
	for name, path := range map[string]string{
		"short": filepath.Join(t.TempDir(), "s"),
		"long":  filepath.Join(t.TempDir(), strings.Repeat("d", 120), "admin.sock"),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		stop, err := setup(t.Context(), hostAt(path))
		require.NoError(t, err, name)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, os.ModeSocket|0o600, info.Mode())
		body, n, err := Get(t.Context(), path, "/hello")
		require.NoError(t, err)
		b, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		require.Equal(t, "hello", string(b))
		require.EqualValues(t, 5, n)
		_, _, err = Get(t.Context(), path, "/no")
		require.ErrorContains(t, err, "the server refused (409): not")
		require.NotContains(t, err.Error(), "\x1b")
		_, err = setup(t.Context(), hostAt(path))
		require.ErrorContains(t, err, "another server answers there")
		require.NoError(t, stop(t.Context()))
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Empty(t, left)
		_, _, err = Get(t.Context(), path, "/hello")
		require.ErrorIs(t, err, ErrNotServed)
	}
}

func TestWhatAKilledServerLeftIsReplacedAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.FileExists(t, path)
	stop, err := setup(t.Context(), hostAt(path))
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	again, err := setup(t.Context(), hostAt(path)) // another server took the name
	require.NoError(t, err)
	require.NoError(t, stop(t.Context()))
	_, _, err = Get(t.Context(), path, "/hello")
	require.NoError(t, err, "whose socket is left to it")
	require.NoError(t, again(t.Context()))

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = setup(t.Context(), hostAt(path))
	require.ErrorContains(t, err, "which is no socket")
	require.FileExists(t, path)
	unasked := hostAt("")
	unasked.Config.Store.DataDir = filepath.Join(t.TempDir(), "none")
	stop, err = setup(t.Context(), unasked)
	require.NoError(t, err, "a volume without sockets is no reason not to serve")
	require.Nil(t, stop)
	stop, err = setup(t.Context(), hostAt(conf.NoSocket))
	require.NoError(t, err)
	require.Nil(t, stop)
}

// onThePort is a server's port that answers who asks.
type onThePort struct{ plugins.Base }

func (onThePort) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := plugins.CallerOf(r.Context())
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" by "+c.Name+" "+strings.Join(c.Roles, ","))
		_ = http.NewResponseController(w).Flush()
	})
}

func TestAnOperatorAtTheMachineAsksAsTheAdministrator(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	h, ready := hostAt(path), false
	h.Base, h.Ready = onThePort{}, func() bool { return ready }
	stop, err := setup(t.Context(), h)
	require.NoError(t, err)
	defer func() { require.NoError(t, stop(t.Context())) }()
	ask := func(method, route string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://admin"+route, nil)
		require.NoError(t, err)
		res, err := Transport(path).RoundTrip(r)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(b)
	}
	status, _ := ask(http.MethodGet, "/mec_liveness/v1/state")
	require.Equal(t, http.StatusServiceUnavailable, status)
	ready = true
	for route, method := range map[string]string{"/mec_liveness/v1/state": "GET", "/mec_liveness/v1/state/x": "GET", "/mec_liveness/v1/events": "GET", "/mec_liveness/v1/changes": "GET",
		"/metrics": "GET", "/ready": "GET"} {
		status, body := ask(method, route)
		require.Equal(t, http.StatusOK, status, route)
		require.Equal(t, method+" "+route+" by admin socket admin", body)
	}
	for _, route := range []string{"/mec_service_mgmt/v1/services", "/v4/default/registry/microservices", "/", "/mec_liveness/v1/applications/a"} {
		status, _ := ask(http.MethodGet, route)
		require.Equal(t, http.StatusNotFound, status, "%s is for whom the port identifies", route)
	}
}
