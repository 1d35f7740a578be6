package center

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-chassis/cari/discovery"
)

// service-center takes an error of the store for an absence here and there: of whether a
// microservice exists by its id, of the microservice of a new instance, of heartbeats of several
// instances, of the providers that a consumer may see. A client that is told that it is not there
// registers anew, or forgets a provider. So what the store did not answer is noted for whoever
// asked, and an answer that was made of it is replaced.

// reads are those of the store on behalf of a request, or of a find that would be remembered.
type reads struct {
	outer  *reads // those that these are part of
	failed atomic.Bool
	watch  atomic.Pointer[watchConn] // that tells what they answer; nil: none is open
}

// readsKey finds them in a context.
type readsKey struct{}

// withReads is a context of which the reads are noted that the store does not answer.
func withReads(ctx context.Context) (context.Context, *reads) {
	outer, _ := ctx.Value(readsKey{}).(*reads)
	r := &reads{outer: outer}
	return context.WithValue(ctx, readsKey{}, r), r
}

// unanswered notes that the store did not answer a read.
func unanswered(ctx context.Context) {
	r, _ := ctx.Value(readsKey{}).(*reads)
	for ; r != nil; r = r.outer {
		r.failed.Store(true)
		if w := r.watch.Load(); w != nil {
			w.end()
		}
	}
}

// failedCacheReads is how many reads were not answered that came without a context, for a cache has
// none: of a dump, and of what bounds a batch of finds. One that fails has every read that is under way
// answered 503: nobody knows whose it was.
var failedCacheReads atomic.Uint64

// newCall is a call to service-center's API, and its request with the call in its context.
func newCall(r *http.Request) (*apiCall, *http.Request) {
	finds := r.Method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), strings.TrimPrefix(batchFind, "/v4/:project"))
	call := &apiCall{asks: r.Method == http.MethodGet || finds, cacheReads: failedCacheReads.Load()}
	ctx := context.WithValue(r.Context(), callKey{}, call)
	ctx, call.reads = withReads(ctx)
	return call, r.WithContext(ctx)
}

// misled says whether a response was made of something that the store did not answer. One that says
// that something failed is true, and one to a write that it was carried out.
func (c *apiCall) misled(status int) bool {
	switch {
	case status >= http.StatusInternalServerError:
		return false
	case c.asks && status < http.StatusMultipleChoices && failedCacheReads.Load() != c.cacheReads:
		return true
	}
	return c.reads != nil && c.reads.failed.Load() && (c.asks || status >= http.StatusBadRequest)
}

// writeUnanswered says that the store does not answer.
func writeUnanswered(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	writeError(w, http.StatusServiceUnavailable, strconv.Itoa(int(discovery.ErrUnavailableBackend)), "Registry service is unavailable",
		"The platform's store does not answer. What is registered goes on; try again in a second.")
}
