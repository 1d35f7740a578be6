package heartbeat

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// registerMany enters instances, named by a prefix and a number.
func (s *replica) registerMany(prefix string, n int) (ids []ID) {
	s.lab.t.Helper()
	for i := range n {
		ids = append(ids, ID(fmt.Sprint(prefix, i)))
		s.register(ids[i])
	}
	return ids
}

// wait until so many are SUSPENDED.
func (s *replica) untilSuspended(n int) {
	s.lab.t.Helper()
	until(s.lab.t, "SUSPENDED", func() bool { return s.Stats().Suspended == n })
}

// After an outage more come back in a batch than all workers together bring back in time. The
// others, whose renewals the store has confirmed, are answered so, and so are the unknown ones.
func TestABatchAnswersWhatIsRenewedHoweverManyComeBack(t *testing.T) {
	for _, alone := range []bool{true, false} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(2), alone)
			back := s.registerMany("back", 600)
			s.untilSuspended(len(back))
			well := s.registerMany("well", 399)
			synctest.Wait()
			release := l.hold("read")
			beats := slices.Concat(ofApp(back...), ofApp(well...), []Heartbeat{{ID: well[0], Owner: "other"}}, ofApp("none"))
			if !alone {
				s.noteAbsent("none", s.moment())
			}
			began := time.Now()
			got := s.beatAll(t.Context(), beats...)
			require.Equal(t, 500*time.Millisecond, time.Since(began), "a quarter of the interval")
			for i, r := range got {
				switch {
				case i < len(back):
					require.ErrorIs(t, r.Err, ErrUnavailable, beats[i])
				case i < len(back)+len(well):
					require.NoError(t, r.Err, beats[i])
				case i == len(got)-1:
					require.ErrorIs(t, r.Err, ErrNotFound)
				default:
					require.ErrorIs(t, r.Err, ErrNotOwner)
				}
			}
			release()
		})
	}
}

// Lookups do not wait for renewals, and what asks the store for nothing is answered first.
func TestASlowLeaseDelaysNoUnknownHeartbeatOfItsBatch(t *testing.T) {
	for _, alone := range []bool{true, false} {
		bubble(t, func(t *testing.T, l *lab) {
			a := l.addReplica(brisk(4), alone)
			a.register("slow")
			beats := ofApp("slow", "none")
			if !alone {
				b := l.addReplica(brisk(4), false)
				synctest.Wait()
				defer l.hold("watch")()
				b.register("new")
				beats = append(beats, ofApp("new", "none too")...)
				a.noteAbsent("none", a.moment())
			}
			store := oneSlow{replicaStore{l, a}, l.at("slow").Record.Lease, make(chan struct{})}
			a.Store = store
			defer close(store.let)
			began := time.Now()
			got, at := make([]error, len(beats)), make([]time.Duration, len(beats))
			a.Beats(t.Context(), "", beats, func(i int, r Response) { got[i], at[i] = r.Err, time.Since(began) })
			require.ErrorIs(t, got[0], ErrUnavailable)
			require.ErrorIs(t, got[1], ErrNotFound)
			require.Zero(t, at[1], "it asks the store for nothing")
			if !alone {
				require.NoError(t, got[2])
				require.ErrorIs(t, got[3], ErrNotFound)
			}
		})
	}
}

// hanging is a store where renewals of many leases at once hang until let is closed.
type hanging struct {
	replicaStore
	let chan struct{}
}

func (s hanging) RenewAll(ctx context.Context, leases []LeaseID, done func(i, ttl int, err error)) {
	<-s.let
	s.replicaStore.RenewAll(ctx, leases, done)
}

// Batches that wait for a slow lease, and have nothing else to do, take no worker from others.
func TestABatchThatWaitsKeepsNoWorker(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(8), false)
		const batches, each = allBatchFlows / batchFlows, batchFlows
		back := s.registerMany("back", batches*each+1)
		s.untilSuspended(len(back))
		slow := s.registerMany("slow", batches)
		synctest.Wait()
		store := hanging{replicaStore{l, s}, make(chan struct{})}
		defer close(store.let)
		s.Store = store
		got := make([][]Response, batches)
		var others sync.WaitGroup
		for i := range batches {
			others.Go(func() {
				got[i] = s.beatAll(t.Context(), ofApp(append(slices.Clone(back[i*each:(i+1)*each]), slow[i])...)...)
			})
		}
		synctest.Wait() // they have brought back what they could
		require.Equal(t, 1, s.Stats().Suspended)
		began := time.Now()
		require.NoError(t, s.beatAll(t.Context(), ofApp(back[len(back)-1])...)[0].Err)
		require.Zero(t, time.Since(began), "no other batch had ended")
		others.Wait()
		for _, one := range got {
			for _, r := range one[:each] {
				require.NoError(t, r.Err)
			}
			require.ErrorIs(t, one[each].Err, ErrUnavailable)
		}
	})
}

// What a batch leaves unanswered is refuted by itself as soon as after a PATCH that failed.
func TestWhatABatchHadNoTimeForIsRefutedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		p := brisk(4)
		p.Hold = 20 * time.Second
		s := l.addReplica(p, true)
		ids := s.registerMany("i", 3*batchFlows)
		until(t, "missing", func() bool { return s.counts[absent].Load() == int64(len(ids)) })
		time.Sleep(time.Second) // each waits for the end of its hold
		release := l.hold("read")
		for _, r := range s.beatAll(t.Context(), ofApp(ids...)...) {
			require.ErrorIs(t, r.Err, ErrUnavailable)
		}
		release()
		time.Sleep(2 * Tick)
		synctest.Wait()
		require.Zero(t, s.counts[absent].Load())
		require.Equal(t, len(ids), l.count(Rearm))
	})
}

func (s *replica) moment() Mono {
	now, _ := s.now()
	return now
}

// However much work one batch has, another gets a worker for each piece of it that is done; and
// what is over gets none.
func TestBatchesTakeTurnsAtTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spawn := func(work func()) bool {
			go work()
			return true
		}
		p := batchPool{spawn: spawn, all: 2, each: 1}
		var mu sync.Mutex
		var done []string
		piece := func(name string) func() {
			return func() {
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				done = append(done, name)
			}
		}
		var a, b, c, d batchWork
		for range 3 {
			p.put(&a, piece("a"))
		}
		time.Sleep(time.Second / 2)
		for range 3 {
			p.put(&b, piece("b"))
		}
		synctest.Wait() // a and b have a worker each
		for range 2 {
			p.put(&c, piece("c"))
			p.put(&d, piece("d"))
		}
		p.drop(&d)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c", "a", "b", "c", "a", "b"}, done)
		require.Zero(t, p.working)
		require.Empty(t, p.waiting)
	})
}

// Of one batch as many are at work as may be, and no more, whatever there is to do.
func TestABatchHasAsManyWorkersAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spawned := 0
		p := batchPool{all: 100, each: 5}
		p.spawn = func(work func()) bool {
			spawned++
			go work()
			return true
		}
		let := make(chan struct{})
		var w batchWork
		for range 50 {
			p.put(&w, func() { <-let })
		}
		synctest.Wait()
		require.Equal(t, 5, w.working)
		require.Equal(t, 5, spawned)
		close(let)
		synctest.Wait()
		require.Zero(t, w.working)
		require.Empty(t, w.queue)
		require.Zero(t, p.working)
	})
}
