package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// beatAll sends heartbeats together and returns the response to each.
func (s *replica) beatAll(ctx context.Context, beats ...Heartbeat) []Response {
	s.lab.t.Helper()
	return beatAll(ctx, s.lab.t, s.Engine, "", beats)
}

func beatAll(ctx context.Context, t testing.TB, e *Engine, agent string, beats []Heartbeat) []Response {
	t.Helper()
	out := make([]Response, len(beats))
	told := make([]int, len(beats))
	e.Beats(ctx, agent, beats, func(i int, r Response) { // without a lock: never two at once
		out[i] = r
		told[i]++
	})
	for i, n := range told {
		require.Equal(t, 1, n, "answers to heartbeat %d", i)
	}
	return out
}

func ofApp(ids ...ID) (out []Heartbeat) {
	for _, id := range ids {
		out = append(out, Heartbeat{ID: id, Owner: "app"})
	}
	return out
}

// singly is what the heartbeats would have been answered one by one.
func (s *replica) singly(beats []Heartbeat) []Response {
	out := make([]Response, len(beats))
	first := map[ID]int{}
	for i, b := range beats {
		if k, twice := first[b.ID]; twice { // a heartbeat that is said twice is one
			out[i] = out[k]
			continue
		}
		first[b.ID] = i
		switch got, err := s.Get(context.Background(), b.ID); {
		case err != nil:
			out[i] = Response{Err: err}
		case got.Record.mayBeat(b.Owner) != nil:
			out[i] = Response{Err: got.Record.mayBeat(b.Owner)}
		default:
			out[i] = s.beat(b.ID)
		}
	}
	return out
}

// random makes instances in random states, the same for the same seed, and returns a replica and
// heartbeats for them, of which some are nobody's business.
func (l *lab) random(seed uint64, alone bool) (s *replica, beats []Heartbeat) {
	r := rand.New(rand.NewPCG(seed, 17))
	s = l.addReplica(between(1, 10), alone)
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			l.t.Fatal(err)
		}
	}
	n := 1 + r.IntN(40)
	for i := range n {
		id := ID(fmt.Sprint("i", i))
		b := Heartbeat{ID: id, Owner: "app"}
		proposed := []int{0, 2, 8, -1}[r.IntN(4)]
		if r.IntN(8) > 0 {
			_, err := s.Register(ctx, Record{ID: id, Owner: "app", Agents: "a.1", State: Active, Proposed: proposed})
			must(err)
			switch r.IntN(8) {
			case 0:
				_, err = s.Update(ctx, id, Update{Owner: "app", State: Inactive, Proposed: KeepInterval})
			case 1:
				_, err = s.Drain(ctx, id, DrainRequest{By: "admin", Reason: "r"})
			case 2:
				err = s.Remove(ctx, id, Removal{Owner: "app"})
			case 3:
				b.Owner = "other"
			}
			must(err)
		}
		beats = append(beats, b)
		for r.IntN(6) == 0 {
			beats = append(beats, b)
		}
	}
	r.Shuffle(len(beats), func(i, j int) { beats[i], beats[j] = beats[j], beats[i] })
	if r.IntN(2) == 0 { // other intervals since a restart
		s.stop()
		least := 1 + r.IntN(10)
		s = l.addReplica(between(least, max(10, least)), alone)
	}
	// Some are absent and held, or all that were silent SUSPENDED; which of many is claimed first is not certain.
	time.Sleep([]time.Duration{0, 2500 * time.Millisecond, 4500 * time.Millisecond, 90 * time.Second}[r.IntN(4)] + 37*time.Millisecond)
	return s, beats
}

// What a batch answers, and what it leaves behind, is what its heartbeats one by one would have.
func TestABatchAnswersToEachWhatItWouldHaveBeenAnsweredAlone(t *testing.T) {
	seen := map[string]int{}
	for run := range 120 {
		seed := uint64(run)
		if run >= 60 {
			seed = rand.Uint64()
		}
		t.Logf("seed %d", seed)
		alone := run%2 == 0
		synctest.Test(t, func(t *testing.T) {
			one, many := newLab(t), newLab(t)
			defer one.end()
			defer many.end()
			var singly, batch *replica
			var beats []Heartbeat
			var wait sync.WaitGroup
			wait.Go(func() { singly, beats = one.random(seed, alone) })
			wait.Go(func() { batch, _ = many.random(seed, alone) })
			wait.Wait()
			synctest.Wait()
			var want, got []Response
			for range 3 { // also what later heartbeats are answered
				want, got = singly.singly(beats), batch.beatAll(t.Context(), beats...)
				for i := range beats {
					require.ErrorIs(t, got[i].Err, want[i].Err, "seed %d: %+v", seed, beats[i])
					require.Equal(t, want[i].TellInterval, got[i].TellInterval, "seed %d: %+v", seed, beats[i])
					if want[i].TellInterval {
						require.Equal(t, want[i].Record.Interval, got[i].Record.Interval, "seed %d: %+v", seed, beats[i])
					}
					seen[fmt.Sprint(want[i].Err, want[i].TellInterval)]++
				}
				time.Sleep(time.Second)
			}
			for _, b := range beats {
				x, y := one.at(b.ID), many.at(b.ID)
				require.Equal(t, x.Record.State, y.Record.State, "seed %d: %s of %v", seed, b.ID, beats)
				require.Equal(t, x.Record.Interval, y.Record.Interval, "seed %d: %s of %v", seed, b.ID, beats)
				require.Equal(t, x.Record.Window, y.Record.Window, "seed %d: %s of %v", seed, b.ID, beats)
				require.Equal(t, states(one.events(b.ID)), states(many.events(b.ID)), "seed %d: %s of %v", seed, b.ID, beats)
			}
		})
	}
	for _, what := range []error{nil, ErrNotFound, ErrNotOwner, ErrNoLiveness, ErrInactive, ErrDrained} {
		require.Positive(t, seen[fmt.Sprint(what, false)], "no heartbeat was answered %v", what)
	}
	require.Positive(t, seen[fmt.Sprint(nil, true)], "no interval was told")
}

// The store may die in the middle of a batch: what came with it is evidence nonetheless.
func TestAllOfABatchIsEvidenceBeforeTheStoreIsAsked(t *testing.T) {
	for _, alone := range []bool{true, false} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(10), alone)
			s.register("suspended")
			until(t, "SUSPENDED", func() bool { return l.at("suspended").Record.State == Suspended })
			s.register("i")
			s.register("j")
			synctest.Wait()
			before := l.renewed(l.at("i").Record.Lease) // once if the watch showed the registration before it returned
			release := []func(){l.hold("renew"), l.hold("read"), l.hold("grant")}
			now, _ := s.now()
			ctx, hangUp := context.WithCancel(t.Context())
			var got []Response
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				got = s.beatAll(ctx, ofApp("i", "suspended", "j", "i")...)
			}()
			synctest.Wait()
			for _, id := range []ID{"i", "j", "suspended"} {
				require.Equal(t, now, s.entry(id).local.EvidenceAt, id)
			}
			hangUp()
			<-ended
			for _, r := range got {
				require.ErrorIs(t, r.Err, ErrUnavailable)
			}
			for _, f := range release {
				f()
			}
			synctest.Wait()
			require.Equal(t, before+1, l.renewed(l.at("i").Record.Lease), "the renewal is the engine's own")
			require.True(t, s.entry("j").local.hasBeat, "the client's hanging up takes no evidence away")
		})
	}
}

func TestAForeignHeartbeatInABatchIsNoEvidence(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		r := s.register("i")
		time.Sleep(time.Second)
		before := l.renewed(r.Lease) // once if the watch showed the registration before it returned
		got := s.beatAll(t.Context(), Heartbeat{ID: "i", Owner: "other"})
		require.ErrorIs(t, got[0].Err, ErrNotOwner)
		require.False(t, s.entry("i").local.hasBeat)
		require.Equal(t, before, l.renewed(r.Lease))
	})
}

// oneSlow is a store with a lease whose renewal does not end before the other calls do.
type oneSlow struct {
	replicaStore
	slow LeaseID
	let  chan struct{}
}

func (s oneSlow) RenewAll(ctx context.Context, leases []LeaseID, done func(i, ttl int, err error)) {
	last := -1
	for i, l := range leases {
		if l == s.slow {
			last = i
			continue
		}
		ttl, err := s.Renew(ctx, l)
		done(i, ttl, err)
	}
	if last >= 0 {
		<-s.let
		ttl, err := s.Renew(ctx, leases[last])
		done(last, ttl, err)
	}
}

func TestASlowLeaseDelaysNoOtherAnswerOfItsBatch(t *testing.T) {
	for _, alone := range []bool{true, false} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(4), alone)
			for _, id := range []ID{"i", "slow", "j"} {
				s.register(id)
			}
			store := oneSlow{replicaStore{l, s}, l.at("slow").Record.Lease, make(chan struct{})}
			s.Store = store
			heads := l.heads
			began := time.Now()
			got := s.beatAll(t.Context(), ofApp("i", "slow", "j")...)
			require.NoError(t, got[0].Err)
			require.ErrorIs(t, got[1].Err, ErrUnavailable)
			require.NoError(t, got[2].Err)
			require.Equal(t, time.Second, time.Since(began), "a quarter of the shortest interval")
			if !alone {
				require.Equal(t, 1, l.heads-heads, "one read verifies all")
			}
			close(store.let)
			synctest.Wait()
			require.Equal(t, 1, l.renewed(store.slow))
			require.NoError(t, s.beatAll(t.Context(), ofApp("slow")...)[0].Err)
			require.Equal(t, 2, l.renewed(store.slow), "its renewal is not taken for one in flight any more")
		})
	}
}

func TestABatchRenewsEachLeaseOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		var ids []ID
		for i := range 100 {
			ids = append(ids, ID(fmt.Sprint("i", i)))
			s.register(ids[i])
		}
		synctest.Wait()
		before := map[ID]int{} // the watch may have shown one before its registration was answered
		for _, id := range ids {
			before[id] = l.renewed(l.at(id).Record.Lease)
		}
		release := l.hold("renew")
		single := s.answers(3, "i7")
		synctest.Wait() // their renewal is in flight
		heads := l.heads
		var got []Response
		var wait sync.WaitGroup
		wait.Go(func() { got = s.beatAll(t.Context(), append(ofApp(ids...), ofApp("i3", "i3", "i7")...)...) })
		synctest.Wait()
		release()
		wait.Wait()
		for i, r := range append(got, single()...) {
			require.NoError(t, r.Err, i)
		}
		for _, id := range ids {
			require.Equal(t, before[id]+1, l.renewed(l.at(id).Record.Lease), id)
		}
		require.Less(t, l.heads-heads, 10, "those that are renewed together are verified together")
	})
}

// A thousand that were SUSPENDED come back, whatever the number of workers.
func TestABatchBringsBackAllThatWereSuspended(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		var ids []ID
		for i := range 1000 {
			ids = append(ids, ID(fmt.Sprint("i", i)))
			s.register(ids[i])
		}
		until(t, "all SUSPENDED", func() bool { return s.Stats().Suspended == len(ids) })
		for i, r := range s.beatAll(t.Context(), append(ofApp(ids...), ofApp("unknown")...)...) {
			if i < len(ids) {
				require.NoError(t, r.Err)
			} else {
				require.ErrorIs(t, r.Err, ErrNotFound)
			}
		}
		for _, id := range ids {
			wantStates(t, l, id, Active, Suspended, Active)
		}
		synctest.Wait()
		require.Zero(t, s.Engine.batches.flows.working, "their workers have ended")
	})
}

// What another replica has registered is found, and its heartbeat counts from when it came.
func TestABatchFindsWhatAnotherReplicaHasRegistered(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		watch := l.hold("watch")
		a.register("i")
		a.register("j")
		release := l.hold("read")
		now, _ := b.now()
		var got []Response
		var wait sync.WaitGroup
		wait.Go(func() {
			got = b.beatAll(t.Context(), append(ofApp("i", "j", "none"), Heartbeat{ID: "i", Owner: "other"})...)
		})
		time.Sleep(time.Second)
		release()
		wait.Wait()
		require.NoError(t, got[0].Err)
		require.NoError(t, got[1].Err)
		require.ErrorIs(t, got[2].Err, ErrNotFound)
		require.ErrorIs(t, got[3].Err, ErrNotOwner)
		require.Equal(t, now, b.entry("i").local.beatAt, "when it was received, not when it was found")
		watch()
	})
}

// A replica whose watch is a little behind does not read each record for that.
func TestABatchWaitsAMomentForTheWatch(t *testing.T) {
	for behind, reads := range map[time.Duration]int{10 * time.Millisecond: 0, time.Minute: 100} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(10), false)
			var ids []ID
			for i := range 100 {
				ids = append(ids, ID(fmt.Sprint("i", i)))
				s.register(ids[i])
			}
			synctest.Wait()
			release := l.hold("watch")
			s.register("one more")
			before := l.reads
			go func() {
				time.Sleep(behind)
				release()
			}()
			for _, r := range s.beatAll(t.Context(), ofApp(ids...)...) {
				require.NoError(t, r.Err)
			}
			require.Equal(t, reads, l.reads-before)
			time.Sleep(behind)
		})
	}
}

// What a batch allocates does not grow with the flows in it: some lists, and no goroutine, timer or
// channel for each.
func TestABatchAllocatesAFewLists(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	l := newLab(t)
	defer l.end()
	e := New(Config{Store: l, Policy: brisk(10), Alone: true, Clock: func() (time.Duration, int64) { return time.Hour, 0 }})
	_, err := e.Load(t.Context())
	require.NoError(t, err)
	beats := make([]Heartbeat, 500)
	for i := range beats {
		beats[i] = Heartbeat{ID: ID(fmt.Sprint("i", i)), Owner: "app"}
		_, err := e.Register(t.Context(), Record{ID: beats[i].ID, Owner: "app", State: Active})
		require.NoError(t, err)
	}
	e.Store = quiet{l}
	heard := 0
	for _, n := range []int{1, 500} {
		got := testing.AllocsPerRun(50, func() {
			e.Beats(t.Context(), "", beats[:n], func(_ int, r Response) {
				if r.Err == nil {
					heard++
				}
			})
		})
		require.LessOrEqual(t, got, 50., "%d heartbeats", n)
	}
	require.Equal(t, 51*501, heard)
}

func TestABatchBeforeTheListsAreLoadedIsTriedAgain(t *testing.T) {
	e := New(Config{Store: obedient{}, Policy: brisk(1), Clock: func() (time.Duration, int64) { return 0, 0 }})
	for _, r := range beatAll(t.Context(), t, e, "", ofApp("i", "j")) {
		require.True(t, errors.Is(r.Err, ErrNotReady))
	}
	require.Empty(t, beatAll(t.Context(), t, e, "", nil))
}
