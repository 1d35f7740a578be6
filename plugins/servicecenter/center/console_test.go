package center

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleDir is a folder like a console's, with what nobody may get in it and beside it.
func consoleDir(t *testing.T) string {
	t.Helper()
	outside := t.TempDir()
	dir := filepath.Join(outside, "console")
	for name, text := range map[string]string{
		"../secret.html": "secret", "index.html": "<html>the console</html>", "scripts/app.js": "run()", "bower_components/a/a.css": "a{}",
		".git/index.html": "hidden", "scripts/.app.js": "hidden", "LICENSE": "a licence", "server.key": "a key", "notes.txt": "notes",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.Symlink("../secret.html", filepath.Join(dir, "link.html")))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "folder")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "passwd.html")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.html"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe.html"), 0o600))
	return dir
}

func asksConsole(k *console, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, "http://mep/", nil)
	r.URL.Path = path
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w
}

func TestTheConsolesFilesAreServedAndNothingElse(t *testing.T) {
	k, err := newConsole(consoleDir(t))
	require.NoError(t, err)
	for path, want := range map[string][2]string{
		"/servicecomb/":                         {"<html>the console</html>", "text/html; charset=utf-8"},
		"/servicecomb/index.html":               {"<html>the console</html>", "text/html; charset=utf-8"},
		"/servicecomb/scripts/app.js":           {"run()", "text/javascript; charset=utf-8"},
		"/servicecomb/bower_components/a/a.css": {"a{}", "text/css; charset=utf-8"},
	} {
		w := asksConsole(k, http.MethodGet, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, want[0], w.Body.String(), path)
		h := w.Header()
		require.Equal(t, want[1], h.Get("Content-Type"))
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Contains(t, h.Get("Content-Security-Policy"), "script-src 'self';")
		require.Contains(t, h.Get("Content-Security-Policy"), "connect-src 'self';")
		require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	}
	for _, path := range []string{
		"/servicecomb/../secret.html", "/servicecomb/scripts/../../secret.html", "/servicecomb//etc/passwd", `/servicecomb/..\secret.html`, "/servicecomb/scripts/", "/servicecomb/scripts",
		"/servicecomb/link.html", "/servicecomb/folder/secret.html", "/servicecomb/passwd.html", "/servicecomb/.git/index.html", "/servicecomb/scripts/.app.js",
		"/servicecomb/LICENSE", "/servicecomb/server.key", "/servicecomb/notes.txt", "/servicecomb/folder.html", "/servicecomb/pipe.html", "/servicecomb/index.html/",
		"/servicecomb/none.html", "/servicecomb/index.html\x00.js", "/servicecomb/./index.html",
	} {
		w := asksConsole(k, http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, w.Code, path)
		require.Contains(t, w.Body.String(), "The console has no such file.", path)
		require.NotContains(t, w.Body.String(), "secret", path)
	}
	require.Empty(t, asksConsole(k, http.MethodHead, "/servicecomb/").Body.String())
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := asksConsole(k, method, "/servicecomb/")
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
}

func TestAFolderWithoutAConsoleIsRefused(t *testing.T) {
	_, err := newConsole(filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "cannot open the folder of the console")
	dir := t.TempDir()
	_, err = newConsole(dir)
	require.ErrorContains(t, err, "there is no console in "+dir)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "index.html"), 0o700))
	_, err = newConsole(dir)
	require.Error(t, err)
}

// Whatever judges a request sees what it is for, under no second name.
func TestTheAliasIsGoneBeforeAnybodyJudges(t *testing.T) {
	var seen *http.Request
	h := Aliases(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	for from, want := range map[string][2]string{
		"/sc/v4/default/govern/microservices?options=instances&withShared=true": {"/v4/default/govern/microservices", "/v4/default/govern/microservices?options=instances&withShared=true"},
		"/sc/v4/default/registry/microservices/a%2Fb":                           {"/v4/default/registry/microservices/a/b", "/v4/default/registry/microservices/a%2Fb"},
		"/sc/v4/../x":                        {"/v4/../x", "/v4/../x"},
		"/sc/testSchema/v1/x":                {"/sc/testSchema/v1/x", "/sc/testSchema/v1/x"},
		"/sc/metrics":                        {"/sc/metrics", "/sc/metrics"},
		"/sc/sc/v4/x":                        {"/sc/sc/v4/x", "/sc/sc/v4/x"},
		"/s%63/v4/x":                         {"/sc/v4/x", "/s%63/v4/x"},
		"/sc/mec_service_mgmt/v1/services":   {"/sc/mec_service_mgmt/v1/services", "/sc/mec_service_mgmt/v1/services"},
		"/v4/default/registry/microservices": {"/v4/default/registry/microservices", "/v4/default/registry/microservices"},
		"/servicecomb/sc/v4/x":               {"/servicecomb/sc/v4/x", "/servicecomb/sc/v4/x"},
	} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodDelete, from, nil)
		r.Header.Set("X-Domain-Name", "default")
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, want[0], seen.URL.Path, from)
		require.Equal(t, want[1], seen.URL.RequestURI(), from)
		require.Equal(t, want[1], seen.RequestURI, from)
		require.Equal(t, http.MethodDelete, seen.Method)
		require.Equal(t, "default", seen.Header.Get("X-Domain-Name"))
		require.Equal(t, from, r.URL.RequestURI(), "the request of whoever is outside stays as it is")
	}
}
