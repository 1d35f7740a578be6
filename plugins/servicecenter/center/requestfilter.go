package center

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Labels of requests that are refused before service-center sees them.
const (
	rejectedPath   = "path"
	rejectedQuery  = "query"
	rejectedHeader = "header"
	rejectedBody   = "body"
)

// validateRequest rejects requests that service-center's router and handlers parse
// differently: the router takes the path in another form than the handlers, and they join
// keys of whatever they are given. A check of the one form would let the other pass.
func (g *guard) validateRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsServiceComb(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if reason, problem := ambiguous(r); reason != "" {
			g.rejected.WithLabelValues(reason).Inc()
			writeInvalid(w, problem)
			return
		}
		call, r := newCall(r)
		next.ServeHTTP(&refusalWriter{ResponseWriter: w, call: call}, r)
	})
}

// IsServiceComb says whether the path is one of service-center's API.
func IsServiceComb(path string) bool {
	return strings.HasPrefix(path, "/v4/") || strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/registry/")
}

// ambiguous returns the part of a request that can be parsed in two ways, as a label of the
// metric, and what the client should change; "" if there is none.
func ambiguous(r *http.Request) (reason, problem string) {
	path := r.URL.EscapedPath()
	if strings.Contains(path, "%") {
		return rejectedPath, "The path contains an escaped character (%); ids and names need none."
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if !identifier(segment) {
			return rejectedPath, "A segment of the path is empty, too long, or has a character other than letters, digits, _ . and -."
		}
	}
	q := r.URL.Query() // as the controllers read it
	for key, values := range q {
		if strings.HasPrefix(key, ":") {
			return rejectedQuery, "The name of a query parameter begins with a colon; it would stand for a part of the path."
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
				return rejectedQuery, "A query parameter contains a control character or is not UTF-8."
			}
		}
	}
	for _, name := range []string{"X-Domain-Name", "X-Tenant-Name", "X-Consumerid"} {
		if values := r.Header.Values(name); len(values) > 1 || len(values) == 1 && values[0] != "" && !identifier(values[0]) {
			return rejectedHeader, "X-Domain-Name or X-ConsumerId is given twice, too long, or has a character other than letters, digits, _ . and -."
		}
	}
	return "", ""
}

// rejectBody counts a rejected body and writes the response.
func (g *guard) rejectBody(w http.ResponseWriter, problem string) {
	g.rejected.WithLabelValues(rejectedBody).Inc()
	writeInvalid(w, problem)
}

// scanned is what the body of a request has in it, wherever it stands: service-center
// takes any spelling of a member's name, and of repetitions the last.
type scanned struct {
	ids       []string // values of serviceId, instanceId and serviceIds
	null      bool     // a list contains null
	instances int      // the longest list of that name
	deep      bool
}

const createService = "POST /v4/:project/registry/microservices"

// problem is what is wrong with the body, for the client; "" if nothing is.
func (b *scanned) problem(route string) string {
	switch {
	case b.null: // its controllers and goroutines dereference it
		return "A list in the body contains null; leave it out."
	case b.deep:
		return "The body is nested too deeply."
	case route == createService && b.instances > 1:
		// It closes its channel of results behind the first, so that the goroutine that
		// registers them panics: some instances would be registered, some not.
		return "Only one instance can be registered together with its microservice; register the others by themselves."
	}
	return ""
}

const maxDepth = 64

// scan reads the body and puts it back. What is no JSON is left to the controller to
// refuse; it writes nothing then.
func scan(r *http.Request) (out scanned) {
	if r.Body == nil {
		return out
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		r.Body = io.NopCloser(failing{err}) // over the limit of the handler before this one, or broken off
		return out
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	_ = out.value(d, "", false, 0)
	return out
}

var errDeep = errors.New("nested too deeply")

// value takes one value in; name is that of the member that it or its list belongs to.
func (b *scanned) value(d *json.Decoder, name string, listed bool, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		b.deep = true
		return errDeep
	}
	switch t := t.(type) {
	case nil:
		b.null = b.null || listed
	case string:
		if strings.EqualFold(name, "serviceId") || strings.EqualFold(name, "instanceId") || strings.EqualFold(name, "serviceIds") {
			b.ids = append(b.ids, t)
		}
	case json.Delim:
		if t == '[' {
			return b.list(d, name, depth)
		}
		for d.More() {
			member, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := member.(string)
			if err := b.value(d, key, false, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
		return err
	}
	return nil
}

func (b *scanned) list(d *json.Decoder, name string, depth int) error {
	n := 0
	for ; d.More(); n++ {
		if err := b.value(d, name, true, depth+1); err != nil {
			return err
		}
	}
	if strings.EqualFold(name, "instances") {
		b.instances = max(b.instances, n)
	}
	_, err := d.Token()
	return err
}
