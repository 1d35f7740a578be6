package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// onRequest has answer called for the requests with that method whose path ends with end.
func onRequest(method, end string, answer func(*http.Request) response) func(*http.Request, int) response {
	return func(r *http.Request, _ int) response {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, end) {
			return response{}
		}
		return answer(r)
	}
}

func gaps(of []sentRequest) (out []time.Duration) {
	for i := 1; i < len(of); i++ {
		out = append(out, of[i].at.Sub(of[i-1].at))
	}
	return out
}

// minWait is the shortest wait after the n-th failure of a registration in a row.
func minWait(n int) time.Duration { return jitter(func() float64 { return 1 }).requestBackoff(n) }

// The list in between is answered: that says nothing about writes.
func TestARegistrationThatFailsIsTriedAgainAtGrowingDistances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.respond = onRequest(http.MethodPost, "", func(*http.Request) response { return respond(507, nil) })
		r := run(t, options(f, 1))
		advance(10 * time.Minute)
		posts := gaps(f.registrations())
		require.GreaterOrEqual(t, len(posts), 20)
		for i, gap := range posts {
			require.GreaterOrEqual(t, gap, minWait(i+1), "registration %d", i+1)
		}
		f.respondWith(nil)
		advance(maxRequestBackoff + interval)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestTheRetriesOfOneRegistrationDoNotHastenAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		var late []sentRequest
		f.respond = onRequest(http.MethodPost, "", func(r *http.Request) response {
			var info mp1.ServiceInfo
			if err := json.NewDecoder(mustBody(r)).Decode(&info); err != nil || info.SerName != "s0" {
				return respond(500, nil)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			late = append(late, sentRequest{at: time.Now()})
			return respond(503, nil, "Retry-After", "60")
		})
		r := run(t, options(f, 20))
		advance(10 * time.Minute)
		require.GreaterOrEqual(t, len(late), 5)
		for i, gap := range gaps(late) {
			require.GreaterOrEqual(t, gap, time.Minute, "registration %d", i+1)
		}
		f.respondWith(nil)
		advance(2 * time.Minute)
		require.True(t, r.Ready())
		require.Len(t, f.registered(), 20)
		require.NoError(t, r.stop())
	})
}

// A copy that is behind must not hasten the heartbeats, nor a platform that shows no state.
func TestALivenessResourceThatDeniesTheHeartbeatsDoesNotHastenThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		var looks atomic.Int32
		f.respond = onRequest(http.MethodGet, "/liveness", func(*http.Request) response {
			if looks.Add(1) > 500 {
				return response{}
			}
			return respond(200, mp1.ServiceLivenessInfo{State: mp1.Suspended, Interval: 10})
		})
		r := run(t, options(f, 1))
		advance(10 * interval)
		beats := gaps(f.heartbeats())
		require.GreaterOrEqual(t, len(beats), 9)
		for i, gap := range beats {
			require.LessOrEqual(t, gap, interval)
			if i > 1 { // one is repeated at once, and one starts the phase
				require.GreaterOrEqual(t, gap, interval*9/10, "heartbeat %d", i+1)
			}
		}
		require.LessOrEqual(t, len(f.livenessReads()), len(f.heartbeats()))
		require.False(t, r.Ready(), "consumers do not see it")
		f.respondWith(nil)
		advance(2 * interval)
		n := len(f.livenessReads())
		advance(5 * interval)
		require.Len(t, f.livenessReads(), n, "it agrees")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestAProbeThatComesAndGoesDoesNotHastenAnything(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*http.Request, int) response
		least  time.Duration
	}{
		"all is well":     {nil, interval / 10},
		"later":           {onRequest(http.MethodPatch, "", func(*http.Request) response { return respond(503, nil, "Retry-After", "60") }), interval}, // the window allows no more
		"register, later": {onRequest(http.MethodPost, "", func(*http.Request) response { return respond(429, nil, "Retry-After", "60") }), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(10)
				f.respond = c.answer
				o := options(f, 1)
				var asked atomic.Int32
				o.Services[0].Probe = &Probe{Interval: 300 * time.Millisecond, Failures: 1, Check: func(context.Context) error {
					if asked.Add(1)%2 == 0 {
						return http.ErrAbortHandler
					}
					return nil
				}}
				r := run(t, o)
				advance(5 * time.Minute)
				sent := append(f.registrations(), f.heartbeats()...)
				require.Greater(t, len(sent), 3)
				for i, gap := range gaps(sent) {
					if i > 0 || name == "register, later" { // a heartbeat follows the registration at once
						require.GreaterOrEqual(t, gap, c.least, "request %d", i+1)
					}
				}
				require.NoError(t, r.stop())
			})
		})
	}
}

// A platform that refuses each token must not have the token server asked for each
// request.
func TestATokenServerWhoseTokensAreRefusedIsAskedAtGrowingDistances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []sentRequest
		c := newTokenCache(func(context.Context) (string, time.Duration, error) {
			asked = append(asked, sentRequest{at: time.Now()})
			return fmt.Sprint("t", len(asked)), time.Hour, nil
		})
		for range 10 * 600 {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Reject(token)
			time.Sleep(100 * time.Millisecond)
		}
		require.GreaterOrEqual(t, len(asked), 20)
		apart := gaps(asked)
		require.LessOrEqual(t, apart[0], 100*time.Millisecond, "the first refusal has another fetched at once")
		for i, gap := range apart[1:] {
			require.GreaterOrEqual(t, gap, minWait(i+1), "token %d", i+2)
		}

		advance(maxTokenRetry)
		old, err := c.Token(t.Context())
		require.NoError(t, err)
		advance(0)
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, old, token)
		advance(2 * maxTokenRetry) // it serves for a while
		c.Reject(token)
		other, err := c.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, token, other)
	})
}
