package agent

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
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
			a, err := New(options(f, 3))
			require.NoError(t, err)
			a.jitter = func() float64 { return 0 }
			r := start(t, a)
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
			for id, n := range tries {
				require.Equal(t, c.tries, n, "%s: %s", name, id)
			}
		})
	}
}

// More services are refused again and again than may be tried at a time. Each answer takes two
// of the eight seconds.
func TestWhatIsRefusedAgainAndAgainHoldsUpNoOtherAtTheEnd(t *testing.T) {
	const services, refused = maxUrgent + 200, maxUrgent + 50
	seed := rand.Uint64()
	for _, wait := range []time.Duration{time.Second, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 1))
			f := keeping(10)
			a, err := New(options(f, services))
			require.NoError(t, err)
			a.jitter = rand.New(rand.NewPCG(seed, 2)).Float64
			r := start(t, a)
			for !r.Ready() {
				advance(time.Second)
			}
			require.Len(t, f.registered(), services)
			stays := map[string]bool{}
			for _, i := range rnd.Perm(services)[:refused] {
				stays[r.Status()[i].ID] = true
			}
			f.respondWith(onRequest(http.MethodDelete, "", func(r *http.Request) response {
				select {
				case <-time.After(2 * time.Second):
				case <-r.Context().Done():
					return response{err: r.Context().Err()}
				}
				if stays[path.Base(r.URL.Path)] {
					return respond(503, nil, "Retry-After", fmt.Sprint(wait.Seconds()))
				}
				return response{}
			}))
			require.ErrorContains(t, r.stop(), fmt.Sprint(refused, " services could not be deregistered"))
			for id := range f.registered() {
				require.Contains(t, stays, id, "it was not released because of others")
			}
			tries, again := map[string][]time.Time{}, map[time.Time]int{}
			for _, s := range f.sent(http.MethodDelete, "") {
				id := path.Base(s.path)
				if before := tries[id]; len(before) > 0 {
					require.Len(t, tries, services, "one is tried again before all were tried")
					require.GreaterOrEqual(t, s.at.Sub(before[len(before)-1]), 2*time.Second+wait, "earlier than it was asked")
					again[s.at]++
				}
				tries[id] = append(tries[id], s.at)
			}
			for id, at := range tries {
				if stays[id] {
					require.Greater(t, len(at), 1, "it was tried once")
				} else {
					require.Len(t, at, 1)
				}
			}
			require.Greater(t, len(again), refused/2, "they are tried again at one moment")
		})
	}
}

// What a platform that hangs does not answer costs the end no more than its time.
func TestTheEndIsInTimeWhateverIsLeftUntried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services = 3 * maxUrgent
		f := keeping(10)
		r := run(t, options(f, services))
		for !r.Ready() {
			advance(time.Second)
		}
		f.respondWith(onRequest(http.MethodDelete, "", func(r *http.Request) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		}))
		began := time.Now()
		require.ErrorContains(t, r.stop(), fmt.Sprint(services, " services could not be deregistered"))
		require.LessOrEqual(t, time.Since(began), shutdownTimeout)
		require.Len(t, f.registered(), services)
	})
}
