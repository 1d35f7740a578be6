package server

import (
	"net/http"

	"github.com/mec-liveness/mepserver/mp1/openapi"
)

// documents are the description of everything served, for machines and for people.
func (s *surface) documents() (out []Route) {
	page, policy, err := openapi.Page()
	if err != nil { // made of our own files: cannot happen
		page = []byte(err.Error())
	}
	for _, d := range []struct {
		path, name, kind, policy string
		body                     []byte
	}{
		{"/openapi.yaml", "mp1.GetOpenAPI", "application/yaml", "", openapi.YAML},
		{"/docs", "mp1.GetDocs", "text/html; charset=utf-8", policy, page},
	} {
		out = append(out, Route{d.path, "mp1.MethodNotAllowed", s.serve("", true, refuse(notAllowed([]string{"GET", "HEAD"})))},
			Route{"GET " + d.path, d.name, s.serve("", true, func(w http.ResponseWriter, _ *http.Request, _ call) error {
				h := w.Header()
				h.Set("Content-Type", d.kind)
				h.Set("X-Content-Type-Options", "nosniff")
				if d.policy != "" {
					h.Set("Content-Security-Policy", d.policy)
				}
				_, _ = w.Write(d.body)
				return nil
			})})
	}
	return out
}
