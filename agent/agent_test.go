package agent

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNoServiceHasAGoroutineOfItsOwn(t *testing.T) {
	counts := map[int]int{}
	for _, n := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, options(newFakePlatform(10), n))
			advance(5 * interval)
			counts[n] = runtime.NumGoroutine()
			require.NoError(t, r.stop())
		})
	}
	t.Logf("goroutines: %d with 1 service, %d with 1000", counts[1], counts[1000])
	require.LessOrEqual(t, counts[1000], counts[1]+5, "what other tests left behind aside")
}

// refusedDial is what net.Dial says of a port that nobody listens on.
func refusedDial() error { return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")} }

func TestAnotherEndpointIsUsedWithinTheInterval(t *testing.T) {
	for name, dead := range map[string]func(*http.Request) response{
		"refuses": func(*http.Request) response { return response{err: refusedDial()} },
		"hangs": func(r *http.Request) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		},
		"starting": func(*http.Request) response { return respond(503, nil, "Retry-After", "600") },
		"gateway":  func(*http.Request) response { return respond(502, "<html>") },
		"patience": func(*http.Request) response { return respond(504, nil) },
	} {
		for _, seconds := range []int{1, 10} {
			t.Run(fmt.Sprint(name, seconds), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFakePlatform(seconds)
					o := options(f, 100)
					o.Endpoints = []string{"http://one", "http://two"}
					r := run(t, o)
					interval := time.Duration(seconds) * time.Second
					advance(interval / 2)
					f.respondWith(func(r *http.Request, _ int) response {
						if r.URL.Host == "one" {
							return dead(r)
						}
						return response{}
					})
					cut := time.Now()
					advance(5 * interval)
					last := map[string]time.Time{}
					for _, b := range f.heartbeats() {
						if b.at.Before(cut) || b.host == "two" {
							if before, ok := last[b.path]; ok {
								require.LessOrEqual(t, b.at.Sub(before), 2*interval, "one window holds two intervals")
							}
							last[b.path] = b.at
						}
					}
					for path, at := range last {
						require.LessOrEqual(t, time.Since(at), interval*3/2, path)
					}
					require.True(t, r.Ready())
					require.NoError(t, r.stop())
				})
			})
		}
	}
}

func TestStoppingIsBoundedWhateverThePlatformDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(100)
		o := options(f, 100)
		o.Timeout = time.Minute
		r := run(t, o)
		advance(interval)
		f.respondWith(func(r *http.Request, _ int) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		})
		advance(100 * time.Second)
		began := time.Now()
		require.ErrorContains(t, r.stop(), "100 services could not be deregistered")
		require.LessOrEqual(t, time.Since(began), shutdownTimeout)
	})
}

func TestOptionsAreCheckedAtOnce(t *testing.T) {
	_, err := New(Options{App: "a/b", Endpoints: []string{"http://x", "127.0.0.1:1", "http://x/mec_service_mgmt/v1"}, OnStop: "explode", Timeout: -1, Services: []Service{{Probe: &Probe{}}}})
	for _, want := range []string{"App must", "Endpoints[1]: ", "Endpoints[2]: ", "must not contain /mec_service_mgmt/v1", "Services[0]: its Probe must", "Services[0]: serName: must", "Services[0]: version: must", "OnStop must", "Timeout must"} {
		require.ErrorContains(t, err, want)
	}
	_, err = New(Options{App: "a"})
	require.ErrorContains(t, err, "Endpoints must")
	_, err = New(Options{App: "a", Endpoints: []string{"ftp://x"}})
	require.ErrorContains(t, err, "Endpoints[0]")
	a, err := New(options(newFakePlatform(1), 1))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, start(t, a).stop())
		require.ErrorIs(t, a.Run(t.Context()), errRunTwice)
	})
}
