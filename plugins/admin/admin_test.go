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
