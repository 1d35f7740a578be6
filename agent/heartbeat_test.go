package agent

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const interval = 10 * time.Second

func TestTheFirstHeartbeatFollowsTheRegistrationAndNoneIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		began := time.Now()
		r := run(t, options(f, 1))
		require.Len(t, f.heartbeats(), 1)
		require.Equal(t, began, f.heartbeats()[0].at)
		advance(10 * time.Minute)
		beats := f.heartbeats()
		require.GreaterOrEqual(t, len(beats), 60)
		require.LessOrEqual(t, len(beats), 60*10/9+2, "a tenth early at most, the first phase aside")
		for i := 1; i < len(beats); i++ {
			gap := beats[i].at.Sub(beats[i-1].at)
			require.LessOrEqual(t, gap, interval, "beat %d", i)
			if i > 1 {
				require.GreaterOrEqual(t, gap, interval*9/10, "beat %d", i)
			}
		}
		require.Len(t, f.registrations(), 1)
		require.Len(t, f.livenessReads(), 1, "the liveness resource is read once after the start")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
	})
}

func TestServicesRegisteredOrReturningTogetherDoNotBeatTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		spread := func(since time.Time) {
			perSecond := map[int]int{}
			for _, b := range f.heartbeats() {
				if b.at.After(since) {
					perSecond[int(b.at.Sub(since)/time.Second)]++
				}
			}
			for second, n := range perSecond {
				require.Less(t, n, 110, "second %d of ten has %d of 500 heartbeats", second, n)
			}
			require.GreaterOrEqual(t, len(perSecond), 9)
		}
		began := time.Now()
		r := run(t, options(f, 500))
		require.Len(t, f.heartbeats(), 500)
		advance(interval)
		spread(began)

		f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
		advance(10 * interval)
		f.respondWith(nil)
		before := len(f.heartbeats())
		advance(interval / 3) // the longest wait between two tries
		require.True(t, r.Ready(), "all are back")
		advance(interval)
		require.LessOrEqual(t, len(f.heartbeats())-before, 3*500, "what was missed is not made up for")
		back := time.Now()
		advance(interval)
		spread(back)
		require.NoError(t, r.stop())
	})
}

func TestAHeartbeatThatFailsIsSentAgainWithinItsInterval(t *testing.T) {
	for name, fail := range map[string]func() response{
		"500":     func() response { return respond(500, nil) },
		"refused": func() response { return response{err: errors.New("connection reset")} },
		"403":     func() response { return respond(403, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(10)
				f.respond = onHeartbeat(func(n int) response {
					if n >= 2 && n <= 4 {
						return fail()
					}
					return response{}
				})
				r := run(t, options(f, 1))
				advance(2 * interval)
				beats := f.heartbeats()
				require.GreaterOrEqual(t, len(beats), 5)
				require.LessOrEqual(t, beats[4].at.Sub(beats[1].at), interval, "three retries fit")
				for i := 2; i <= 4; i++ {
					require.GreaterOrEqual(t, beats[i].at.Sub(beats[i-1].at), interval/16*3/4, "with a wait between them")
				}
				require.Len(t, f.registrations(), 1)
				require.NoError(t, r.stop())
			})
		})
	}
}

func TestTheIntervalThatThePlatformTellsHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(60)
		f.respond = onHeartbeat(func(n int) response {
			if n == 2 {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.interval = 4
				return respond(200, mp1.ServiceLivenessInfo{State: mp1.Active, Interval: 4})
			}
			return response{}
		})
		r := run(t, options(f, 1))
		advance(90 * time.Second)
		beats := f.heartbeats()
		require.Greater(t, len(beats), 3)
		require.LessOrEqual(t, beats[2].at.Sub(beats[1].at), 4*time.Second)
		require.GreaterOrEqual(t, beats[3].at.Sub(beats[2].at), 3600*time.Millisecond)
		require.EqualValues(t, 4, r.Status()[0].Interval)
		require.NoError(t, r.stop())
	})
}

func TestWhatIsGoneAtThePlatformIsRegisteredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		a, err := New(options(f, 50))
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		advance(time.Second)
		f.forgetAll()
		slept.Store(int64(time.Hour)) // so that all find it out together
		advance(interval + interval/2)
		registers := f.registrations()
		require.Len(t, registers, 100)
		require.Len(t, f.registered(), 50)
		instants := map[time.Time]bool{}
		for _, s := range registers[50:] {
			instants[s.at] = true
		}
		require.Greater(t, len(instants), 25, "not all at one time")
		require.GreaterOrEqual(t, len(f.livenessReads()), 100, "a 404 is confirmed by the liveness resource")
		advance(interval)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestA404ThatTheLivenessResourceDeniesRegistersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.respond = onHeartbeat(func(n int) response {
			if n == 2 || n == 3 {
				return respond(404, nil)
			}
			return response{}
		})
		r := run(t, options(f, 1))
		advance(3 * interval)
		require.Len(t, f.registrations(), 1)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestAnINACTIVEServiceIsLookedAtAndNotBeaten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		r := run(t, options(f, 1))
		f.setState("id0001", mp1.Inactive)
		advance(interval)
		n := len(f.heartbeats())
		require.Equal(t, 2, n, "one heartbeat was refused with 409")
		advance(10 * interval)
		require.Len(t, f.heartbeats(), n)
		require.GreaterOrEqual(t, len(f.livenessReads()), 10)
		require.Equal(t, "inactive", r.Status()[0].State)
		f.setState("id0001", mp1.Active)
		advance(interval)
		require.Greater(t, len(f.heartbeats()), n, "the application set it ACTIVE again")
		require.Equal(t, "beating", r.Status()[0].State)
		require.Len(t, f.registrations(), 1)
		require.NoError(t, r.stop())
	})
}

// A drain is no failure of the service: it is ready, registered once, and both status and log say
// who drained it and why, also when that changes.
func TestADrainIsSaidAndIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		var log strings.Builder
		o := options(f, 1)
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r := run(t, o)
		drain := func(reason string, state mp1.State) {
			f.mu.Lock()
			f.reason = reason
			f.mu.Unlock()
			f.setState("id0001", state)
		}
		advance(interval)
		for _, reason := range []string{"drained by ops: the disk is replaced", "drained by ops: it takes\x1b longer"} {
			drain(reason, mp1.Inactive)
			advance(3 * interval)
			s := r.Status()[0]
			require.Equal(t, []any{"inactive", true, true, 0}, []any{s.State, s.Ready, s.Registered, s.Failures})
			require.Equal(t, "it is INACTIVE at the platform: "+strings.ReplaceAll(reason, "\x1b", ""), s.Reason)
			require.Equal(t, 1, strings.Count(log.String(), strings.ReplaceAll(reason, "\x1b", "")), log.String())
		}
		drain("", mp1.Active)
		advance(2 * interval)
		require.Equal(t, "beating", r.Status()[0].State)
		require.Empty(t, r.Status()[0].Reason)
		require.Len(t, f.registrations(), 1)
		require.NoError(t, r.stop())
	})
}

func TestThePlatformSaysWhenToComeBack(t *testing.T) {
	for _, status := range []int{429, 503} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.respond = onHeartbeat(func(n int) response {
				if n == 2 {
					return respond(status, nil, "Retry-After", "7")
				}
				return response{}
			})
			r := run(t, options(f, 1))
			advance(3 * interval)
			beats := f.heartbeats()
			require.Equal(t, 7*time.Second, beats[2].at.Sub(beats[1].at))
			require.NoError(t, r.stop())
		})
	}
}

func TestAServiceWithoutHeartbeatsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.Services[0].Info.LivenessInterval = nil
		r := run(t, o)
		advance(time.Hour)
		require.Empty(t, f.heartbeats())
		require.Empty(t, f.livenessReads())
		require.Len(t, f.registrations(), 1)
		require.True(t, r.Ready())
		require.Equal(t, "no heartbeats", r.Status()[0].State)
		require.NoError(t, r.stop())
		require.Len(t, f.sent("DELETE", "id0001"), 1)
	})
}
