package heartbeat

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// populate puts n ACTIVE instances into the store without any ceremony, loads them, and
// has them heard once.
func (l *lab) populate(s *replica, n int) []ID {
	ids := make([]ID, n)
	l.mu.Lock()
	for i := range ids {
		id := ID(fmt.Sprintf("%032x", i))
		ids[i] = id
		l.rev++
		l.records[id] = Snapshot{At: l.rev, Record: Record{Schema: Schema, ID: id, Owner: "app", State: Active, Seq: 1,
			Interval: s.Policy.DefaultInterval, Window: s.Policy.Window(s.Policy.DefaultInterval), Lease: LeaseID(i + 1)}}
		l.projections[id] = Projection{Revision: l.rev, Lease: LeaseID(i + 1)}
	}
	l.mu.Unlock()
	if _, err := s.Load(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	now, wall := s.Clock()
	for _, id := range ids {
		en := s.entry(id)
		en.mu.Lock()
		en.local.AddEvidence(Moment{Now: Mono(now), Credited: s.health.Load().Credited, Wall: wall})
		en.mu.Unlock()
	}
	return ids
}

// vanish ends the leases of many at once, in one batch of the watch.
func (l *lab) vanish(ids []ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	observations := make([]Observation, len(ids))
	for i, id := range ids {
		l.rev++
		delete(l.projections, id)
		observations[i] = Observation{ID: id, Revision: l.rev, Projected: true}
	}
	rev := l.rev
	for _, s := range l.replicas {
		s.queue <- func() { s.Observe(observations, rev) }
	}
}

// inUse is how many bytes are in use, stacks included, after a collection.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// A hundred thousand absences at once used to start 80,603 goroutines and take 304 MiB.
func TestAHundredThousandAbsencesTakeNoGoroutineEach(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector takes memory of its own, and minutes")
	}
	const n = 100_000
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		ids := l.populate(s, n)
		time.Sleep(10 * time.Second)
		bytes, goroutines := inUse(), runtime.NumGoroutine()
		l.slow(20*time.Millisecond, 1000)
		release := l.hold("read") // whoever works at an absence is still at it
		l.vanish(ids)
		most, added := 0, 0
		for tick := range 30 {
			if tick == 10 {
				release()
			}
			most = max(most, runtime.NumGoroutine()-goroutines)
			if tick%10 == 9 {
				added = max(added, inUse()-bytes)
			}
			if st := s.Stats(); tick == 2 && st.Absent != n {
				t.Fatalf("%d are absent after %d ticks", st.Absent, tick)
			}
			time.Sleep(Tick)
		}
		t.Logf("%d absences: at most %d goroutines and %.1f MiB more", n, most, float64(added)/(1<<20))
		if bound := refuteWorkers + 4*usualWorkers; most > bound {
			t.Errorf("%d goroutines more, want at most %d", most, bound)
		}
		if added > 30<<20 {
			t.Errorf("%.1f MiB more, want at most 30", float64(added)/(1<<20))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		// All holds are over: the others wait for the rate limit, 2,000 a second of a store that needs 20 ms.
		st, claims := s.Stats(), l.count(Claim)
		if st.Suspended != claims || st.Suspended+st.Absent != n || claims < 4*leastClaimRate || claims > 8*leastClaimRate || st.RateLimited < n/2 {
			t.Errorf("%d claims; %+v", claims, st)
		}
	})
}

// vacant is a store in which every instance is absent, and stays so.
type vacant struct {
	Store
	snapshots map[ID]Snapshot
}

func (v vacant) Read(_ context.Context, id ID) (Snapshot, error) { return v.snapshots[id], nil }
func (v vacant) Commit(context.Context, *Txn) (Revision, error)  { return 0, ErrUnusable }
func (v vacant) Grant(context.Context, int) (LeaseID, error)     { return 0, ErrFull }

// A tick costs what is due: an absence is looked at when it begins, when its hold may
// be over and when it has a token, not at every tick.
func TestATickCostsWhatIsDueNotWhatExists(t *testing.T) {
	const n = 100_000
	v := vacant{snapshots: map[ID]Snapshot{}}
	now := time.Hour
	e := New(Config{Store: v, Policy: brisk(10), Clock: func() (time.Duration, int64) { return now, int64(now) }, Alone: true})
	for i := range n {
		id := ID(fmt.Sprintf("%032x", i))
		v.snapshots[id] = Snapshot{At: 1, Record: Record{ID: id, State: Active, Interval: 10, Window: 20, Lease: 7}}
		e.observe(e.ensureEntry(id), observationsOf(id, &Snapshot{At: 1, Record: v.snapshots[id].Record}, 1)...)
	}
	var longest time.Duration
	ticks := func(count int) (looked, most int) {
		for range count {
			now += Tick
			e.updateHealth(func(g *Health) { g.AddTime(Tick) })
			began := time.Now()
			looks := e.handleAllDue(Mono(now), int64(now))
			longest = max(longest, time.Since(began))
			e.workers.Wait()
			looked, most = looked+looks, max(most, looks)
		}
		return looked, most
	}
	for _, phase := range []struct {
		name    string
		prepare func()
		ticks   int
		want    int
	}{
		{"they begin", func() {}, 25, n},
		{"the replica has just started", func() {}, 100, 0},
		{"its window of 20 s ends, but the store is full", func() { e.updateHealth(func(g *Health) { g.SetFull(true) }) }, 125, n},
		{"the store stays full", func() {}, 100, 0},
	} {
		phase.prepare()
		if looked, most := ticks(phase.ticks); looked != phase.want || most > maxPerTick {
			t.Errorf("%s: %d looks in %d ticks, %d of them in one; want %d in all, and at most %d in one",
				phase.name, looked, phase.ticks, most, phase.want, maxPerTick)
		}
	}
	t.Logf("the longest tick took %v", longest)
}
