package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// In a mass claims wait for a token of the rate limit. What is heard meanwhile, or a store that
// became full, is seen before the claim is made.
func TestAClaimIsExaminedAgainWithItsToken(t *testing.T) {
	snap := Snapshot{At: 7, Record: Record{ID: "i", State: Active, Interval: 1, Window: 2, Lease: 3}}
	ready := func() (ClaimFlow, Input) {
		p := brisk(1)
		in := Input{Policy: &p, Health: &Health{Credited: Credit(time.Hour)}, Known: &snap, Local: &Local{}}
		f := ClaimFlow{step: claimHold, at: snap.At}
		if a := f.Next(in, Result{}); a.Do != DoToken {
			t.Fatalf("it asks for no token: %v", a.Do)
		}
		return f, in
	}
	f, in := ready()
	if a := f.Next(in, Result{}); a.Do != DoCommit || a.Txn.Kind != Claim {
		t.Errorf("nothing changed, and yet %v", a.Do)
	}
	f, in = ready()
	in.Local.AddEvidence(Moment{Now: in.Now})
	if a := f.Next(in, Result{}); a.Do != DoRespond {
		t.Errorf("it was heard, and yet %v", a.Do)
	}
	f, in = ready()
	in.Health.SetFull(true)
	if a := f.Next(in, Result{}); a.Do != DoWait || !a.Wait.Space {
		t.Errorf("the store is full, and yet %v", a.Do)
	}
	f, in = ready()
	newer := snap
	newer.At++
	in.Known = &newer
	if a := f.Next(in, Result{}); a.Do != DoRead {
		t.Errorf("the record changed, and yet %v", a.Do)
	}
}

// Whoever asks for dead services again and again moves no claim past those that wait.
func TestFailingRequestsTakeNoTokenOfAClaim(t *testing.T) {
	const n, rate = 300, 10
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		s.ClaimsPerSecond = rate
		s.claimLimit.set(rate)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		ids := make([]ID, n)
		for i := range ids {
			ids[i] = ID(fmt.Sprint("i", i))
			s.register(ids[i])
		}
		until(t, "all wait for a token", func() bool { waiting, _ := s.schedule.length(&s.schedule.rateLimited); return waiting > n-2*rate })
		began, before := time.Now(), l.count(Claim)
		for time.Since(began) < 5*time.Second {
			for _, id := range ids {
				if _, err := s.Update(context.Background(), id, Update{Owner: "stranger", State: Active, Proposed: KeepInterval}); !errors.Is(err, ErrNotOwner) {
					t.Fatal(err)
				}
			}
			time.Sleep(Tick / 2)
		}
		if got := l.count(Claim) - before; got < 4*rate || got > 6*rate {
			t.Errorf("%d claims in 5 s at %d a second", got, rate)
		}
	})
}

// What is examined for another reason asks for a token, too.
func TestAClaimWithoutATokenAsksForOne(t *testing.T) {
	e := New(Config{Store: failing{}, Policy: brisk(1), Clock: func() (time.Duration, int64) { return time.Hour, int64(time.Hour) }, Alone: true})
	for _, hasToken := range []bool{false, true} {
		en := &entry{status: absent, claimFlow: &ClaimFlow{step: claimToken}}
		en.view.Record = Record{ID: "i", State: Active, Interval: 1, Window: 2, Lease: 3}
		en.view.At = 7
		e.end() // so that no worker begins
		e.handleDue(en, Mono(time.Hour), int64(time.Hour), hasToken)
		if !en.claiming || (en.claimFlow.step == claimToken) != hasToken {
			t.Errorf("token %t: it goes on at step %d, claiming %t", hasToken, en.claimFlow.step, en.claiming)
		}
	}
}

// The bound on claims follows what the store takes for one: docs/adr/0067 says how.
func TestTheRateOfClaimsFollowsTheStoresLatency(t *testing.T) {
	for _, c := range []struct {
		latency time.Duration
		want    int
	}{
		{0, mostClaimRate}, {time.Millisecond, mostClaimRate}, {2 * time.Millisecond, 20_000}, {4 * time.Millisecond, 10_000},
		{10 * time.Millisecond, 4_000}, {20 * time.Millisecond, 2_000}, {time.Second, leastClaimRate}, {time.Hour, leastClaimRate},
	} {
		if got := claimRate(c.latency); got != c.want {
			t.Errorf("%v: %d a second, want %d", c.latency, got, c.want)
		}
	}
	last := mostClaimRate
	for latency := time.Duration(0); latency < time.Second; latency += 100 * time.Microsecond {
		if rate := claimRate(latency); rate > last {
			t.Fatalf("a store that takes %v gets more than a faster one", latency)
		} else {
			last = rate
		}
	}
	for name, c := range map[string]struct {
		each        time.Duration
		least, most int // claims in the first second of a mass
	}{
		"a fast store": {time.Millisecond, 8_000, mostClaimRate * 11 / 10},
		"a slow one":   {40 * time.Millisecond, 1_200, leastClaimRate + 500}, // as many as its workers get done
	} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(1), true)
			ids := l.populate(s, 30_000)
			time.Sleep(10 * time.Second)
			l.slow(c.each, 1000)
			l.vanish(ids)
			until(t, "the first claim", func() bool { return l.count(Claim) > 0 })
			time.Sleep(time.Second)
			if n := l.count(Claim); n < c.least || n > c.most {
				t.Errorf("%s: %d claims in a second, want %d to %d", name, n, c.least, c.most)
			}
			until(t, "all suspended", func() bool { return l.count(Claim) == len(ids) })
		})
	}
}
