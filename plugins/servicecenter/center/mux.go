package center

import (
	"net/http"
	"strings"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/rbacframe"
	srest "github.com/apache/servicecomb-service-center/server/rest"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// mp1Chain is the chain of our routes: service-center's handlers without those that
// read its own query parameters and paths.
const mp1Chain = "_mp1_chain"

// Handle serves a net/http pattern on service-center's mux, behind its interceptors
// and handlers. Its router refuses PATCH; its mux does not.
func (c *Center) Handle(pattern, name string, a server.Access, h http.Handler) {
	c.handled[pattern] = true
	if len(pattern) > 1 && pattern[0] == '/' && strings.HasSuffix(pattern, "/") && !strings.Contains(pattern, "{") {
		c.trees = append(c.trees, pattern)
	}
	if c.identity != nil {
		c.identity.Route(pattern, name, a)
	}
	rbacframe.MapResource(pattern, "service")
	srest.RegisterServerHandler(pattern, c.newOwnRoute(pattern, name, a, h))
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status   int       // 0: nothing was written
	goesOn   bool      // until somebody ends it: how long that takes says nothing of the platform
	answered time.Time // when it began, of one that goes on
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if r.goesOn {
			r.answered = time.Now()
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and http.MaxBytesReader through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) wrote() bool { return r.status != 0 }

// outer answers what service-center's access interceptor would refuse: it does so in
// plain text, with the raw URI, and has the request carried out all the same. What
// passes here passes there too. It judges r.RequestURI, which nothing else of what we
// use reads but to log it; so that is made the path alone, also of a request in
// absolute form (RFC 9112 §3.2.2).
func outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if r.URL.RawPath != "" || !plain(path) {
			var ok bool
			if path, ok = judged(w, r); !ok {
				return
			}
		}
		if len(r.RequestURI) >= maxURI {
			refuse(w, http.StatusRequestURITooLong, "The request URI is longer than 2047 characters; ask in several requests.")
			return
		}
		r.RequestURI = path
		delete(r.Header, "X-Forwarded-For") // anybody may send these; a proxy that is believed is not configured yet
		delete(r.Header, "X-Real-Ip")
		next.ServeHTTP(w, r)
	})
}

// plain says whether a path certainly passes judged, and needs no escape: nearly every path does,
// and one look at it tells.
func plain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	before := byte(0)
	for i := range len(path) {
		c := path[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == '.' && before != '/': // else the segment may be . or ..
		case c == '/' && before != '/':
		default:
			return false
		}
		before = c
	}
	return true
}

// judged refuses what service-center's interceptor would. ok: path is the request's, escaped.
func judged(w http.ResponseWriter, r *http.Request) (path string, ok bool) {
	path = r.URL.EscapedPath()
	switch {
	case len(r.RequestURI) >= maxURI: // outer refuses it
	case path == "" || path[0] != '/':
		if r.Method == http.MethodOptions && r.RequestURI == "*" {
			w.WriteHeader(http.StatusNoContent)
			return "", false
		}
		refuse(w, http.StatusBadRequest, "The request URI must have a path that begins with /.")
		return "", false
	case strings.Contains(path, "//"):
		refuse(w, http.StatusBadRequest, "The request URI contains an empty path segment (//); remove it.")
		return "", false
	case hasDotSegment(r.URL.Path): // which net/http's mux answers with a redirect
		refuse(w, http.StatusNotFound, "There is no such resource; take URIs from _links.")
		return "", false
	case strings.ContainsAny(path[len(path)-1:], ";&+@"):
		refuse(w, http.StatusBadRequest, "The path of the request URI ends in one of ; & + @; encode or remove it.")
		return "", false
	}
	return path, true
}

// maxURI is from how many bytes on service-center refuses a request URI.
const maxURI = 2048

// hasDotSegment says whether the path has a segment . or ..
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// refuse writes a ProblemDetails (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	server.Refuse(w, status, detail, 0)
}
