package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// told records the changes that an agent tells.
type told struct {
	mu      sync.Mutex
	changes []Change
}

func (c *told) add(one Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = append(c.changes, one)
}

// states are the states that were told of a service, in order, with + behind those in which
// it is ready. Each change must begin where the one before has ended.
func (c *told) states(t *testing.T, service string) (out []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := Status{Service: service}
	for _, one := range c.changes {
		if one.After.Service != service {
			continue
		}
		if before.State == StateDeregistered {
			before = Status{Service: service}
		}
		require.Equal(t, before, one.Before)
		before = one.After
		text := one.After.State
		if one.After.Ready {
			text += "+"
		}
		out = append(out, text)
	}
	return out
}

func TestServicesAreAddedUpdatedAndRemovedWhileTheAgentRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		var changes told
		o := options(f, 0)
		o.OnChange = changes.add
		r := run(t, o)
		advance(interval)
		require.Empty(t, f.requests, "an application that only consumes registers nothing, and asks for nothing")
		require.True(t, r.Ready())

		name, err := r.Add(Service{Info: serviceInfo("a")})
		require.NoError(t, err)
		require.Equal(t, "a", name)
		second, err := r.Add(Service{Info: serviceInfo("a")})
		require.NoError(t, err)
		require.Equal(t, "a#2", second)
		advance(time.Second)
		require.True(t, r.Ready())
		require.Len(t, f.registered(), 2)
		id := r.Status()[0].ID

		info := serviceInfo("a")
		info.Version = "2"
		require.NoError(t, r.Update("a", Service{Info: info}))
		synctest.Wait()
		require.Equal(t, "2", f.registered()[id].Version, "at once")
		puts := len(f.sent("PUT", id))
		require.NoError(t, r.Update("a", Service{Info: info}))
		advance(3 * interval)
		require.Len(t, f.sent("PUT", id), puts, "what has not changed is not sent")

		require.NoError(t, r.Remove("a"))
		require.ErrorIs(t, r.Remove("a"), ErrUnknownService)
		require.ErrorIs(t, r.Update("a", Service{Info: info}), ErrUnknownService)
		synctest.Wait()
		require.NotContains(t, f.registered(), id)
		require.Len(t, r.Status(), 1)
		name, err = r.Add(Service{Info: serviceInfo("a")})
		require.NoError(t, err)
		require.Equal(t, "a", name, "the name is free again")
		advance(5 * interval)
		require.Len(t, f.registered(), 2)
		life := changes.states(t, "a")
		require.Equal(t, []string{StateSearching, StateRegistering}, life[:2])
		removing := slices.Index(life, StateRemoving)
		require.Equal(t, []string{StateRemoving, StateDeregistered, StateSearching}, life[removing:removing+3])
		require.Equal(t, StateBeating+"+", life[len(life)-1])

		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
		life = changes.states(t, "a#2")
		require.Equal(t, StateDeregistered, life[len(life)-1], "the end is told, too")
		_, err = r.Add(Service{Info: serviceInfo("b")})
		require.ErrorIs(t, err, ErrStopped)
		require.ErrorIs(t, r.Update("a", Service{Info: serviceInfo("a")}), ErrStopped)
		require.ErrorIs(t, r.Remove("a"), ErrStopped)
	})
}

func TestServicesAreAddedUpdatedAndRemovedBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		a, err := New(options(f, 2))
		require.NoError(t, err)
		require.NoError(t, a.Remove("s0"))
		info := serviceInfo("s1")
		info.Version = "2"
		require.NoError(t, a.Update("s1", Service{Info: info}))
		_, err = a.Add(Service{Info: serviceInfo("a")})
		require.NoError(t, err)
		r := start(t, a)
		advance(interval)
		var got []string
		for _, info := range f.registered() {
			got = append(got, info.SerName+info.Version)
		}
		require.ElementsMatch(t, []string{"s12", "a1"}, got)
		require.NoError(t, r.stop())
	})
}

func TestAServiceThatBreaksRulesIsRefusedBeforeItIsSent(t *testing.T) {
	a, err := New(options(newFakePlatform(10), 1))
	require.NoError(t, err)
	bad := serviceInfo("s0")
	bad.Version, bad.Serializer = "", "YAML"
	o := options(nil, 1)
	o.Services[0].Info = bad
	_, fromNew := New(o)
	_, fromAdd := a.Add(Service{Info: bad})
	for _, err := range []error{fromNew, fromAdd, a.Update("s0", Service{Info: bad})} {
		var invalid *mp1.Invalid
		require.ErrorAs(t, err, &invalid)
		require.ErrorContains(t, err, "version")
		require.ErrorContains(t, err, "serializer", "every fault is said")
	}
	require.ErrorContains(t, a.Update("s0", Service{Info: serviceInfo("other")}), "serName")
	_, err = a.Add(Service{Info: serviceInfo("s0"), Probe: &Probe{}})
	require.ErrorContains(t, err, "Check")
}

// An update and a removal may come at any moment of a request.
func TestAnUpdateAndARemovalDuringARequestAreNotLost(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut} {
		for _, what := range []string{"update", "remove"} {
			t.Run(method+" "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFakePlatform(10)
					d := &distant{RoundTripper: f, latency: 100 * time.Millisecond}
					a, err := New(options(d, 1))
					require.NoError(t, err)
					done := false
					info := serviceInfo("s0")
					info.Version = "2"
					f.respond = func(r *http.Request, _ int) response {
						if r.Method != method || done {
							return response{}
						}
						done = true
						if what == "remove" {
							require.NoError(t, a.Remove("s0"))
						} else {
							require.NoError(t, a.Update("s0", Service{Info: info}))
						}
						return response{}
					}
					r := start(t, a)
					advance(5 * interval)
					if !done && method == http.MethodPut { // nothing had to be updated
						first := serviceInfo("s0")
						first.Version = "1.5"
						require.NoError(t, r.Update("s0", Service{Info: first}))
						advance(5 * interval)
					}
					require.True(t, done)
					if what == "remove" {
						require.Empty(t, f.registered())
						require.Empty(t, r.Status())
					} else {
						require.Len(t, f.registered(), 1)
						require.Equal(t, "2", slices.Collect(maps.Values(f.registered()))[0].Version)
						require.True(t, r.Ready())
					}
					require.NoError(t, r.stop())
				})
			})
		}
	}
}

func TestAnUpdateDoesNotWaitForTheNextHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(300)
		a, err := New(options(&distant{RoundTripper: f, latency: 100 * time.Millisecond}, 1))
		require.NoError(t, err)
		info := serviceInfo("s0")
		info.Version = "2"
		f.respond = onRequest(http.MethodPatch, "/liveness", func(*http.Request) response {
			require.NoError(t, a.Update("s0", Service{Info: info}))
			return response{}
		})
		r := start(t, a)
		advance(2 * time.Second)
		require.Equal(t, "2", slices.Collect(maps.Values(f.registered()))[0].Version)
		f.respondWith(nil)
		require.NoError(t, r.stop())
	})
}

func TestARemovalIsTriedUntilThePlatformHasTakenIt(t *testing.T) {
	for _, onStop := range []OnStop{Deregister, Leave} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			o := options(f, 2)
			o.OnStop = onStop
			r := run(t, o)
			advance(interval)
			f.respondWith(onRequest(http.MethodDelete, "", func(*http.Request) response { return respond(503, nil) }))
			require.NoError(t, r.Remove("s0"))
			advance(interval)
			require.Len(t, f.registered(), 2)
			s := r.Status()[0]
			require.Equal(t, StateRemoving, s.State)
			require.Contains(t, s.Reason, "503")
			require.True(t, r.Ready(), "it was taken back, and is asked for no more")
			f.respondWith(nil)
			if onStop == Deregister {
				advance(maxRequestBackoff)
				require.Len(t, f.registered(), 1)
				require.NoError(t, r.stop())
				require.Empty(t, f.registered())
				return
			}
			require.NoError(t, r.stop())
			require.Len(t, f.registered(), 1, "only what was taken back is removed at the end")
		})
	}
}

// The callback may call the agent, be slow, and never return: heartbeats go on.
func TestACallbackHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		var a *Agent
		stuck := make(chan struct{})
		o.OnChange = func(c Change) {
			if c.After.Ready {
				_, _ = a.Add(Service{Info: serviceInfo("more")})
				_ = a.Status()
				<-stuck
			}
		}
		a, err := New(o)
		require.NoError(t, err)
		r := start(t, a)
		advance(10 * interval)
		require.Len(t, f.registered(), 2)
		require.GreaterOrEqual(t, len(f.heartbeats()), 20)
		began := time.Now()
		require.NoError(t, r.stop())
		require.LessOrEqual(t, time.Since(began), shutdownTimeout)
		close(stuck)
	})
}

func TestChangesThatWaitAreJoinedAndTheLastStateIsTold(t *testing.T) {
	q := newChangeQueue()
	for i := range 10 * maxWaitingChanges {
		q.add(Change{Before: Status{Service: fmt.Sprint(i % 7), Failures: i}, After: Status{Service: fmt.Sprint(i % 7), Failures: i + 7}})
	}
	q.close()
	last := map[string]int{}
	n := 0
	q.tell(context.Background(), func(c Change) {
		n++
		if before, ok := last[c.After.Service]; ok {
			require.Equal(t, before, c.Before.Failures, "nothing is left out between two")
		}
		last[c.After.Service] = c.After.Failures
	})
	require.LessOrEqual(t, n, maxWaitingChanges+7)
	for i := range 7 {
		require.GreaterOrEqual(t, last[fmt.Sprint(i)], 10*maxWaitingChanges)
	}
}

func TestTheStatusSaysWhyAServiceIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		var well atomic.Bool
		o.Services[0].Probe = &Probe{Interval: time.Second, Check: func(context.Context) error {
			if well.Load() {
				return nil
			}
			return errors.New("sick\n") //nolint:revive // a text from outside
		}}
		f.respond = func(*http.Request, int) response { return respond(503, mp1.ProblemDetails{Detail: "starting"}) }
		r := run(t, o)
		reason := func(wait time.Duration) string {
			advance(wait)
			s := r.Status()[0]
			require.Equal(t, s.Reason == "", s.Ready, "%+v", s)
			return s.Reason
		}
		require.Equal(t, "its probe fails: sick", reason(0))
		well.Store(true)
		require.Contains(t, reason(2*time.Second), "503, starting")
		f.respondWith(onRequest(http.MethodPost, "", func(*http.Request) response { return respond(403, mp1.ProblemDetails{Detail: "no"}) }))
		require.Equal(t, "it could not be registered: 403, no", reason(interval))
		f.respondWith(nil)
		require.Empty(t, reason(time.Minute))
		f.respondWith(onRequest(http.MethodPatch, "", func(*http.Request) response { return response{err: context.DeadlineExceeded} }))
		require.Equal(t, "heartbeats are not taken: no answer in time", reason(interval))
		f.respondWith(nil)
		require.Empty(t, reason(interval))
		require.NoError(t, r.stop())
	})
}

func TestOneListAtATimeServesAllThatAreAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.respondWith(onRequest(http.MethodGet, "/services", func(*http.Request) response {
			time.Sleep(3 * time.Second)
			return response{}
		}))
		r := run(t, options(f, 1))
		for n := range 20 {
			advance(100 * time.Millisecond)
			_, err := r.Add(Service{Info: serviceInfo(fmt.Sprint("more", n))})
			require.NoError(t, err)
		}
		require.Len(t, f.sent(http.MethodGet, "/services"), 1)
		advance(30 * time.Second)
		require.Len(t, f.registered(), 21)
		require.NoError(t, r.stop())
	})
}
