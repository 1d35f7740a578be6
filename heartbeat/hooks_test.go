package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A hook that never returns (a log that nobody reads, an index that is locked) used to
// hold an entry's lock, and with it the watch and every tick.
func TestAHookThatBlocksStopsNeitherHeartbeatsNorDeaths(t *testing.T) {
	for name, block := range map[string]func(h *Hooks, wait func()){
		"Changed, of one instance": func(h *Hooks, wait func()) {
			h.Changed = func(id ID, _ *Snapshot) {
				if id == "blocked" {
					wait()
				}
			}
		},
		"Changed":   func(h *Hooks, wait func()) { h.Changed = func(ID, *Snapshot) { wait() } },
		"Committed": func(h *Hooks, wait func()) { h.Committed = func(*Txn) { wait() } },
		"Disturbed": func(h *Hooks, wait func()) { h.Disturbed = func(string) { wait() } },
		"Overruled": func(h *Hooks, wait func()) { h.Overruled = func(ID) { wait() } },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				var on atomic.Bool
				ever := make(chan struct{})
				block(&l.hooks, func() {
					if on.Load() {
						<-ever
					}
				})
				s := l.addReplica(brisk(1), true)
				time.Sleep(10 * time.Second)
				for _, id := range []ID{"living", "dead", "blocked", "heard"} {
					s.register(id)
				}
				stop := s.beats(time.Second, "living")
				on.Store(true)
				began := time.Now()
				_, err := s.Update(context.Background(), "blocked", Update{Owner: "app", State: Inactive, Proposed: KeepInterval})
				if d := time.Since(began); d > hookTimeout || err != nil && !errors.Is(err, ErrUnavailable) {
					t.Errorf("a request that changes something: %v after %v", err, d)
				}
				l.mu.Lock()
				heard := l.records["heard"]
				heard.Record.State, heard.Record.SuspendedAt, heard.At = Suspended, time.Now().UnixNano(), l.rev+1
				l.show(Observation{ID: "heard", Revision: l.rev + 1, Present: true, Record: heard.Record})
				l.mu.Unlock()
				s.disturb("test")
				time.Sleep(6 * time.Second)
				if a := s.beat("living"); a.Err != nil {
					t.Errorf("a heartbeat of another: %v", a.Err)
				}
				wantStates(t, l, "dead", Active, Suspended)
				wantStates(t, l, "living", Active)
				stop()
				began = time.Now()
				s.stop()
				if d := time.Since(began); d > 2*hookTimeout {
					t.Errorf("stopped after %v", d)
				}
				close(ever)
			})
		})
	}
}

// What a replica acknowledged, its next answer shows; and nothing older follows.
func TestChangesAreToldInOrderAndBeforeTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var mu sync.Mutex
		told := map[ID][]uint64{}
		var s *replica
		l.hooks.Changed = func(id ID, snap *Snapshot) {
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			if s != nil { // no lock is held: it may even call the engine
				_, _ = s.Get(context.Background(), id)
			}
			mu.Lock()
			defer mu.Unlock()
			told[id] = append(told[id], snap.Record.Seq)
		}
		s = l.addReplica(brisk(10), true)
		var all sync.WaitGroup
		for n := range 5 {
			id := ID(fmt.Sprint(n))
			s.register(id)
			for range 3 {
				all.Go(func() {
					for range 20 {
						r, err := s.Update(context.Background(), id, Update{Owner: "app", State: Active, Attributes: fmt.Sprint(rand.Uint64()), Proposed: KeepInterval})
						mu.Lock()
						if seqs := told[id]; err != nil || len(seqs) == 0 || seqs[len(seqs)-1] < r.Seq {
							t.Errorf("%s: answered with seq %d, %v; told %v", id, r.Seq, err, seqs)
						}
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
		synctest.Wait()
		for id, seqs := range told {
			if !slices.IsSorted(seqs) || seqs[len(seqs)-1] != l.at(id).Record.Seq {
				t.Errorf("%s is at seq %d, told %v", id, l.at(id).Record.Seq, seqs)
			}
		}
	})
}

// What no hook could be told is counted, and takes no memory.
func TestCallsOfHooksThatAreDroppedAreCounted(t *testing.T) {
	ever := make(chan struct{})
	e := New(Config{Clock: func() (time.Duration, int64) { return 0, 0 }, Hooks: Hooks{Disturbed: func(string) { <-ever }}})
	for range maxNotices + 11 {
		e.disturb("test")
	}
	if st := e.Stats(); st.HooksDropped < 10 || st.HooksDropped > 11 || st.Hooks > maxNotices { // one may be under way
		t.Errorf("%d waiting, %d lost", st.Hooks, st.HooksDropped)
	}
	close(ever)
	e.hooks.drain(t.Context())
	if st := e.Stats(); st.Hooks != 0 {
		t.Errorf("%d are still waiting", st.Hooks)
	}
}

// Who is told that a service is SUSPENDED or gone may look at once: until Changed has reported
// that, its reader is told to leave the service out.
func TestWhoCannotBeFoundStaysHiddenUntilThatIsReported(t *testing.T) {
	for name, end := range map[string]func(s *replica){
		"SUSPENDED": func(*replica) {},
		"removed":   func(s *replica) { go func() { _ = s.Remove(context.Background(), "i", Removal{Owner: "app"}) }() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				reported := make(chan struct{})
				l.hooks.Changed = func(_ ID, s *Snapshot) {
					if !s.Exists() || s.Record.State == Suspended {
						<-reported
					}
				}
				s := l.addReplica(brisk(1), true)
				time.Sleep(10 * time.Second) // the start's probation is over
				s.register("i")
				require.False(t, s.Hidden("i"))
				end(s)
				until(t, "told", func() bool { return len(l.events("i")) == 2 })
				synctest.Wait()
				require.True(t, s.Hidden("i"))
				close(reported)
				synctest.Wait()
				require.False(t, s.Hidden("i"), "its reader knows")
				require.Zero(t, s.unreported.Load())
			})
		})
	}
}
