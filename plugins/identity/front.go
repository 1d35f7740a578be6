package identity

import (
	"net/http"

	"github.com/mec-liveness/mepserver/plugins"
)

// front is the door with what stands before it, which judges where a request comes from, and
// with what it lets through for longer than a request.
type front struct {
	*door
	origins *origins
	streams *streams
}

var _ plugins.Identity = front{}

func newFront(d *door, o *origins) front {
	return front{d, o, &streams{valid: d.isValid}}
}

// Handler implements plugins.Identity.
func (f front) Handler(next http.Handler) http.Handler {
	behind := f.door.Handler(next)
	if !f.On() {
		return f.origins.guard(behind)
	}
	return f.origins.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(r.Header["Upgrade"]) > 0:
			behind.ServeHTTP(f.streams.watch(w, r), r)
		case plugins.StreamsEvents(r):
			f.streams.serve(behind, w, r)
		default:
			behind.ServeHTTP(w, r)
		}
	}))
}

// isValid says whether what a request presented proves somebody now. What TLS asks of a
// certificate at each request is asked here, for a stream has no more requests.
func (d *door) isValid(r *http.Request) bool {
	if d.trusts != nil && !d.trusts(r) {
		return false
	}
	caller, err := d.callerOf(&unsent{header: http.Header{}}, r)
	return err == nil && caller != nil
}

// unsent is the response to a request that was answered long ago.
type unsent struct {
	http.ResponseWriter
	header http.Header
}

// Header implements http.ResponseWriter.
func (u *unsent) Header() http.Header { return u.header }
