package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
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
		f := newFake(10)
		began := time.Now()
		r := run(t, options(f, 1))
		require.Len(t, f.beats(), 1)
		require.Equal(t, began, f.beats()[0].at)
		pass(10 * time.Minute)
		beats := f.beats()
		require.GreaterOrEqual(t, len(beats), 60)
		require.LessOrEqual(t, len(beats), 60*10/9+2, "a tenth early at most, the first phase aside")
		for i := 1; i < len(beats); i++ {
			gap := beats[i].at.Sub(beats[i-1].at)
			require.LessOrEqual(t, gap, interval, "beat %d", i)
			if i > 1 {
				require.GreaterOrEqual(t, gap, interval*9/10, "beat %d", i)
			}
		}
		require.Len(t, f.registers(), 1)
		require.Len(t, f.looks(), 1, "the liveness resource is read once after the start")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
		require.Empty(t, f.all())
	})
}

func TestServicesRegisteredOrReturningTogetherDoNotBeatTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		spread := func(since time.Time) {
			perSecond := map[int]int{}
			for _, b := range f.beats() {
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
		require.Len(t, f.beats(), 500)
		pass(interval)
		spread(began)

		f.answers(func(*http.Request, int) said { return said{err: refusedDial()} })
		pass(10 * interval)
		f.answers(nil)
		before := len(f.beats())
		pass(interval / 3) // the longest wait between two tries
		require.True(t, r.Ready(), "all are back")
		pass(interval)
		require.LessOrEqual(t, len(f.beats())-before, 3*500, "what was missed is not made up for")
		back := time.Now()
		pass(interval)
		spread(back)
		require.NoError(t, r.stop())
	})
}

func TestNoServiceHasAGoroutineOfItsOwn(t *testing.T) {
	counts := map[int]int{}
	for _, n := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, options(newFake(10), n))
			pass(5 * interval)
			counts[n] = runtime.NumGoroutine()
			require.NoError(t, r.stop())
		})
	}
	t.Logf("goroutines: %d with 1 service, %d with 1000", counts[1], counts[1000])
	require.LessOrEqual(t, counts[1000], counts[1]+5, "what other tests left behind aside")
}

func TestAHeartbeatThatFailsIsSentAgainWithinItsInterval(t *testing.T) {
	for name, fail := range map[string]func() said{
		"500":     func() said { return says(500, nil) },
		"refused": func() said { return said{err: errors.New("connection reset")} },
		"403":     func() said { return says(403, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(10)
				f.answer = onBeat(func(n int) said {
					if n >= 2 && n <= 4 {
						return fail()
					}
					return said{}
				})
				r := run(t, options(f, 1))
				pass(2 * interval)
				beats := f.beats()
				require.GreaterOrEqual(t, len(beats), 5)
				require.LessOrEqual(t, beats[4].at.Sub(beats[1].at), interval, "three retries fit")
				for i := 2; i <= 4; i++ {
					require.GreaterOrEqual(t, beats[i].at.Sub(beats[i-1].at), interval/16*3/4, "with a wait between them")
				}
				require.Len(t, f.registers(), 1)
				require.NoError(t, r.stop())
			})
		})
	}
}

func TestTheIntervalThatThePlatformTellsHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(60)
		f.answer = onBeat(func(n int) said {
			if n == 2 {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.interval = 4
				return says(200, mp1.ServiceLivenessInfo{State: mp1.Active, Interval: 4})
			}
			return said{}
		})
		r := run(t, options(f, 1))
		pass(90 * time.Second)
		beats := f.beats()
		require.Greater(t, len(beats), 3)
		require.LessOrEqual(t, beats[2].at.Sub(beats[1].at), 4*time.Second)
		require.GreaterOrEqual(t, beats[3].at.Sub(beats[2].at), 3600*time.Millisecond)
		require.EqualValues(t, 4, r.Status()[0].Interval)
		require.NoError(t, r.stop())
	})
}

func TestWhatIsGoneAtThePlatformIsRegisteredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		a, err := New(options(f, 50))
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		pass(time.Second)
		f.forgets()
		slept.Store(int64(time.Hour)) // so that all find it out together
		pass(interval + interval/2)
		registers := f.registers()
		require.Len(t, registers, 100)
		require.Len(t, f.all(), 50)
		instants := map[time.Time]bool{}
		for _, s := range registers[50:] {
			instants[s.at] = true
		}
		require.Greater(t, len(instants), 25, "not all at one time")
		require.GreaterOrEqual(t, len(f.looks()), 100, "a 404 is confirmed by the liveness resource")
		pass(interval)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestA404ThatTheLivenessResourceDeniesRegistersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		f.answer = onBeat(func(n int) said {
			if n == 2 || n == 3 {
				return says(404, nil)
			}
			return said{}
		})
		r := run(t, options(f, 1))
		pass(3 * interval)
		require.Len(t, f.registers(), 1)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestAnINACTIVEServiceIsLookedAtAndNotBeaten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		r := run(t, options(f, 1))
		f.set("id0001", mp1.Inactive)
		pass(interval)
		n := len(f.beats())
		require.Equal(t, 2, n, "one heartbeat was refused with 409")
		pass(10 * interval)
		require.Len(t, f.beats(), n)
		require.GreaterOrEqual(t, len(f.looks()), 10)
		require.Equal(t, "inactive", r.Status()[0].State)
		f.set("id0001", mp1.Active)
		pass(interval)
		require.Greater(t, len(f.beats()), n, "the application set it ACTIVE again")
		require.Equal(t, "beating", r.Status()[0].State)
		require.Len(t, f.registers(), 1)
		require.NoError(t, r.stop())
	})
}

func TestThePlatformSaysWhenToComeBack(t *testing.T) {
	for _, status := range []int{429, 503} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(10)
			f.answer = onBeat(func(n int) said {
				if n == 2 {
					return says(status, nil, "Retry-After", "7")
				}
				return said{}
			})
			r := run(t, options(f, 1))
			pass(3 * interval)
			beats := f.beats()
			require.Equal(t, 7*time.Second, beats[2].at.Sub(beats[1].at))
			require.NoError(t, r.stop())
		})
	}
}

func TestAServiceWithoutHeartbeatsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		o := options(f, 1)
		o.Services[0].Info.LivenessInterval = nil
		r := run(t, o)
		pass(time.Hour)
		require.Empty(t, f.beats())
		require.Empty(t, f.looks())
		require.Len(t, f.registers(), 1)
		require.True(t, r.Ready())
		require.Equal(t, "no heartbeats", r.Status()[0].State)
		require.NoError(t, r.stop())
		require.Len(t, f.of("DELETE", "id0001"), 1)
	})
}

// refusedDial is what net.Dial says of a port that nobody listens on.
func refusedDial() error { return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")} }

func TestAnotherEndpointIsUsedWithinTheInterval(t *testing.T) {
	for name, dead := range map[string]func(*http.Request) said{
		"refuses": func(*http.Request) said { return said{err: refusedDial()} },
		"hangs": func(r *http.Request) said {
			<-r.Context().Done()
			return said{err: r.Context().Err()}
		},
		"starting": func(*http.Request) said { return says(503, nil, "Retry-After", "600") },
	} {
		for _, seconds := range []int{1, 10} {
			t.Run(fmt.Sprint(name, seconds), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(seconds)
					o := options(f, 100)
					o.Endpoints = []string{"http://one", "http://two"}
					r := run(t, o)
					interval := time.Duration(seconds) * time.Second
					pass(interval / 2)
					f.answers(func(r *http.Request, _ int) said {
						if r.URL.Host == "one" {
							return dead(r)
						}
						return said{}
					})
					cut := time.Now()
					pass(5 * interval)
					last := map[string]time.Time{}
					for _, b := range f.beats() {
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

func TestTheOrderOfStartingDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		f.answer = func(*http.Request, int) said { return said{err: refusedDial()} }
		r := run(t, options(f, 20))
		pass(time.Hour)
		n := len(f.of("GET", "")) + len(f.registers())
		require.Less(t, n, 200, "it backs off")
		require.False(t, r.Ready())
		require.Equal(t, "searching", r.Status()[0].State)
		f.answers(nil)
		pass(mostRegister)
		require.True(t, r.Ready())
		require.Len(t, f.all(), 20)
		require.NoError(t, r.stop())
	})
}

// A registration whose answer is lost may have been carried out.
func TestARegistrationIsNotDoubledWhenItsAnswerIsLost(t *testing.T) {
	for name, lose := range map[string]func() said{
		"reset": func() said { return said{err: io.ErrUnexpectedEOF} },
		"503":   func() said { return says(503, nil, "Retry-After", "1") },
		"504":   func() said { return says(504, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(10)
				var lost atomic.Int32
				f.answer = func(r *http.Request, _ int) said {
					if r.Method == http.MethodPost && lost.Add(1) <= 3 {
						body, _ := io.ReadAll(mustBody(r))
						f.mu.Lock()
						defer f.mu.Unlock()
						_ = f.platform(r, body).Body.Close()
						return lose()
					}
					return said{}
				}
				r := run(t, options(f, 3))
				pass(time.Minute)
				require.Len(t, f.all(), 3)
				require.Len(t, f.registers(), 3)
				require.True(t, r.Ready())
				require.NoError(t, r.stop())
				require.Empty(t, f.all())
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

func TestAnAgentThatStartsAnewFindsItsRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		o := options(f, 3)
		o.OnStop = Leave
		o.Services[2].Info = o.Services[1].Info // the same service twice
		require.NoError(t, run(t, o).stop())
		require.Len(t, f.all(), 3)
		other := offered("s0")
		other.TransportInfo.Endpoint.URIs = []string{"http://elsewhere"}
		other.SerInstanceID = "another"
		f.put("another", other)
		r := run(t, o)
		pass(interval)
		require.Len(t, f.registers(), 3)
		ids := map[string]bool{}
		for _, s := range r.Status() {
			ids[s.ID] = true
			require.NotEqual(t, "another", s.ID, "it is offered elsewhere: another agent's")
		}
		require.Len(t, ids, 3)
		require.NoError(t, r.stop())
		require.Empty(t, f.of("DELETE", ""))
	})
}

// A platform that requires no heartbeats shows no interval.
func TestWhatNeedsNoHeartbeatsIsFoundAgainToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		o := options(f, 1)
		o.OnStop = Leave
		plain := o.Services[0].Info
		plain.LivenessInterval = nil
		o.Services = append(o.Services, Service{Info: plain})
		shown := plain
		shown.SerInstanceID = "a1"
		f.put("a1", shown)
		shown.SerInstanceID = "a2"
		f.put("a2", shown)
		r := run(t, o)
		pass(interval)
		require.Empty(t, f.registers())
		require.Empty(t, f.beats())
		require.NoError(t, r.stop())

		zero := 10
		shown.LivenessInterval, shown.Links = &zero, &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/a2/liveness"}}
		f.put("a2", shown)
		r = run(t, o)
		pass(interval)
		require.Empty(t, f.registers())
		require.Equal(t, []string{"a2", "a1"}, []string{r.Status()[0].ID, r.Status()[1].ID}, "who beats has the one that is to be beaten")
		require.NotEmpty(t, f.beats())
		require.NoError(t, r.stop())
	})
}

func TestAnAnswerWithoutAnIDIsNoRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		n := 0
		f.answer = func(r *http.Request, _ int) said {
			if r.Method == http.MethodPost && n < 2 {
				n++
				return says(201, mp1.ServiceInfo{})
			}
			return said{}
		}
		r := run(t, options(f, 1))
		require.Contains(t, r.Status()[0].LastAnswer, "no serInstanceId")
		pass(interval)
		require.True(t, r.Ready())
		require.Len(t, f.registers(), 3)
		require.NoError(t, r.stop())
	})
}

func TestTheStateFileKnowsWhatTheListDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		o := options(f, 2)
		o.OnStop, o.StateFile = Leave, filepath.Join(t.TempDir(), "state")
		require.NoError(t, run(t, o).stop())
		for id, info := range f.all() { // a gateway shows its own address in place of ours
			moved := *info.TransportInfo
			moved.Endpoint.URIs = []string{"http://gateway/" + id}
			info.TransportInfo = &moved
			f.put(id, info)
		}
		r := run(t, o)
		pass(interval)
		require.Len(t, f.registers(), 2)
		require.Empty(t, f.of("PUT", ""))
		require.NoError(t, r.stop())

		o.Services[1].Info.Version = "2"
		r = run(t, o)
		pass(interval)
		require.Len(t, f.registers(), 2)
		require.Len(t, f.of("PUT", ""), 1, "what changed is updated, not doubled")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())

		o.Services[1].Info.Version = "3"
		refused := 0
		f.answers(func(r *http.Request, _ int) said {
			if r.Method == http.MethodPut && refused < 3 {
				refused++
				return says(500, nil)
			}
			return said{}
		})
		r = run(t, o)
		pass(6 * interval)
		require.Len(t, f.of("PUT", ""), 5, "it is tried again while the old one lives on")
		require.True(t, r.Ready())
		require.Len(t, f.all(), 2)
		require.NoError(t, r.stop())
	})
}

func TestAJumpOfTheClockSendsEveryHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(300)
		a, err := New(options(f, 5))
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		pass(10 * time.Second)
		require.Len(t, f.beats(), 5)
		looks := len(f.looks())
		slept.Store(int64(10 * time.Minute)) // the machine slept: the monotonic clock stood still
		pass(2 * wakeCheck)
		require.Len(t, f.beats(), 10)
		require.Len(t, f.looks(), looks+5, "after a wake the liveness resource is read")
		pass(20 * time.Second)
		require.Len(t, f.beats(), 10, "once a jump")
		require.NoError(t, r.stop())
	})
}

func TestAPauseOfTheProcessIsNoticed(t *testing.T) {
	at := time.Now()
	w := watch{wall: func() time.Time { return at }}
	require.Zero(t, w.gap(at))
	for _, c := range []struct {
		step time.Duration
		want time.Duration
	}{{time.Second, 0}, {3 * time.Second, 0}, {5 * time.Second, 5 * time.Second}, {time.Second, 0}} {
		at = at.Add(c.step)
		require.Equal(t, c.want, w.gap(at))
	}
	wall := at
	w.wall = func() time.Time { return wall }
	for _, c := range []struct{ mono, wall, want time.Duration }{
		{time.Second, time.Minute, 59 * time.Second}, {time.Second, -time.Hour, -time.Hour - time.Second}, {time.Second, 1900 * time.Millisecond, 0},
	} {
		at, wall = at.Add(c.mono), wall.Add(c.wall)
		require.Equal(t, c.want, w.gap(at))
	}
}

func TestAProbeThatFailsHoldsTheHeartbeatsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		var sick atomic.Bool
		var asked atomic.Int32
		sick.Store(true)
		o := options(f, 2)
		o.Services[0].Probe = &Probe{Check: sickness(&sick, &asked), Interval: time.Second, Failures: 3}
		r := run(t, o)
		pass(time.Minute)
		require.Len(t, f.registers(), 1, "nothing is registered before the application is well")
		require.Equal(t, "withheld", r.Status()[0].State)
		sick.Store(false)
		pass(time.Second)
		require.Len(t, f.registers(), 2)
		mine := r.Status()[0].ID
		count := func() (n int) { return len(f.of("PATCH", mine+"/liveness")) }
		pass(2 * interval)
		require.GreaterOrEqual(t, count(), 3)

		asked.Store(0)
		sick.Store(true)
		for r.Status()[0].State != withheld {
			pass(100 * time.Millisecond)
		}
		require.EqualValues(t, 3, asked.Load(), "two failures are not three")
		n := count()
		pass(10 * interval)
		require.Equal(t, n, count())
		require.False(t, r.Ready())
		f.set(mine, mp1.Suspended)
		sick.Store(false)
		pass(time.Second)
		require.Equal(t, n+1, count(), "at once")
		require.Equal(t, mp1.Active, f.all()[mine].State)
		pass(2 * interval)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func TestStoppingIsBoundedWhateverThePlatformDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(100)
		o := options(f, 100)
		o.Timeout = time.Minute
		r := run(t, o)
		pass(interval)
		f.answers(func(r *http.Request, _ int) said {
			<-r.Context().Done()
			return said{err: r.Context().Err()}
		})
		pass(100 * time.Second)
		began := time.Now()
		require.ErrorContains(t, r.stop(), "100 services could not be deregistered")
		require.LessOrEqual(t, time.Since(began), farewell)
	})
}

func TestOptionsAreCheckedAtOnce(t *testing.T) {
	_, err := New(Options{App: "a/b", OnStop: "explode", Timeout: -1, Services: []Service{{Probe: &Probe{}}}})
	for _, want := range []string{"App must", "Endpoints must", "Probe must", "OnStop must", "Timeout must"} {
		require.ErrorContains(t, err, want)
	}
	_, err = New(Options{App: "a", Endpoints: []string{"ftp://x"}, Services: []Service{{}}})
	require.ErrorContains(t, err, "Endpoints[0]")
	a, err := New(options(newFake(1), 1))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, start(t, a).stop())
		require.ErrorIs(t, a.Run(t.Context()), errTwice)
	})
}

func sickness(sick *atomic.Bool, asked *atomic.Int32) func(context.Context) error {
	return func(context.Context) error {
		asked.Add(1)
		if sick.Load() {
			return errors.New("it is not well")
		}
		return nil
	}
}
