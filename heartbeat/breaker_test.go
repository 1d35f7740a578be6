package heartbeat

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheBreakerOpensOnAMassAndClosesByItself(t *testing.T) {
	for _, tt := range []struct {
		ends, instances int
		open            bool
	}{
		{9, 9, false}, {10, 10, true}, {10, 33, true}, {10, 34, false}, {29, 100, false}, {30, 100, true}, {299, 1000, false}, {300, 1000, true}, {0, 0, false},
	} {
		b := &breaker{window: 90 * time.Second}
		for i := range tt.ends {
			b.ended(new(vanished), Credit(time.Duration(i)*time.Millisecond))
		}
		if _, got := b.assess(Credit(time.Second), tt.instances-tt.ends); got != tt.open {
			t.Errorf("%d of %d: open %v", tt.ends, tt.instances, got)
		}
		if _, open := b.assess(Credit(90*time.Second+time.Duration(tt.ends)*time.Millisecond), tt.instances); open {
			t.Errorf("%d of %d: open a window after the last", tt.ends, tt.instances)
		}
		if len(b.ends) != 0 || b.missing != 0 {
			t.Errorf("%d are kept, %d counted", len(b.ends), b.missing)
		}
	}
	b := &breaker{window: 90 * time.Second}
	for i := range 100 { // one each ten seconds is no mass, whatever they add up to
		b.ended(new(vanished), Credit(time.Duration(i)*10*time.Second))
		if _, open := b.assess(Credit(time.Duration(i)*10*time.Second), 11); open {
			t.Fatalf("open after %d slow ones", i)
		}
	}
}

// Suspension is limited in its rate, and never refused; a quiet time saves up no more than a tick's worth.
func TestClaimsAreLimitedInTheirRateAndNeverRefused(t *testing.T) {
	for rate, perTick := range map[int]int{0: 200, 2000: 200, 100: 10, 10: 1} {
		e := New(Config{ClaimsPerSecond: rate})
		for _, begin := range []time.Duration{time.Minute, time.Hour} {
			for tick := range 5 {
				tokens := 0
				for e.claimLimit.take(Mono(begin + time.Duration(tick)*Tick)) {
					tokens++
				}
				want := perTick
				if tick == 0 {
					want++ // and the one of this moment
				}
				if tokens != want {
					t.Fatalf("rate %d: %d tokens in tick %d, want %d", rate, tokens, tick, want)
				}
			}
		}
	}
}

type counting struct {
	failing
	reads *atomic.Int64
}

// Read counts what is done about the SUSPENDED ones, which begin with a 1.
func (c counting) Read(_ context.Context, id ID) (s Snapshot, err error) {
	if len(id) == 2 {
		c.reads.Add(1)
	}
	return s, nil
}

// Removal cannot be undone, so it waits while very many vanish, and only so long.
func TestNothingIsRemovedAmidAMass(t *testing.T) {
	var reads atomic.Int64
	var now time.Duration
	e := New(Config{Store: counting{reads: &reads}, Clock: func() (time.Duration, int64) { return now, int64(now) },
		Policy: Policy{DefaultInterval: 30, AllowedMisses: 2, DeregisterAfter: time.Second}})
	for i := range 20 {
		id := ID(fmt.Sprint(i))
		r := Record{ID: id, State: Suspended, Interval: 30, Window: 90}
		if i < 10 {
			r.State, r.Lease = Active, 7
		}
		e.observe(e.ensureEntry(id), Observation{ID: id, Revision: 1, Present: true, Record: r}, Observation{ID: id, Revision: 1, Projected: true, Present: true, Lease: r.Lease})
	}
	pass := func(d time.Duration) {
		now += d
		e.updateHealth(func(g *Health) { g.Credited += Credit(d) })
		e.handleAllDue(Mono(now), int64(now))
		e.workers.Wait()
	}
	for i := range 10 {
		id := ID(fmt.Sprint(i))
		e.observe(e.ensureEntry(id), Observation{ID: id, Revision: 2, Projected: true}) // the lease ended
	}
	require.True(t, e.Stats().Massive)
	pass(89 * time.Second)
	require.Zero(t, reads.Load(), "removals begun")
	pass(2 * time.Second)
	require.False(t, e.Stats().Massive)
	require.EqualValues(t, 10, reads.Load(), "removals begun")
}

// Who heard a service and sees it suspended by another replica says so; who did not
// hear it, or long ago, does not.
func TestASuspensionOfWhatWasHeardIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		heard bool
		age   time.Duration
		told  int
	}{"heard": {true, 3 * time.Second, 1}, "long ago": {true, 4 * time.Second, 0}, "never": {false, 0, 0}} {
		told := 0
		now := time.Minute
		e := New(Config{Store: failing{}, Clock: func() (time.Duration, int64) { return now, 0 }, Hooks: Hooks{Overruled: func(ID) { told++ }}})
		e.end() // nothing is carried out
		en := e.ensureEntry("a")
		r := Record{ID: "a", State: Active, Interval: 2, Window: 4, Lease: 7}
		e.observe(en, Observation{ID: "a", Revision: 1, Present: true, Record: r}, Observation{ID: "a", Revision: 1, Projected: true, Present: true, Lease: 7})
		if c.heard {
			en.local.AddEvidence(Moment{Now: Mono(now), Wall: int64(now)})
		}
		now += c.age
		r.State, r.Lease, r.SuspendedAt = Suspended, 0, int64(now)
		e.observe(en, Observation{ID: "a", Revision: 2, Present: true, Record: r}, Observation{ID: "a", Revision: 2, Projected: true, Present: true})
		e.hooks.drain(t.Context())
		require.Equal(t, c.told, told, name)
	}
}

// SUSPENDED and INACTIVE records and those without heartbeats cannot vanish: that very
// many of the others do must not be hidden by their number.
func TestAMassIsAPartOfTheLeasesThatExisted(t *testing.T) {
	e := New(Config{Store: failing{}, Clock: func() (time.Duration, int64) { return 0, 0 }, Policy: Policy{DefaultInterval: 30, AllowedMisses: 2}})
	e.end() // nothing is carried out
	enter := func(n int, r Record) (ids []ID) {
		for range n {
			id := ID(fmt.Sprint(len(e.entries)))
			r.ID = id
			e.observe(e.ensureEntry(id), Observation{ID: id, Revision: 1, Present: true, Record: r}, Observation{ID: id, Revision: 1, Projected: true, Present: true, Lease: r.Lease})
			ids = append(ids, id)
		}
		return ids
	}
	enter(3000, Record{State: Suspended, Interval: 30, Window: 90})
	enter(2000, Record{State: Inactive, Interval: 30, Window: 90})
	enter(2100, Record{State: Active})
	ids := enter(2900, Record{State: Active, Interval: 30, Window: 90, Lease: 7})
	for i, id := range ids {
		if want := i >= 870; e.Stats().Massive != want {
			t.Fatalf("%d of 2900 leases ended: massive is %t", i, !want)
		}
		e.observe(e.ensureEntry(id), Observation{ID: id, Revision: 2, Projected: true})
	}
	// Those that came back existed all the same, and only once.
	for _, id := range ids {
		e.observe(e.ensureEntry(id), Observation{ID: id, Revision: 3, Projected: true, Present: true, Lease: 7})
	}
	require.EqualValues(t, 2900, e.counts[living].Load())
	require.Zero(t, e.breaker.missing)
	require.True(t, e.Stats().Massive)
	e.updateHealth(func(g *Health) { g.Credited = Credit(90 * time.Second) })
	require.False(t, e.Stats().Massive)
}
