package agent

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What is taken back goes, even where the others are left.
func TestWhatIsTakenBackIsNotLeftBehindWhenTheEndCutsItsPOSTOff(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.keeps = keeps
			f.respondWith(onRequest(http.MethodPost, "", func(r *http.Request) response {
				body, _ := io.ReadAll(mustBody(r))
				f.mu.Lock()
				_ = f.serve(r, body).Body.Close()
				f.mu.Unlock()
				<-r.Context().Done()
				return response{err: r.Context().Err()}
			}))
			o := options(f, 2)
			o.OnStop = Leave
			r := run(t, o)
			require.NoError(t, r.Remove("s0"))
			advance(time.Second)
			require.Len(t, f.registered(), 2)
			require.NoError(t, r.stop())
			left := f.registered()
			require.Len(t, left, 1)
			for _, info := range left {
				require.Equal(t, "s1", info.SerName)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the list is asked for only where it is of use
		f := newFakePlatform(10)
		f.respondWith(onRequest(http.MethodPost, "", func(r *http.Request) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		}))
		o := options(f, 1)
		o.OnStop = Leave
		r := run(t, o)
		lists := len(f.sent(http.MethodGet, "/services"))
		require.NoError(t, r.stop())
		require.Len(t, f.sent(http.MethodGet, "/services"), lists)
	})
}

// Hundreds of services that go at once may be more than the platform's store confirms in time: it
// answers 503, and says when to come again.
func TestWhatThePlatformAsksToTryAgainIsTriedAgainAtTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		wait   string
		busy   int // so many DELETEs of each service are refused
		tries  int
		stays  bool
		atMost time.Duration
	}{
		"for a moment":    {"1", 2, 3, false, 2 * time.Second},
		"for too long":    {"1", 1000, 8, true, shutdownTimeout},
		"until tomorrow":  {"86400", 1000, 1, true, 0},
		"it does not say": {"", 1000, 1, true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			tries := map[string]int{}
			f.respondWith(onRequest(http.MethodDelete, "", func(r *http.Request) response {
				f.mu.Lock()
				defer f.mu.Unlock()
				if tries[r.URL.Path]++; tries[r.URL.Path] > c.busy {
					return response{}
				}
				if c.wait == "" {
					return respond(503, nil)
				}
				return respond(503, nil, "Retry-After", c.wait)
			}))
			r := run(t, options(f, 3))
			advance(time.Second)
			require.Len(t, f.registered(), 3)
			began := time.Now()
			if err := r.stop(); c.stays {
				require.ErrorContains(t, err, "3 services could not be deregistered", name)
				require.Len(t, f.registered(), 3, name)
			} else {
				require.NoError(t, err, name)
				require.Empty(t, f.registered(), name)
			}
			require.LessOrEqual(t, time.Since(began), c.atMost, name)
			for path, n := range tries {
				require.Equal(t, c.tries, n, "%s: %s", name, path)
			}
		})
	}
}
