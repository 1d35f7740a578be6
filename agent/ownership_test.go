package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// keeping is a platform that keeps agents.

func keeping(interval int) *fakePlatform {
	f := newFakePlatform(interval)
	f.keeps = true
	return f
}

// alive wants exactly these services registered, and ACTIVE.

func (f *fakePlatform) wantAlive(t *testing.T, ids ...string) {
	t.Helper()
	all := f.registered()
	require.Len(t, all, len(ids))
	for _, id := range ids {
		require.Equal(t, mp1.Active, all[id].State, id)
	}
}

// The new agent of a rolling update adopted the registration, and the old one deleted it.

func TestARollingUpdateLeavesNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		before := run(t, options(f, 2))
		advance(interval)
		after := run(t, options(f, 2))
		advance(interval)
		require.True(t, after.Ready())
		require.NoError(t, before.stop())
		for range 60 {
			f.wantAlive(t, "id0001", "id0002")
			advance(time.Second)
		}
		require.Len(t, f.registrations(), 2, "and none is registered twice")
		require.Len(t, f.sent(http.MethodPut, ""), 2)
		require.NoError(t, after.stop())
		require.Empty(t, f.registered(), "the last one takes them away")
	})
}

func TestTheOldAgentMayBeStoppedWhenTheNewOneIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		before := run(t, options(f, 1))
		advance(interval)
		var refuse atomic.Bool
		refuse.Store(true)
		f.respondWith(onRequest(http.MethodPut, "", func(*http.Request) response {
			if refuse.Load() {
				return respond(503, nil, "Retry-After", "1")
			}
			return response{}
		}))
		after := run(t, options(f, 1))
		advance(2 * interval)
		require.NotEmpty(t, f.heartbeats())
		require.False(t, after.Ready(), "the platform would remove the service with the old agent")
		require.False(t, after.Status()[0].Ready)
		refuse.Store(false)
		advance(2 * interval)
		require.True(t, after.Ready())
		require.NoError(t, before.stop())
		f.wantAlive(t, "id0001")
		require.NoError(t, after.stop())
	})
}

func TestTheNextAgentAfterAStopRegistersAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		r := run(t, options(f, 1))
		advance(interval)
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
		r = run(t, options(f, 1))
		advance(interval)
		f.wantAlive(t, "id0002")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
	})
}

// Two replicas with one configuration share a registration, and either may go.

func TestOfTwoReplicasEitherMayGo(t *testing.T) {
	for name, first := range map[string]int{"the first": 0, "the second": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := keeping(10)
				one := run(t, options(f, 1))
				advance(interval)
				both := []*running{one, run(t, options(f, 1))}
				advance(interval)
				require.NoError(t, both[first].stop())
				require.Equal(t, "deregistered", both[first].Status()[0].State)
				for range 30 {
					f.wantAlive(t, "id0001")
					advance(time.Second)
				}
				require.True(t, both[1-first].Ready())
				require.NoError(t, both[1-first].stop())
				require.Empty(t, f.registered())
			})
		})
	}
}

// The platform forgets the agents of a service that it suspends. An agent that was away for

// so long enters again, or another one's end would remove the service.

func TestAnAgentThatWasAwayJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		one := run(t, options(f, 1))
		advance(interval)
		two := run(t, options(f, 1))
		advance(3 * interval)
		require.Len(t, f.sent(http.MethodPut, ""), 1, "once while all is well")
		f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
		advance(5 * interval)
		f.suspend("id0001")
		f.respondWith(nil)
		advance(3 * interval)
		require.Len(t, f.agents["id0001"], 2)
		require.NoError(t, one.stop())
		f.wantAlive(t, "id0001")
		require.True(t, two.Ready())
		require.NoError(t, two.stop())
		require.Empty(t, f.registered())
	})
}

func TestWhatIsGoneWhenItIsJoinedIsRegisteredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		o := options(f, 1)
		o.OnStop = Leave
		require.NoError(t, run(t, o).stop())
		f.respondWith(onRequest(http.MethodPut, "", func(*http.Request) response {
			f.forgetAll() // the old agent was quicker
			return response{}
		}))
		r := run(t, o)
		advance(time.Second)
		f.wantAlive(t, "id0002")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

// An application that has set itself INACTIVE stays so when its agent is replaced.

func TestANewAgentLeavesAServiceInactive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		one := run(t, options(f, 1))
		advance(interval)
		f.setState("id0001", mp1.Inactive)
		two := run(t, options(f, 1))
		advance(interval)
		require.Equal(t, mp1.Inactive, f.registered()["id0001"].State)
		require.True(t, two.Ready())
		require.NoError(t, one.stop())
		require.Equal(t, mp1.Inactive, f.registered()["id0001"].State)
		f.setState("id0001", mp1.Active)
		advance(2 * interval)
		require.Equal(t, "beating", two.Status()[0].State)
		require.NoError(t, two.stop())
		require.Empty(t, f.registered())
	})
}

// An application that was killed while it was INACTIVE says itself what it is when it is back.

func TestAnApplicationThatSaysItsStateIsNotLeftInactive(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		for _, beats := range []bool{true, false} {
			t.Run(fmt.Sprintf("agents kept %t, heartbeats %t", keeps, beats), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFakePlatform(10)
					f.keeps = keeps
					o := options(f, 1)
					if !beats {
						o.Services[0].Info.LivenessInterval = nil
					}
					o.Services[0].OwnState, o.OnStop = true, Leave
					require.NoError(t, run(t, o).stop())
					f.setState("id0001", mp1.Inactive)
					r := run(t, o)
					advance(interval)
					f.wantAlive(t, "id0001")
					require.Len(t, f.sent(http.MethodPut, ""), 1)
					require.True(t, r.Ready())
					require.Equal(t, beats, r.Status()[0].LastBeat != nil)
					require.NoError(t, r.stop())
				})
			})
		}
	}
}

// A platform that is not ours keeps no agents. The time of the last heartbeat tells whether

// somebody else sends some, whatever its clock says.

func TestWhatSomebodyElseKeepsAliveIsLeftOnAnyPlatform(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(30)
				f.ahead = ahead
				before := run(t, options(f, 1))
				advance(time.Minute)
				last := *before.Status()[0].LastBeat
				advance(2 * time.Second) // the same moment would not tell the two apart
				after := run(t, options(f, 1))
				advance(2 * time.Second)
				require.Equal(t, last, *before.Status()[0].LastBeat, "nothing of the old one came between")
				require.True(t, after.Ready())
				require.NoError(t, before.stop())
				require.Empty(t, f.sent(http.MethodDelete, ""))
				for range 60 {
					f.wantAlive(t, "id0001")
					advance(time.Second)
				}
				require.NoError(t, after.stop())
				require.Empty(t, f.registered(), "nobody else kept it alive since")
			})
		})
	}
}

func TestWhatWasFoundAndNeverBeatenIsNotTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		before := run(t, options(f, 1))
		advance(interval)
		f.respondWith(func(r *http.Request, _ int) response {
			if r.Method == http.MethodPatch && r.Header.Get("Mep-Agent") != "" && len(f.sent(http.MethodGet, "/services")) > 1 {
				return respond(500, nil)
			}
			return response{}
		})
		after := run(t, options(f, 1))
		advance(time.Second)
		require.NoError(t, after.stop(), "it is rolled back")
		require.Len(t, f.registered(), 1)
		f.respondWith(nil)
		require.NoError(t, before.stop())
	})
}

// Both agents of a registration find it lost at one moment. The second registered it twice.

// A POST that waits gets a list of its own: another agent may have been quicker.

// A list that is behind shows what is gone.

// Two agents that start at once list nothing, and both register.

// What an application has registered twice itself is no double of ours.

// A POST that the end of the agent cuts off may have been carried out.

func TestARegistrationThatTheEndCutsOffIsNotLeftBehind(t *testing.T) {
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
			r := run(t, options(f, 3))
			advance(time.Second)
			require.Len(t, f.registered(), 3)
			require.NoError(t, r.stop())
			require.Empty(t, f.registered())
		})
	}
}

// An agent whose application is not well yet must not have a service shown that the

// platform has suspended: a join is a PUT, and says ACTIVE.

func TestAnApplicationThatIsNotWellIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		o := options(f, 1)
		o.OnStop = Leave
		require.NoError(t, run(t, o).stop())
		f.suspend("id0001")
		var well atomic.Bool
		o.Services[0].Probe = &Probe{Interval: time.Second, Check: func(context.Context) error {
			if well.Load() {
				return nil
			}
			return errors.New("not well")
		}}
		r := run(t, o)
		advance(time.Minute)
		require.Equal(t, mp1.Suspended, f.registered()["id0001"].State)
		require.Empty(t, f.sent(http.MethodPut, ""))
		well.Store(true)
		advance(interval)
		f.wantAlive(t, "id0001")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

// Services without heartbeats have agents, too.

func TestWhatNeedsNoHeartbeatsIsLeftToTheAgentsThatAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		o := options(f, 1)
		o.Services[0].Info.LivenessInterval = nil
		before := run(t, o)
		advance(interval)
		after := run(t, o)
		advance(interval)
		require.True(t, after.Ready())
		require.NoError(t, before.stop())
		f.wantAlive(t, "id0001")
		require.Equal(t, "no heartbeats", after.Status()[0].State)
		require.NoError(t, after.stop())
		require.Empty(t, f.registered())
		require.Empty(t, f.heartbeats())
	})
}

// An agent of the old configuration that was away for a while must not bring it back.
func TestWhoJoinsAgainChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		before := run(t, options(f, 1))
		advance(interval)
		o := options(f, 1)
		o.Services[0].Info.Serializer = "XML"
		after := run(t, o)
		advance(interval)
		require.EqualValues(t, "XML", f.registered()["id0001"].Serializer)
		f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
		advance(5 * interval)
		f.suspend("id0001")
		f.respondWith(nil)
		advance(5 * interval)
		require.EqualValues(t, "XML", f.registered()["id0001"].Serializer)
		require.Len(t, f.agents["id0001"], 2)
		require.NoError(t, before.stop())
		f.wantAlive(t, "id0001")
		require.NoError(t, after.stop())
		require.Empty(t, f.registered())
	})
}

// A platform that is replaced by one that keeps agents gets to know those that run.
func TestAgentsJoinWhenThePlatformBeginsToKeepThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		both := []*running{run(t, options(f, 1))}
		advance(interval)
		f.links()
		both = append(both, run(t, options(f, 1)))
		advance(interval)
		require.Empty(t, f.sent(http.MethodPut, ""))
		f.mu.Lock()
		f.keeps, f.agents = true, map[string][]string{}
		f.mu.Unlock()
		advance(3 * interval)
		for _, r := range both {
			require.True(t, r.Ready())
		}
		require.Len(t, f.agents["id0001"], 2)
		require.NoError(t, both[0].stop())
		f.wantAlive(t, "id0001")
		require.NoError(t, both[1].stop())
		require.Empty(t, f.registered())
	})
}
