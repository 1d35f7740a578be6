package web

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// served are the handlers that Setup registers, by their patterns.
type served struct {
	plugins.Base
	handlers map[string]http.Handler
	access   map[string]server.Access
}

func (s *served) Handle(pattern, _ string, a server.Access, h http.Handler) {
	s.handlers[pattern], s.access[pattern] = h, a
}

func setUp(t *testing.T, i plugins.Identity) *served {
	t.Helper()
	return setUpAt(t, &plugins.Host{Identity: i})
}

func setUpAt(t *testing.T, h *plugins.Host) *served {
	t.Helper()
	s := &served{handlers: map[string]http.Handler{}, access: map[string]server.Access{}}
	h.Base = s
	_, err := Setup(h)
	require.NoError(t, err)
	return s
}

func (s *served) get(pattern string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handlers["GET "+pattern].ServeHTTP(w, r)
	return w
}

// What an application writes must never become more than text, so nothing of the page may make
// markup or code of text, and the page must need none of what its policy forbids.
func TestThePageMakesNothingOfTextButText(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\b|new Function|srcdoc|setTimeout\("|\.href = (?:row|item)|javascript:`)
	for _, bad := range []string{`e.innerHTML = name`, `new DOMParser()`, `eval(name)`, `a.href = item.endpoint`} {
		require.Regexp(t, forbidden, bad)
	}
	list, err := fs.ReadDir(embedded, "files")
	require.NoError(t, err)
	for _, entry := range list {
		text, err := embedded.ReadFile("files/" + entry.Name())
		require.NoError(t, err)
		require.NotRegexp(t, forbidden, string(text), entry.Name())
		require.LessOrEqual(t, strings.Count(string(text), "\n"), 400, "%s is longer than any file of ours", entry.Name())
		if strings.HasSuffix(entry.Name(), ".html") {
			require.NotRegexp(t, `<script[^>]*>[^<]|<style| style=| on[a-z]+=|(?:src|href)="(?:[a-z]+:)?//`, string(text))
		}
	}
}

func TestEveryFileThatAPageNamesIsServed(t *testing.T) {
	s := setUp(t, nil)
	from := regexp.MustCompile(`(?:from|import) "\./([^"]+)"|(?:src|href)="board/([^"]+)"`)
	list, err := fs.ReadDir(embedded, "files")
	require.NoError(t, err)
	named := 0
	for _, entry := range list {
		text, err := embedded.ReadFile("files/" + entry.Name())
		require.NoError(t, err)
		for _, m := range from.FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, s.handlers, "GET /board/"+m[1]+m[2], entry.Name())
			named++
		}
	}
	require.Greater(t, named, 10)
}

func TestTheBoardIsServedSoThatABrowserTakesItForNothingElse(t *testing.T) {
	s := setUp(t, nil)
	for pattern, kind := range map[string]string{boardPath: "text/html; charset=utf-8", "/board/main.js": "text/javascript; charset=utf-8", "/board/board.css": "text/css; charset=utf-8"} {
		w := s.get(pattern)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, kind, w.Header().Get("Content-Type"))
		require.Equal(t, policy, w.Header().Get("Content-Security-Policy"))
		require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
		require.Equal(t, "no-cache", w.Header().Get("Cache-Control"), "no page of two versions")
		again := s.get(pattern, "If-None-Match", `"x", `+w.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code)
		require.Empty(t, again.Body.String())
		require.Equal(t, http.StatusOK, s.get(pattern, "If-None-Match", `"of-another-version"`).Code)
	}
	for pattern, access := range s.access {
		require.Equal(t, server.Open, access, pattern)
		if _, path, _ := strings.Cut(pattern, "/"); !strings.HasPrefix(path, "mep/") && path != "{$}" {
			require.Contains(t, s.handlers, strings.Replace(pattern, "/", "/mep/", 1), "EdgeGallery's gateway reaches it too")
		}
	}
	w := httptest.NewRecorder()
	s.handlers[boardPath].ServeHTTP(w, httptest.NewRequest(http.MethodPost, boardPath, nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestABrowserIsLedToTheBoardAndAnybodyElseIsToldWhatThereIs(t *testing.T) {
	s := setUp(t, nil)
	w := s.get("/{$}", "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, boardPath, w.Header().Get("Location"))
	for _, accept := range []string{"*/*", "application/json", ""} {
		w := s.get("/{$}", "Accept", accept)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		require.Equal(t, "Accept", w.Header().Get("Vary"), "no cache may give one the answer of the other")
		require.Contains(t, w.Body.String(), "/mec_service_mgmt/v1/services")
	}
}

// identities are on, and nothing else.
type identities struct{ plugins.Identity }

func (identities) On() bool { return true }

func TestACallerLearnsWhoHeIsAndWhatHeMay(t *testing.T) {
	const template = "https://grafana.example/d/mec?var-service={serName}"
	shown := links{Console: "servicecomb/", Dashboard: template}
	for name, c := range map[string]struct {
		identity plugins.Identity
		caller   *plugins.Caller
		want     shownCaller
	}{
		"no identities": {nil, nil, shownCaller{MayRead: true, MayDrain: true, Links: shown}},
		"nobody":        {identities{}, nil, shownCaller{Identities: true}},
		"reader":        {identities{}, &plugins.Caller{Name: "r", Roles: []string{conf.RoleReader}, Source: "cookie"}, shownCaller{true, "r", []string{"reader"}, "cookie", true, false, shown}},
		"admin":         {identities{}, &plugins.Caller{Name: "a", Roles: []string{conf.RoleAdmin}, Source: "token"}, shownCaller{true, "a", []string{"admin"}, "token", true, true, shown}},
		"application":   {identities{}, &plugins.Caller{Name: "app", App: "app", Roles: []string{conf.RoleApp}, Source: "token"}, shownCaller{true, "app", []string{"app"}, "token", false, false, links{}}},
	} {
		host := &plugins.Host{Identity: c.identity, Config: conf.Config{Server: conf.Server{ConsoleDir: "/console"}, Board: conf.Board{DashboardURL: template}}}
		s := setUpAt(t, host)
		for _, path := range []string{callerPath, plugins.MepPrefix + callerPath} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if c.caller != nil {
				r = r.WithContext(plugins.WithCaller(r.Context(), c.caller))
			}
			w := httptest.NewRecorder()
			s.handlers["GET "+path].ServeHTTP(w, r)
			var got shownCaller
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), name)
			require.Equal(t, c.want, got, name+" "+path)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			c.want.Links.Console = "" // nothing serves it below /mep
		}
	}
}
