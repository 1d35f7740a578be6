package identity

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

// withOneSlot is a chain in which one request of an identity is worked on at a time.
func withOneSlot(t *testing.T, h http.HandlerFunc) (http.Handler, *slots) {
	t.Helper()
	var m plugins.Collectors
	s := newSlots(true, &m)
	s.most = 1
	t.Cleanup(func() { require.NoError(t, m.Unregister(context.Background())) })
	return s.Handler(h), s
}

func requireCount(t *testing.T, of *slots, callers, waiting int, why string) {
	t.Helper()
	c, w := of.count()
	require.Equal(t, [...]int{callers, waiting}, [...]int{c, w}, why)
}

// A flood by one identity, in whatever way, takes no more than its slots: the heartbeats of
// everybody, its own as well, and the requests of others are worked on at once meanwhile.
func TestAFloodLeavesHeartbeatsAlone(t *testing.T) {
	for what, path := range map[string]string{
		"writes": "POST " + services, "changes": "PUT " + services + "/x", "deletions": "DELETE " + services + "/x", "lists": "GET /mec_service_mgmt/v1/services",
		"reads": "GET /mec_service_mgmt/v1/transports", "ServiceComb's finds": "GET /v4/default/registry/instances", "metrics": "GET /metrics",
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var order []string
			go1 := make(chan struct{})
			h, held := withOneSlot(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				order = append(order, r.Header.Get("N"))
				mu.Unlock()
				if r.Header.Get("N") != "" {
					<-go1
				}
				w.WriteHeader(http.StatusNoContent)
			})
			method, path, _ := strings.Cut(path, " ")
			var flood sync.WaitGroup
			var want []string
			for i := range 20 {
				r := request("greedy", method, path)
				n := string(rune('a' + i))
				want = append(want, n)
				r.Header.Set("N", n)
				flood.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
				synctest.Wait()
			}
			require.Equal(t, want[:1], order, what)
			requireCount(t, held, 1, 19, what)
			order = nil
			for _, beat := range []string{"PATCH " + services + "/x/liveness", "PUT " + services + "/x/liveness", "PUT /v4/default/registry/heartbeats", "PUT /v4/default/registry/microservices/s/instances/i/heartbeat"} {
				for _, who := range []string{"greedy", "other"} {
					method, path, _ := strings.Cut(beat, " ")
					require.Zero(t, took(func() { h.ServeHTTP(httptest.NewRecorder(), request(who, method, path)) }), "%s of %s beside %s", beat, who, what)
				}
			}
			require.Zero(t, took(func() { h.ServeHTTP(httptest.NewRecorder(), request("other", method, path)) }), what)
			require.Zero(t, took(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/oauth2/token", nil)) }), "who proves nothing yet waits for nobody")
			require.Len(t, order, 10)
			order = nil
			close(go1)
			flood.Wait()
			synctest.Wait()
			require.Equal(t, want[1:], order, "in the order in which they came")
			requireCount(t, held, 0, 0, "nobody is remembered")
		})
	}
}

// A slot that nobody gave back would lock its identity out. It is given back when the answer
// begins, so that streams and slow readers have none.
func TestASlotIsGivenBack(t *testing.T) {
	for how, does := range map[string]func(w http.ResponseWriter, r *http.Request, hang func()){
		"with its request": func(http.ResponseWriter, *http.Request, func()) {},
		"by a panic":       func(http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) },
		"with the status":  func(w http.ResponseWriter, _ *http.Request, hang func()) { w.WriteHeader(403); hang() },
		"with the body":    func(w http.ResponseWriter, _ *http.Request, hang func()) { _, _ = w.Write([]byte("a")); hang() },
		"with a stream": func(w http.ResponseWriter, _ *http.Request, hang func()) {
			_ = http.NewResponseController(w).Flush()
			hang()
		},
		"with a websocket": func(w http.ResponseWriter, _ *http.Request, hang func()) {
			_, _, _ = w.(http.Hijacker).Hijack()
			hang()
		},
		"with other protocols":     func(w http.ResponseWriter, _ *http.Request, hang func()) { w.WriteHeader(101); hang() },
		"when its client has gone": func(_ http.ResponseWriter, r *http.Request, _ func()) { <-r.Context().Done() },
	} {
		synctest.Test(t, func(t *testing.T) {
			end := make(chan struct{})
			h, held := withOneSlot(t, func(w http.ResponseWriter, r *http.Request) { does(w, r, func() { <-end }) })
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					defer func() { _ = recover() }()
					r := request("who", "GET", "/x")
					ctx, cancel := context.WithTimeout(r.Context(), slotTime/2)
					defer cancel()
					h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
				})
			}
			synctest.Wait()
			if how == "when its client has gone" {
				all.Wait()
			}
			requireCount(t, held, 0, 0, how)
			close(end)
			all.Wait()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		h, held := withOneSlot(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(100); <-end })
		for range 3 {
			go h.ServeHTTP(httptest.NewRecorder(), request("who", "GET", "/x"))
		}
		synctest.Wait()
		requireCount(t, held, 1, 2, "100 Continue is no answer")
		time.Sleep(slotTime)
		synctest.Wait()
		requireCount(t, held, 1, 1, "who waits for something needs no processor")
		time.Sleep(2 * slotTime)
		synctest.Wait()
		requireCount(t, held, 0, 0, "all had a slot")
		close(end)
	})
}

// After a list the next request of its identity waits for three times what the list took. Those of
// others and heartbeats do not.
func TestASlotRestsAfterAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const work = 10 * time.Millisecond
		began := time.Now()
		var at []time.Duration
		h, held := withOneSlot(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("N") != "" {
				at = append(at, time.Since(began))
				time.Sleep(work / 2)
				w.WriteHeader(http.StatusOK)
				time.Sleep(work / 2)
				_, _ = w.Write([]byte("[]"))
			}
		})
		var flood sync.WaitGroup
		for range 5 {
			r := request("greedy", "GET", "/mec_service_mgmt/v1/services")
			r.Header.Set("N", "1")
			flood.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
		}
		synctest.Wait()
		require.Zero(t, took(func() { h.ServeHTTP(httptest.NewRecorder(), request("greedy", "PATCH", services+"/x/liveness")) }))
		require.Zero(t, took(func() { h.ServeHTTP(httptest.NewRecorder(), request("other", "POST", services)) }))
		flood.Wait()
		for i := range 5 {
			require.Equal(t, time.Duration(i)*(1+rests)*work, at[i], i)
		}
		require.Equal(t, rests*work, took(func() { h.ServeHTTP(httptest.NewRecorder(), request("greedy", "POST", services)) }))
		requireCount(t, held, 0, 0, "and nobody is remembered")
	})
}

// Who reads a list slowly, or has it refused, keeps the slot from nobody.
func TestASlowReaderOfAListKeepsNoSlot(t *testing.T) {
	for what, status := range map[string]int{"slow": http.StatusOK, "refused": http.StatusTooManyRequests} {
		synctest.Test(t, func(t *testing.T) {
			end := make(chan struct{})
			h, held := withOneSlot(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				for range 10 {
					_, _ = w.Write([]byte("["))
					time.Sleep(writeTime / 5)
				}
				<-end
			})
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					h.ServeHTTP(httptest.NewRecorder(), request("who", "GET", "/mec_service_mgmt/v1/services"))
				})
			}
			synctest.Wait()
			if status == http.StatusOK {
				for waiting := 2; waiting >= 0; waiting-- {
					requireCount(t, held, 1, waiting, what)
					time.Sleep(writeTime)
					synctest.Wait()
				}
			}
			requireCount(t, held, 0, 0, what)
			close(end)
			all.Wait()
			requireCount(t, held, 0, 0, "nor does it rest")
		})
	}
}

// Waiting is bounded in number and in time, and whoever has gone waits no more.
func TestNobodyWaitsForASlotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		done := 0
		h, held := withOneSlot(t, func(http.ResponseWriter, *http.Request) { done++; <-end })
		_, ok := held.enter("who") // one that never ends
		require.True(t, ok)
		gone, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, mostWaiting)
		for i := range answers {
			answers[i] = httptest.NewRecorder()
			r := request("who", "GET", "/x")
			if i == 0 {
				r = r.WithContext(plugins.WithCaller(gone, plugins.CallerOf(r.Context())))
			}
			all.Go(func() { h.ServeHTTP(answers[i], r) })
		}
		synctest.Wait()
		requireCount(t, held, 1, mostWaiting, "as many as may wait")
		w := httptest.NewRecorder()
		require.Zero(t, took(func() { h.ServeHTTP(w, request("who", "GET", "/x")) }))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, "1", w.Header().Get("Retry-After"))
		leave()
		synctest.Wait()
		requireCount(t, held, 1, mostWaiting-1, "one has gone")
		require.Equal(t, longestWait, took(all.Wait))
		for _, a := range answers {
			require.Equal(t, http.StatusServiceUnavailable, a.Code)
		}
		require.Zero(t, done)
		held.release("who")
		requireCount(t, held, 0, 0, "nobody is remembered")
		close(end)
	})
}

// limits.requestsPerSecond 0 turns it off.
func TestWithoutALimitOfRequestsThereAreNoSlots(t *testing.T) {
	var m plugins.Collectors
	next := http.NotFoundHandler()
	s := newSlots(false, &m)
	require.Zero(t, s.most)
	require.NotPanics(t, func() { s.Handler(next).ServeHTTP(httptest.NewRecorder(), request("who", "GET", "/x")) })
	require.NoError(t, m.Unregister(t.Context()))
}
