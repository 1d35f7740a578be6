package agent

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestTheOrderOfStartingDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.respond = func(*http.Request, int) response { return response{err: refusedDial()} }
		r := run(t, options(f, 20))
		advance(time.Hour)
		n := len(f.sent("GET", "")) + len(f.registrations())
		require.Less(t, n, 200, "it backs off")
		require.False(t, r.Ready())
		require.Equal(t, "searching", r.Status()[0].State)
		f.respondWith(nil)
		advance(maxRequestBackoff)
		require.True(t, r.Ready())
		require.Len(t, f.registered(), 20)
		require.NoError(t, r.stop())
	})
}

// A registration whose answer is lost may have been carried out.
func TestARegistrationIsNotDoubledWhenItsAnswerIsLost(t *testing.T) {
	for name, lose := range map[string]func() response{
		"reset": func() response { return response{err: io.ErrUnexpectedEOF} },
		"503":   func() response { return respond(503, nil, "Retry-After", "1") },
		"504":   func() response { return respond(504, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(10)
				var lost atomic.Int32
				f.respond = func(r *http.Request, _ int) response {
					if r.Method == http.MethodPost && lost.Add(1) <= 3 {
						body, _ := io.ReadAll(mustBody(r))
						f.mu.Lock()
						defer f.mu.Unlock()
						_ = f.serve(r, body).Body.Close()
						return lose()
					}
					return response{}
				}
				r := run(t, options(f, 3))
				advance(time.Minute)
				require.Len(t, f.registered(), 3)
				require.Len(t, f.registrations(), 3)
				require.True(t, r.Ready())
				require.NoError(t, r.stop())
				require.Empty(t, f.registered())
			})
		})
	}
}

func mustBody(r *http.Request) io.Reader {
	b, err := r.GetBody()
	if err != nil {
		panic(err)
	}
	return b
}

func TestAnAnswerWithoutAnIDIsNoRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		n := 0
		f.respond = func(r *http.Request, _ int) response {
			if r.Method == http.MethodPost && n < 2 {
				n++
				return respond(201, mp1.ServiceInfo{})
			}
			return response{}
		}
		r := run(t, options(f, 1))
		require.Contains(t, r.Status()[0].LastAnswer, "no serInstanceId")
		advance(interval)
		require.True(t, r.Ready())
		require.Len(t, f.registrations(), 3)
		require.NoError(t, r.stop())
	})
}

// A platform that takes so many changes a second and refuses the others with 429 gets
// all services registered without being asked several times for each: what is refused
// again waits longer than the Retry-After that all of them are told.
func TestManyServicesAreRegisteredAtThePaceOfThePlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services, burst, perSecond = 600, 100, 20
		f := newFakePlatform(300)
		var mu sync.Mutex
		left, at := float64(burst), time.Now()
		f.respond = onRequest(http.MethodPost, "", func(*http.Request) response {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			left = min(burst, left+perSecond*now.Sub(at).Seconds())
			at = now
			if left < 1 {
				return respond(429, nil, "Retry-After", "1")
			}
			left--
			return response{}
		})
		r := run(t, options(f, services))
		advance(time.Second)
		require.GreaterOrEqual(t, len(f.registrations()), burst)
		for range 10 * 60 {
			advance(time.Second)
			if r.Ready() {
				break
			}
		}
		require.True(t, r.Ready())
		require.Less(t, len(f.registrations()), 6*services)
		require.NoError(t, r.stop())
	})
}
