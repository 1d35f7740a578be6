package server

import (
	"io"
	"net/http"
	"sync"

	"github.com/mec-liveness/mepserver/mp1/openapi"
)

// documentRoutes serve the OpenAPI document, for machines and as a page for people.
func (s *api) documentRoutes() (out []Route) {
	page := sync.OnceValue(func() (p struct{ body, policy string }) {
		html, policy, err := openapi.Page()
		if err != nil { // made of our own files: cannot happen
			return p
		}
		p.body, p.policy = string(html), policy
		return p
	})
	for _, d := range []struct {
		path, name, kind string
		read             func() (body, policy string)
	}{
		{"/openapi.yaml", "mp1.GetOpenAPI", "application/yaml", func() (string, string) { return string(openapi.YAML), "" }},
		{"/docs", "mp1.GetDocs", "text/html; charset=utf-8", func() (string, string) { return page().body, page().policy }},
	} {
		out = append(out, Route{d.path, "mp1.MethodNotAllowed", Identified, s.handler("", true, refuse(notAllowed([]string{"GET", "HEAD"})))},
			Route{"GET " + d.path, d.name, Identified, s.handler("", true, func(w http.ResponseWriter, _ *http.Request, _ target) error {
				h := w.Header()
				h.Set("Content-Type", d.kind)
				h.Set("X-Content-Type-Options", "nosniff")
				body, policy := d.read()
				if policy != "" {
					h.Set("Content-Security-Policy", policy)
				}
				_, _ = io.WriteString(w, body)
				return nil
			})})
	}
	return out
}
