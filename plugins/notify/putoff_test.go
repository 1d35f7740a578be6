package notify

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// flappy makes an event whose telling is put off.
func flappy(at heartbeat.Revision, what string, now, until plugins.Instant) *message {
	m := event(at, what, now)
	m.until, m.putOff = until, until-now
	return m
}

func TestWhatIsPutOffIsToldWhenThatIsOverAndOnlyTheNewest(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A S")
	p.until(time.Second)
	end := p.now + 10*time.Minute
	p.q.add(flappy(12, "A A", p.now, end))
	p.q.add(flappy(13, "A ~", p.now, end))
	p.until(time.Minute)
	p.add(14, "B S")
	p.q.add(flappy(15, "A S", p.now, end))
	p.until(2 * time.Minute)
	require.Equal(t, []string{"11", "14"}, p.sent(), "others are sent past it")
	require.Equal(t, plugins.Cursor{After: 12, Passed: 15, PutOff: []heartbeat.Revision{13, 15}, At: p.store.At}, p.store, "the cursor says what is not sent, and the store need not keep 12")
	p.until(end - 1)
	require.Len(t, p.posts, 2)
	p.until(end)
	require.Equal(t, []string{"11", "14", "13 15"}, p.sent(), "of each kind of change the newest, in order")
	require.Equal(t, end, p.posts[2].at)
	p.until(end + time.Second)
	require.Equal(t, plugins.Cursor{After: 15, At: p.store.At}, p.store)
	require.Equal(t, map[stage]int64{stageSuperseded: 1}, p.lost)
}

func TestWhatIsPutOffIsNeverGivenUpEarlier(t *testing.T) {
	p := newPlay(t)
	p.q = newQueue(p.store, math.MaxInt64, p.kept, p.q.random, p.q.lost)
	p.answer = fails(timedOut)
	p.q.add(flappy(11, "A S", p.now, p.now+time.Minute))
	p.until(72 * time.Hour)
	require.Greater(t, len(p.posts), 4)
	require.Empty(t, p.lost, "given up after centuries")
}

// A queue that would put everything off for ever is no use: what is over is told, whatever follows.
func TestWhatFollowsIsPutOffForItself(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A A")
	p.until(time.Second)
	p.q.add(flappy(12, "A S", p.now, time.Minute))
	p.now = time.Minute
	p.q.add(flappy(13, "A A", p.now, 2*time.Minute))
	p.until(90 * time.Second)
	require.Equal(t, []string{"11", "12"}, p.sent())
	p.until(3 * time.Minute)
	require.Equal(t, []string{"11", "12", "13"}, p.sent())
	require.Equal(t, 2*time.Minute, p.posts[2].at)
}

func TestThatAnInstanceIsGoneIsToldAtOnceAndNothingOfItAfterwards(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A A")
	p.until(time.Second)
	p.q.add(flappy(12, "A S", p.now, time.Hour))
	p.q.add(flappy(13, "A ~", p.now, time.Hour))
	p.q.add(flappy(14, "B S", p.now, time.Hour))
	p.add(15, "A -")
	p.until(time.Minute)
	require.Equal(t, []string{"11", "15"}, p.sent())
	p.until(2 * time.Hour)
	require.Equal(t, []string{"11", "15", "14"}, p.sent())
}

// What is told at once must not overtake what was put off: it takes its place, or that goes with it.
func TestNothingOvertakesWhatWasPutOff(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A A")
	p.until(time.Second)
	p.q.add(flappy(12, "A ~", p.now, time.Hour))
	p.q.add(flappy(13, "A S", p.now, time.Hour))
	p.add(14, "A A")
	p.until(time.Minute)
	require.Equal(t, []string{"11", "12 14"}, p.sent())
	p.until(2 * time.Hour)
	require.Len(t, p.posts, 2)
}

// While nothing else is sent the cursor says now and then what is put off, and no more often.
func TestThatSomethingIsPutOffIsWrittenNowAndThen(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A A")
	p.until(time.Second)
	p.moves = nil
	for i := range heartbeat.Revision(100) {
		p.q.add(flappy(12+i, "A S", p.now, time.Hour))
		p.until(p.now + time.Second)
	}
	require.Len(t, p.moves, 3)
	require.Equal(t, []heartbeat.Revision{101}, p.store.PutOff)
	require.Len(t, p.q.superseded, 10)
	p.until(30 * time.Minute)
	require.Len(t, p.moves, 4)
	require.Len(t, p.posts, 1)
	p.restart()
	for i := range heartbeat.Revision(100) {
		p.q.add(event(12+i, "A S", p.now))
	}
	p.q.seenUpTo(111)
	p.until(p.now + time.Minute)
	require.Equal(t, []string{"11", "111"}, p.sent(), "whoever begins there tells the newest once more")
}

// The cursor names all that is put off, so it must not be any number; and an event that is put off
// counts as retained, as every other.
func TestNoMoreIsPutOffThanTheCursorMayName(t *testing.T) {
	p := newPlay(t)
	p.kept = newRetention(1<<20, func() int64 { return 1 << 30 })
	p.restart()
	for i := range heartbeat.Revision(maxPutOff + 10) {
		m := flappy(11+i, fmt.Sprint(i, " S"), p.now, time.Hour)
		m.size = 10
		p.q.add(m)
	}
	require.Len(t, p.q.putOff, maxPutOff)
	require.Len(t, p.q.pending, 10)
	require.EqualValues(t, 10*(maxPutOff+10), p.kept.bytes.Load())
	p.until(time.Minute)
	require.Len(t, p.posts, 2, "the first after a start goes alone")
	p.answer = fails(gone)
	p.add(1000, "other S")
	p.until(2 * time.Minute)
	require.Empty(t, p.q.putOff)
	require.Zero(t, p.kept.bytes.Load(), "who wants nothing more is put off nothing")
}

// What is put off is no older than if it had happened when that is over: it is not given up sooner, nor is
// its consumer reported as one that is not reached.
func TestTimeForWhichAnEventIsPutOffDoesNotCount(t *testing.T) {
	p := newPlay(t)
	p.answer = func(n int) result {
		if n == 0 {
			return result{}
		}
		return result{outcome: failed}
	}
	p.add(11, "A A")
	p.until(time.Second)
	p.q.add(flappy(12, "A S", p.now, p.now+giveUpAfter))
	p.until(p.now + giveUpAfter)
	require.Zero(t, p.q.oldestAge(p.now))
	p.until(p.now + giveUpAfter - time.Minute)
	require.Empty(t, p.lost)
	p.until(p.now + time.Hour + time.Minute)
	require.Equal(t, map[stage]int64{stageGivenUp: 1}, p.lost)
}

// newFlapping is a replica that is like newReplica, and puts off.
func newFlapping(t *testing.T, s *fakeStore, to *subscribers, name string, alone bool, changes int) *replica {
	l := s.link()
	d := newDispatcher(l, fromReplica{to, name}, plugins.NewClock(), giveUpAfter, alone, noObserver{})
	d.flaps = plugins.NewFlaps(changes, flapPeriod)
	return runReplica(t, d, l)
}

// states are those of the instances that a consumer was told of, in order, without repetitions.
func states(t *testing.T, got []sent) (last map[string]mp1.State, told map[string][]time.Time) {
	last, told = map[string]mp1.State{}, map[string][]time.Time{}
	seen := map[string]bool{}
	for _, g := range got {
		if seen[g.id] {
			continue
		}
		seen[g.id] = true
		var n mp1.Notification
		require.NoError(t, json.Unmarshal(g.body, &n))
		for _, r := range n.ServiceReferences {
			last[r.SerInstanceID] = r.State
			told[r.SerInstanceID] = append(told[r.SerInstanceID], g.at)
		}
	}
	return last, told
}

func TestAConsumerOfAFlappingInstanceIsToldLittleAndTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		r := newFlapping(t, s, to, "a", true, 3)
		r.subscribe(t, "app", here)
		for i := range 21 {
			s.commit("x", []string{"S", "A"}[i%2])
			s.commit("calm", "S")
			time.Sleep(400 * time.Millisecond)
		}
		last, told := states(t, to.of(here))
		require.Len(t, told["x"], 3)
		require.Equal(t, mp1.Suspended, last["x"])
		changes, until, is := r.Flapping("x")
		require.True(t, is)
		require.Equal(t, 21, changes)
		require.Greater(t, until, time.Now().UnixNano())
		require.Equal(t, 2, r.flapping())
		s.commit("x", "A")
		_, told = states(t, to.of(here))
		require.Len(t, told["x"], 3)
		time.Sleep(flapPeriod)
		last, told = states(t, to.of(here))
		require.Len(t, told["x"], 4)
		require.Equal(t, mp1.Active, last["x"])
		_, _, is = r.Flapping("x")
		require.False(t, is)
		time.Sleep(flapPeriod)
		s.commit("x", "S")
		time.Sleep(time.Second)
		last, _ = states(t, to.of(here))
		require.Equal(t, mp1.Suspended, last["x"], "it has calmed down, and is told at once")
	})
}

// Whoever begins anew lists what the outbox still has before it reads from the cursor that the instance flaps.
func TestAFlappingInstanceFlapsOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		r := newFlapping(t, s, to, "a", true, 3)
		r.subscribe(t, "app", here)
		for i := range 21 {
			s.commit("x", []string{"S", "A"}[i%2])
			time.Sleep(400 * time.Millisecond)
		}
		time.Sleep(putOffWrite)
		r.stop()
		r = newFlapping(t, s, to, "b", true, 3)
		time.Sleep(5 * time.Second)
		s.commit("x", "A")
		time.Sleep(5 * time.Second)
		_, told := states(t, to.of(here))
		require.LessOrEqual(t, len(told["x"]), 4, "a restart may tell the newest once more")
		before := len(told["x"])
		_, _, is := r.Flapping("x")
		require.True(t, is)
		for i := range 8 {
			s.commit("x", []string{"S", "A"}[i%2])
			time.Sleep(time.Second)
		}
		_, told = states(t, to.of(here))
		require.Len(t, told["x"], before, "nothing is told at once")
		time.Sleep(flapPeriod)
		last, told := states(t, to.of(here))
		require.Len(t, told["x"], before+1)
		require.Equal(t, mp1.Active, last["x"])
	})
}

// What came before is erased after a minute: then only the cursor says that the instance flaps.
func TestAnInstanceFlapsOnOfWhichOnlyTheCursorKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		r := newFlapping(t, s, to, "a", true, 1)
		r.subscribe(t, "app", here)
		for _, kind := range []string{"S", "A"} {
			s.commit("x", kind)
			time.Sleep(time.Second)
		}
		time.Sleep(putOffWrite)
		r.stop()
		s.mu.Lock()
		s.events = s.events[len(s.events)-1:]
		s.mu.Unlock()
		r = newFlapping(t, s, to, "b", true, 1)
		time.Sleep(5 * time.Second)
		_, _, is := r.Flapping("x")
		require.True(t, is)
		_, told := states(t, to.of(here))
		before := len(told["x"])
		require.LessOrEqual(t, before, 2, "a restart may tell the newest once more")
		for _, kind := range []string{"S", "A", "S"} {
			s.commit("x", kind)
			time.Sleep(5 * time.Second)
			_, told = states(t, to.of(here))
			require.Len(t, told["x"], before, "nobody can have told what happened since, so that it need not be told at once")
		}
		time.Sleep(flapPeriod)
		last, told := states(t, to.of(here))
		require.Len(t, told["x"], before+1)
		require.Equal(t, mp1.Suspended, last["x"])
	})
}

// The attributes may be put off for longer than the state: what happened before is told with it.
func TestWhatIsPutOffForLongerIsNotOvertaken(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A A")
	p.until(time.Second)
	p.q.add(flappy(12, "A ~", p.now, time.Hour))
	p.q.add(flappy(13, "A S", p.now, time.Minute))
	p.q.add(flappy(14, "A ~", p.now, 2*time.Hour))
	p.until(time.Minute)
	require.Equal(t, []string{"11", "12 13"}, p.sent())
	p.until(3 * time.Hour)
	require.Equal(t, []string{"11", "12 13", "14"}, p.sent())
}

// Who is put off is told before its time if something of it is told at once; from then on it waits for its consumer.
func TestWhatIsToldBeforeItsTimeWaits(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A A")
	p.until(time.Second)
	p.answer = func(int) result { return result{outcome: failed} }
	p.q.add(flappy(12, "A ~", p.now, time.Hour))
	p.until(time.Minute)
	require.Zero(t, p.q.oldestAge(p.now))
	p.add(13, "A S")
	p.until(3 * time.Minute)
	require.InDelta(t, 2*time.Minute, p.q.oldestAge(p.now), float64(2*time.Second))
}

// A queue that begins with much looks at each event once, also where the sender before put events off.
func TestWhatWasPutOffBeforeIsRememberedAndNotLookedFor(t *testing.T) {
	p := newPlay(t)
	p.store = plugins.Cursor{After: 10, Passed: 13, PutOff: []heartbeat.Revision{11, 13}, At: p.store.At}
	p.restart()
	for i := range heartbeat.Revision(1000) {
		p.q.add(event(11+i, fmt.Sprint(i, " S"), p.now))
	}
	require.Len(t, p.q.before, 2, "only those of which the cursor says so")
	require.Len(t, p.q.pending, 999)
	p.q.add(event(2000, "2 S", p.now))
	require.Len(t, p.q.pending, 999, "the newest takes the place of what was put off")
	p.q.add(event(2001, "5 S", p.now))
	require.Len(t, p.q.pending, 1000)
	p.q.seenUpTo(2001)
	p.until(10 * time.Second)
	require.Empty(t, p.q.before)
}

// Whatever replica sends and however often one begins anew: a period after the last change every
// consumer was told the newest state. As long as nobody begins anew, no more is told within a period than
// promised, and with the damping off all of it.
func TestConsumersKnowTheNewestStateAPeriodLater(t *testing.T) {
	for seed := range uint64(12) {
		for _, crashing := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 7))
				changes := 2 + r.IntN(4)
				to, s := &subscribers{}, newFakeStore()
				replicas := []*replica{newFlapping(t, s, to, "0", false, changes), newFlapping(t, s, to, "1", false, changes)}
				time.Sleep(2 * time.Second)
				urls := []string{here + "0", here + "1", here + "2"}
				for i, url := range urls {
					replicas[i%2].subscribe(t, "app", url)
				}
				time.Sleep(2 * time.Second)
				newest := map[string]mp1.State{}
				for n := range 300 {
					i := fmt.Sprint(r.IntN(2))
					newest[i] = []mp1.State{mp1.Suspended, mp1.Active}[r.IntN(2)]
					s.commit(i, string(newest[i][0]))
					time.Sleep(time.Duration(r.ExpFloat64() * float64(20*time.Second)))
					if crashing && r.IntN(40) == 0 {
						k := r.IntN(2)
						replicas[k].link.setCut(true)
						time.Sleep(time.Duration(r.IntN(10)) * time.Second)
						replicas[k].stop()
						replicas[k] = newFlapping(t, s, to, fmt.Sprint("again", n), false, changes)
					}
				}
				time.Sleep(flapPeriod + 15*time.Second)
				for _, url := range urls {
					last, told := states(t, to.of(url))
					require.Equal(t, newest, last, "seed %d, crashing %v: %s", seed, crashing, url)
					for id, at := range told {
						most := 0
						for i, from := range at {
							n := 0
							for _, next := range at[i:] {
								if next.Sub(from) < flapPeriod-time.Second {
									n++
								}
							}
							most = max(most, n)
						}
						if !crashing {
							require.LessOrEqual(t, most, changes+1, "seed %d: %s of %s", seed, id, url)
						}
						require.Less(t, len(at), 100, "seed %d, crashing %v: little of 150 changes is told", seed, crashing)
					}
				}
			})
		}
	}
}

// The cursors, by which another replica judges, tell what is put off from what consumers do not take.
func TestAnyReplicaKnowsWhatIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a, b := newFlapping(t, s, to, "a", false, 1), newFlapping(t, s, to, "b", false, 1)
		time.Sleep(2 * time.Second)
		a.subscribe(t, "app", here)
		time.Sleep(2 * time.Second)
		for _, kind := range []string{"S", "A"} {
			s.commit("x", kind)
			time.Sleep(time.Second)
		}
		of := plugins.Changed{Service: &mp1.ServiceInfo{SerInstanceID: "x", SerName: "x", State: mp1.Active}, At: time.Now().UnixNano()}
		look := func(name string) {
			for _, r := range []*replica{a, b} {
				time.Sleep(time.Second) // so that cursors are read anew
				require.Equal(t, []plugins.Told{{PutOff: 1}}, r.Told([]plugins.Changed{of}), name)
				d := r.Deliveries([]plugins.Changed{of}, 10)[0]
				require.Len(t, d, 1, name)
				require.True(t, d[0].Pending && d[0].PutOff && !d[0].Delivered, name)
				pending, failing := r.Backlog()
				require.Zero(t, pending+failing, "%s: it does not wait for its consumer", name)
			}
		}
		look("the cursor says nothing yet")
		time.Sleep(putOffWrite)
		look("the cursor was written meanwhile")
		b.stop()
		b = newFlapping(t, s, to, "c", false, 2) // which knows less than there was
		time.Sleep(15 * time.Second)
		look("another replica began anew")
		s.commit("y", "S")
		time.Sleep(20 * time.Second)
		look("another was sent past it")
		time.Sleep(flapPeriod)
		for _, r := range []*replica{a, b} {
			require.Equal(t, []plugins.Told{{Told: 1}}, r.Told([]plugins.Changed{of}))
		}
	})
}

// A cursor whose group names nothing used to stop the process.
func TestAGroupThatNamesNothingIsNone(t *testing.T) {
	p := newPlay(t)
	p.store.Group = []heartbeat.Revision{}
	p.restart()
	p.add(11, "A A")
	p.until(time.Second)
	require.Equal(t, []string{"11"}, p.sent())
}
