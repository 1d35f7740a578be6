// Package web has the board: a page that shows people who is alive, who is not, since when and
// why. It knows the files of the page, with which headers they are served, and what / answers. It
// must not know services: the page itself asks for them below /mec_liveness/v1.
package web

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

//go:embed files
var embedded embed.FS

const (
	boardPath = "/board"
	// policy lets the page run, show and ask for what is of this server, and nothing else.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

// index is what / answers to whoever is not a browser.
const index = `mepserver, a MEC service registry that knows who is alive

  /board                            the services and their states, for a browser
  /mec_service_mgmt/v1/services     discovery
  /mec_liveness/v1/state            what the board shows, as JSON
  /mec_liveness/v1/events           every change, as it happens
  /mec_liveness/v1/changes          those of the last hour
  /docs, /openapi.yaml              the API
  /health, /ready, /metrics         how the server is
`

// kinds are the types of the files, by how their names end. A file of another kind is not served.
var kinds = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

// Setup serves the board. Its files are open to everybody, for nothing is in them: a browser that
// follows a link from elsewhere does not send the cookie of who has logged in (SameSite=Strict),
// and the page, once it is there, does.
func Setup(h *plugins.Host) (stop func(context.Context) error, err error) {
	list, err := fs.ReadDir(embedded, "files")
	if err != nil {
		return nil, fmt.Errorf("the board's files cannot be read: %w", err)
	}
	for _, entry := range list {
		f, err := read(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("the board's file %s cannot be read: %w", entry.Name(), err)
		}
		at := boardPath + "/" + entry.Name()
		if entry.Name() == "index.html" {
			at = boardPath
		}
		serve(h, at, "mep.GetBoard", f)
		serve(h, plugins.MepPrefix+at, "mep.GetBoard", f)
	}
	serve(h, "/{$}", "mep.GetIndex", http.HandlerFunc(root))
	serve(h, callerPath, "mep.GetCaller", caller{h})
	serve(h, plugins.MepPrefix+callerPath, "mep.GetCaller", caller{h})
	return nil, nil
}

// serve has a resource that is only read answered to everybody.
func serve(h *plugins.Host, pattern, name string, handler http.Handler) {
	h.Base.Handle("GET "+pattern, name, server.Open, handler)
	h.Base.Handle(pattern, "mep.MethodNotAllowed", server.Open, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		server.RefuseMethod(w, http.MethodGet, http.MethodHead)
	}))
}

// file is one of the page's.
type file struct {
	kind, tag string
	body      []byte
}

func read(name string) (*file, error) {
	kind, ok := kinds[path.Ext(name)]
	if !ok {
		return nil, errors.New("nobody knows its kind")
	}
	body, err := embedded.ReadFile("files/" + name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &file{kind, `"` + hex.EncodeToString(sum[:8]) + `"`, body}, nil
}

// ServeHTTP implements http.Handler. A browser asks each time whether it has changed: after an
// update of the server no page may be made of the files of two.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	for _, known := range r.Header.Values("If-None-Match") {
		if strings.Contains(known, f.tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", f.kind)
	_, _ = w.Write(f.body)
}

// secure sets what keeps a browser from doing more with an answer than was meant.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
}

// root leads a browser to the board, and tells anybody else what there is.
func root(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Vary", "Accept")
	h.Set("Cache-Control", "no-cache")
	if strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html") {
		h.Set("Location", boardPath)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(index))
}
