package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// A store that is full takes heartbeats and refuses writes.
func TestAnUpdateThatFailsIsTriedAgainAtGrowingDistances(t *testing.T) {
	const told = 25 * time.Second
	for name, c := range map[string]struct {
		fail func(*http.Request) response
		wait time.Duration // 0: as the agent chooses
	}{
		"507":       {fail: func(*http.Request) response { return respond(507, nil) }},
		"500":       {fail: func(*http.Request) response { return respond(500, nil) }},
		"507 later": {func(*http.Request) response { return respond(507, nil, "Retry-After", "25") }, told},
		"429 later": {func(*http.Request) response { return respond(429, nil, "Retry-After", "25") }, told},
		"hangs": {fail: func(r *http.Request) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		}},
	} {
		for _, seconds := range []int{1, 10} {
			t.Run(fmt.Sprint(name, " ", seconds), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFakePlatform(seconds)
					interval := time.Duration(seconds) * time.Second
					o := options(f, 1)
					o.StateFile, o.OnStop = filepath.Join(t.TempDir(), "state"), Leave
					require.NoError(t, run(t, o).stop())
					before := len(f.heartbeats())
					var sent atomic.Int32
					f.respondWith(onRequest(http.MethodPut, "", func(r *http.Request) response {
						if sent.Add(1) > 500 {
							return response{} // or a broken agent never comes to an end
						}
						return c.fail(r)
					}))
					o.Services[0].Info.Serializer = "XML"
					r := run(t, o)
					advance(5 * time.Minute)
					require.True(t, r.Ready(), "it lives on as it was")
					puts := gaps(f.sent(http.MethodPut, ""))
					require.GreaterOrEqual(t, len(puts), 4, "it is tried again")
					for i, gap := range puts {
						least := c.wait
						if least == 0 {
							least = minWait(i + 1)
						}
						require.GreaterOrEqual(t, gap, least, "update %d", i+1)
					}
					for i, gap := range gaps(f.heartbeats()[before:]) {
						require.LessOrEqual(t, gap, interval, "heartbeat %d", i)
						if i > 0 {
							require.GreaterOrEqual(t, gap, interval*9/10, "heartbeat %d", i)
						}
					}
					f.respondWith(nil)
					advance(2*maxRequestBackoff + interval)
					n := len(f.sent(http.MethodPut, ""))
					advance(10 * interval)
					require.Len(t, f.sent(http.MethodPut, ""), n, "it was taken")
					require.EqualValues(t, "XML", f.registered()["id0001"].Serializer)
					require.NoError(t, r.stop())
				})
			})
		}
	}
}

// The platform judges by the interval that a PUT asked for from the PUT on, whether its
// answer arrives or not.
func TestAShorterIntervalIsKeptFromWhenItIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.StateFile, o.OnStop = filepath.Join(t.TempDir(), "state"), Leave
		require.NoError(t, run(t, o).stop())
		f.respondWith(onRequest(http.MethodPut, "", func(r *http.Request) response {
			<-r.Context().Done()
			return response{err: r.Context().Err()}
		}))
		shorter := 3
		o.Services[0].Info.LivenessInterval = &shorter
		r := run(t, o)
		eventually := func() bool { return len(f.sent(http.MethodPut, "")) > 0 }
		for range 600 {
			if advance(100 * time.Millisecond); eventually() {
				break
			}
		}
		advance(10 * time.Second) // for the PUT to be given up
		before := len(f.heartbeats())
		advance(30 * time.Second)
		kept := gaps(f.heartbeats()[before:])
		require.GreaterOrEqual(t, len(kept), 8)
		for i, gap := range kept {
			require.LessOrEqual(t, gap, 3*time.Second, "heartbeat %d", i)
		}
		require.NoError(t, r.stop())
	})
}

func TestAnUpdateOfWhatNeedsNoHeartbeatsIsTriedAgainToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.Services[0].Info.LivenessInterval = nil
		o.StateFile, o.OnStop = filepath.Join(t.TempDir(), "state"), Leave
		require.NoError(t, run(t, o).stop())
		f.respondWith(onRequest(http.MethodPut, "", func(*http.Request) response { return respond(507, nil) }))
		o.Services[0].Info.Serializer = "XML"
		r := run(t, o)
		advance(10 * time.Minute)
		require.True(t, r.Ready())
		puts := gaps(f.sent(http.MethodPut, ""))
		require.GreaterOrEqual(t, len(puts), 20)
		for i, gap := range puts {
			require.GreaterOrEqual(t, gap, minWait(i+1), "update %d", i+1)
		}
		require.Equal(t, "no heartbeats", r.Status()[0].State)
		require.Contains(t, r.Status()[0].LastAnswer, "507")
		f.respondWith(nil)
		advance(maxRequestBackoff)
		require.EqualValues(t, "XML", f.registered()["id0001"].Serializer)
		require.NoError(t, r.stop())
	})
}

// A probe that failed while a PUT was under way had a second one sent beside it.
func TestOneServiceHasOneRequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.StateFile, o.OnStop = filepath.Join(t.TempDir(), "state"), Leave
		require.NoError(t, run(t, o).stop())
		var underWay, most atomic.Int32
		f.respondWith(onRequest(http.MethodPut, "", func(*http.Request) response {
			most.Store(max(most.Load(), underWay.Add(1)))
			time.Sleep(2 * time.Second)
			underWay.Add(-1)
			return respond(507, nil)
		}))
		sick := errors.New("not well")
		var probes atomic.Int32
		o.Services[0].Info.Serializer = "XML"
		o.Services[0].Probe = &Probe{Interval: 100 * time.Millisecond, Failures: 1, Check: func(context.Context) error {
			if probes.Add(1) > 1 {
				return sick
			}
			return nil
		}}
		r := run(t, o)
		advance(5 * time.Minute)
		require.EqualValues(t, 1, most.Load())
		require.Len(t, f.sent(http.MethodPut, ""), 1, "and none is sent while the application is not well")
		require.NoError(t, r.stop())
	})
}

// What the state file says is registered must be what the platform has taken: an agent that
// was killed before that did not send the change again.
func TestTheStateFileHasWhatThePlatformHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.StateFile, o.OnStop = filepath.Join(t.TempDir(), "state"), Leave
		require.NoError(t, run(t, o).stop())
		f.respondWith(onRequest(http.MethodPut, "", func(*http.Request) response { return respond(507, nil) }))
		o.Services[0].Info.Serializer = "XML"
		r := run(t, o)
		advance(interval)
		require.NotEmpty(t, f.sent(http.MethodPut, ""))
		require.NoError(t, r.stop())
		f.respondWith(nil)
		r = run(t, o)
		advance(interval)
		require.EqualValues(t, "XML", f.registered()["id0001"].Serializer)
		n := len(f.sent(http.MethodPut, ""))
		require.NoError(t, r.stop())
		r = run(t, o)
		advance(interval)
		require.Len(t, f.sent(http.MethodPut, ""), n, "it is taken now")
		require.NoError(t, r.stop())
	})
}

// A service that the application had set INACTIVE was beaten after an update that failed.
func TestAnInactiveServiceWhoseUpdateFailsStaysInactive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.StateFile, o.OnStop = filepath.Join(t.TempDir(), "state"), Leave
		require.NoError(t, run(t, o).stop())
		f.setState("id0001", mp1.Inactive)
		f.respondWith(onRequest(http.MethodPut, "", func(*http.Request) response { return respond(507, nil) }))
		o.Services[0].Info.Serializer = "XML"
		before := len(f.heartbeats())
		r := run(t, o)
		advance(5 * time.Minute)
		require.Len(t, f.heartbeats(), before)
		require.Equal(t, "inactive", r.Status()[0].State)
		puts := gaps(f.sent(http.MethodPut, ""))
		require.GreaterOrEqual(t, len(puts), 4)
		for i, gap := range puts {
			require.GreaterOrEqual(t, gap, minWait(i+1), "update %d", i+1)
		}
		f.respondWith(nil)
		advance(2 * maxRequestBackoff)
		require.EqualValues(t, "XML", f.registered()["id0001"].Serializer)
		require.NoError(t, r.stop())
	})
}

// A service that was removed was shown as one that is to be registered.
func TestWhatIsRemovedAtTheEndIsShownSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		r := run(t, options(f, 1))
		advance(interval)
		require.NoError(t, r.stop())
		require.Equal(t, "deregistered", r.Status()[0].State)
		require.Empty(t, r.Status()[0].ID)
	})
}
