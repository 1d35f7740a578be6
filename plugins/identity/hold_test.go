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

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// held is a chain as setupAudit makes it, with 1,000 requests a second for each.
func held(t *testing.T) (front func(h http.HandlerFunc) http.Handler, h *holder) {
	t.Helper()
	began := time.Now()
	l := newLimits(conf.Limits{RequestsPerSecond: 1000}, true, func() time.Duration { return time.Since(began) }, func(kind, scope) {})
	var m plugins.Collectors
	b := newAuditBench()
	b.holder = newHolder(l, &m)
	t.Cleanup(func() { require.NoError(t, m.Unregister(context.Background())) })
	return func(h http.HandlerFunc) http.Handler { return b.Handler(b.holder.Handler(h)) }, b.holder
}

func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func request(name, method, path string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	return r.WithContext(plugins.WithCaller(r.Context(), &plugins.Caller{Name: name}))
}

// A caller that asks for very much is answered later; its heartbeats and other callers are not.
func TestWhoAsksForVeryMuchIsAnsweredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		front, _ := held(t)
		h := front(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		ask := func(name, method, path string) time.Duration {
			return took(func() { h.ServeHTTP(httptest.NewRecorder(), request(name, method, path)) })
		}
		for range 200 {
			require.Zero(t, ask("greedy", "GET", "/x"))
		}
		require.Equal(t, time.Millisecond, ask("greedy", "GET", "/x"))
		for range 1000 {
			require.Zero(t, ask("greedy", "PATCH", services+"/x/liveness"), "a heartbeat is asked by no limit")
			require.Zero(t, ask("greedy", "PUT", "/v4/default/registry/microservices/s/instances/i/heartbeat"), "nor one of ServiceComb's")
			require.Zero(t, ask("greedy", "PUT", "/v4/default/registry/heartbeats"))
		}
		require.Zero(t, ask("other", "GET", "/x"))
		for what, cost := range map[string]time.Duration{"GET /x": 1, "DELETE /x": 1, "POST " + services: 1, "GET " + services: listCost, "GET /metrics": listCost} {
			method, path, _ := strings.Cut(what, " ")
			require.Equal(t, cost*time.Second/1000, ask("greedy", method, path).Round(time.Microsecond), what)
		}
	})
}

// A client that is refused and asks again at once must not keep the processors busy by that.
func TestRefusalsAreHeldUpSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		front, h := held(t)
		status := 403
		handler := front(func(w http.ResponseWriter, r *http.Request) {
			plugins.NoteCaller(w, plugins.CallerOf(r.Context()))
			w.WriteHeader(status)
		})
		ask := func(name, path, method string) time.Duration {
			return took(func() { handler.ServeHTTP(httptest.NewRecorder(), request(name, method, path)) })
		}
		free := 0
		for ask("stranger", services+"/x/liveness", "PATCH") == 0 {
			free++
		}
		require.Equal(t, 10, free, "a refused heartbeat counts, as any refusal")
		require.Zero(t, ask("other", services+"/x/liveness", "PATCH"))
		status = 404 // what is not there is no refusal
		require.Zero(t, ask("stranger", services+"/x/liveness", "PATCH"))
		require.Zero(t, h.held.Load())
	})
}

// Whoever would get 401 is refused, although a browser gets 303 where ServiceComb's console begins:
// each has its line, and is held up as any refusal is. Keys that are not there yet refuse nobody.
func TestABrowserThatIsLedToTheLoginIsRefusedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, cookies := range map[string][]string{"forged": {"=x"}, "doubled": {"=x", "=y"}, "none": nil} {
			g, b, began := newGate(t), newAuditBench(), time.Now()
			g.Route("GET "+plugins.LoginPath, "login", server.Open)
			var m plugins.Collectors
			b.holder = newHolder(newLimits(conf.Limits{RequestsPerSecond: 1000}, true, func() time.Duration { return time.Since(began) }, func(kind, scope) {}), &m)
			h := b.Handler(g.Handler(http.NotFoundHandler()))
			ask := func() time.Duration {
				r := request("", http.MethodGet, consoleFor)
				r.Header.Set("Accept", "text/html")
				for _, one := range cookies {
					r.Header.Add("Cookie", plugins.SessionCookie+one)
				}
				w := httptest.NewRecorder()
				d := took(func() { h.ServeHTTP(w, r) })
				require.Equal(t, http.StatusSeeOther, w.Code, name)
				return d
			}
			free := 0
			for free < 100 && ask() == 0 {
				free++
			}
			require.Equal(t, 10, free, name)
			require.Len(t, b.lines, free+1, name)
			require.Equal(t, auditLine{Time: b.lines[0].Time, Level: "WARN", Msg: "audit", Outcome: outcomeRefused, Status: http.StatusSeeOther, Method: http.MethodGet,
				Resource: consoleFor, Roles: []string{}, Address: "192.0.2.1"}, b.lines[0], name)

			b.lines, g.keys.set = nil, nil
			cookies = []string{"=" + g.token(nil)}
			time.Sleep(time.Minute)
			require.Zero(t, ask())
			require.Empty(t, b.lines, "it may be valid: nobody knows")
			require.NoError(t, m.Unregister(t.Context()))
		}
	})
}

// A stream of HTTP/2 that is reset during its wait would be carried out at once, again and again.
// A heartbeat has arrived, whether its sender waits for the answer or not.
func TestARequestThatIsGivenUpDuringItsWaitIsNotCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		front, _ := held(t)
		done := 0
		handler := front(func(http.ResponseWriter, *http.Request) { done++ })
		send := func(method, path string) *httptest.ResponseRecorder {
			r := request("greedy", method, path)
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r.WithContext(ctx))
			return w
		}
		require.Equal(t, http.StatusServiceUnavailable, send("POST", services).Code)
		require.Zero(t, done)
		send("PATCH", services+"/x/liveness")
		require.Equal(t, 1, done)
	})
}

// Many at once are held up for longestHold at most, nothing is owed beyond that, and they do not
// all come at the same moment afterwards.
func TestNobodyIsHeldUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		front, h := held(t)
		var mu sync.Mutex
		at := map[time.Duration]int{}
		handler := front(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		for range mostHeld {
			go func() {
				d := took(func() { handler.ServeHTTP(httptest.NewRecorder(), request("many", "GET", "/x")) })
				mu.Lock()
				defer mu.Unlock()
				at[d.Truncate(100*time.Millisecond)]++
			}()
		}
		synctest.Wait()
		require.Positive(t, h.held.Load())
		time.Sleep(longestHold)
		synctest.Wait()
		require.Zero(t, h.held.Load())
		for d, n := range at {
			require.LessOrEqual(t, d, longestHold)
			require.Less(t, n, 600, "at %v", d)
		}
		gone, cancel := context.WithCancel(t.Context())
		for range 5000 {
			h.limits.hold(&plugins.Caller{Name: "many"}, "", 1, false)
		}
		cancel()
		r := request("many", "GET", "/x")
		r = r.WithContext(plugins.WithCaller(gone, plugins.CallerOf(r.Context())))
		require.Zero(t, took(func() { handler.ServeHTTP(httptest.NewRecorder(), r) }), "nobody waits for whoever has gone")
	})
}

// Whoever guesses tokens must not make others of its address wait, who fetch theirs.
func TestRefusedAnonymousRequestsHoldNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		front, _ := held(t)
		status := 401
		handler := front(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		ask := func() time.Duration {
			return took(func() { handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/oauth2/token", nil)) })
		}
		for range 120 {
			ask()
		}
		require.Positive(t, ask())
		status = 200
		require.Zero(t, ask())
	})
}
