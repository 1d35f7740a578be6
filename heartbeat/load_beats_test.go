package heartbeat

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What is refused before it reaches the store takes microseconds, and must not pass for a fast one.
func TestARefusalSaysNothingOfTheStoresLatency(t *testing.T) {
	s := New(Config{Store: failing{}, Clock: func() (time.Duration, int64) { return 0, 0 }, Policy: bounded(10, 10, 300)})
	claims, changes := s.claimLimit.gap, s.changeLimit.gap
	note := func(o Outcome, took time.Duration) {
		for range 500 {
			s.noteCommit(Claim, o, took)
			s.noteCommit(Lower, o, took)
		}
	}
	refuse := func() {
		note(Full, time.Microsecond)
		note(Unusable, time.Microsecond)
		note(Unavailable, time.Microsecond)
	}
	refuse()
	require.Equal(t, []time.Duration{claims, changes}, []time.Duration{s.claimLimit.gap, s.changeLimit.gap}, "nothing is known yet")
	note(Conflict, 15*time.Millisecond)
	claims, changes = s.claimLimit.gap, s.changeLimit.gap
	require.InDelta(t, 15*time.Millisecond/claimsAtOnce, claims, float64(50*time.Microsecond))
	require.InDelta(t, 15*time.Millisecond/changesAtOnce, changes, float64(50*time.Microsecond))
	refuse()
	require.Equal(t, []time.Duration{claims, changes}, []time.Duration{s.claimLimit.gap, s.changeLimit.gap}, "refusals made it another store")
	note(Unavailable, 5*time.Second)
	require.Equal(t, []time.Duration{time.Second / leastClaimRate, time.Second / leastChangeRate}, []time.Duration{s.claimLimit.gap, s.changeLimit.gap}, "one that does not answer is slow")
}

// A replica whose watch is broken would undo what the others do.
func TestAnOldLoadChoosesNoInterval(t *testing.T) {
	p := bounded(10, 10, 300)
	for name, c := range map[string]struct {
		load  Load
		head  Revision // what the store has written; the watch has shown 5
		want  string
		asked string
	}{
		"less load, all is shown":   {Load{Free: 1}, 5, "10", "[renew head LOWER]"},
		"less load, all is not":     {Load{Free: 1}, 6, "20", "[renew head read]"},
		"more load, all is shown":   {Load{Free: 300}, 5, "80", "[renew head grant RAISE renew]"},
		"more load, all is not":     {Load{Free: 300}, 6, "20", "[renew head read]"},
		"the load is what it was":   {Load{Free: 120}, 6, "20", "[renew head read]"},
		"and that is what is shown": {Load{Free: 120}, 5, "20", "[renew head]"},
	} {
		known := aliveAt(5, "")
		known.Record.Proposed, known.Record.Interval, known.Record.Window = 0, 20, 60
		results := []Result{{TTL: 60}, {Revision: c.head}}
		if c.head > 5 {
			results = append(results, Result{Snapshot: known})
		}
		if c.want == "80" {
			results = append(results, Result{Lease: 9}, Result{Revision: 6}, Result{TTL: 240})
		} else if c.want == "10" {
			results = append(results, Result{Revision: 6})
		}
		s := newScript(new(BeatFlow), results...)
		s.in.Policy, s.in.Known, s.in.Load = &p, &known, c.load
		a := s.run(t)
		require.NoError(t, a.Err, name)
		require.Equal(t, c.want, fmt.Sprint(a.Record.Interval), name)
		require.Equal(t, c.asked, fmt.Sprint(s.asked), name)
	}
	known := aliveAt(5, "") // what is proposed does not follow the load, but the settings
	known.Record.Proposed, known.Record.Interval, known.Record.Window = 15, 20, 60
	s := newScript(new(BeatFlow), Result{TTL: 60}, Result{Revision: 6}, Result{Snapshot: known}, Result{Revision: 7})
	s.in.Policy, s.in.Known = &p, &known
	require.NoError(t, s.run(t).Err)
	require.Equal(t, "[renew head read LOWER]", fmt.Sprint(s.asked))
}

// Behind a load balancer each of two replicas sees every other heartbeat. That a longer interval was
// not heard, and that a shorter one is kept, is not seen then: the window stays the longer one.
func TestHeartbeatsThatAlternateBetweenReplicasSuspendNobody(t *testing.T) {
	for _, hears := range []bool{true, false} {
		bubble(t, func(t *testing.T, l *lab) {
			p := bounded(1000, 10, 300)
			at := []*replica{l.addReplica(p, false), l.addReplica(p, false)}
			rec := at[0].register("i")
			require.Equal(t, 10, rec.Interval)
			keeps, beats := 10, 0
			during := func(perSecond, n int) {
				for _, s := range at {
					s.Policy.MaxBeatsPerSecond = perSecond // one service, and a bound that changes, are as good as many
				}
				for range n {
					time.Sleep(time.Duration(keeps) * time.Second)
					synctest.Wait()
					a := at[beats%2].beat("i")
					beats++
					require.NoError(t, a.Err)
					if a.TellInterval && hears {
						keeps = a.Record.Interval
					}
					require.GreaterOrEqual(t, l.at("i").Record.Window, 3*keeps)
				}
			}
			for range 40 { // others come
				at[0].load.free.Add(1)
				at[1].load.free.Add(1)
			}
			during(1, 40)
			require.Equal(t, 80, l.at("i").Record.Interval)
			during(1000, 60)
			require.Equal(t, 10, l.at("i").Record.Interval)
			if hears {
				require.Equal(t, 10, keeps)
				require.Equal(t, 240, l.at("i").Record.Window, "found late")
			}
			require.Zero(t, l.count(Claim))
			require.Zero(t, l.count(Rearm))
			for range 3 { // two in a row at one of them show it
				time.Sleep(10 * time.Second)
				synctest.Wait()
				require.NoError(t, at[0].beat("i").Err)
			}
			require.Equal(t, []int{10, 30, 0}, []int{l.at("i").Record.Interval, l.at("i").Record.Window, l.at("i").Record.Previous})
		})
	}
}

// What the projection shows is the longer interval until the shorter one is kept: then it is put anew.
func TestWhatAPutShortenedIsPutAnewOnceItIsKept(t *testing.T) {
	known := aliveAt(5, "")
	known.Record.Interval, known.Record.Previous, known.Record.Window, known.Record.Proposed = 5, 10, 10, 5
	s := newScript(new(BeatFlow), Result{TTL: 10}, Result{Lease: 9}, Result{Revision: 6}, Result{TTL: 10})
	p := between(1, 10)
	s.in.Policy, s.in.Known, s.in.Alone = &p, &known, true
	s.in.Local.AddBeat(Moment{Now: s.in.Now - Mono(10*time.Second)})
	s.in.Local.AddBeat(Moment{Now: s.in.Now - Mono(5*time.Second)})
	s.in.Local.followInterval(&known.Record, 10, 5*time.Second)
	a := s.run(t)
	require.NoError(t, a.Err)
	require.Equal(t, "[renew grant RAISE renew]", fmt.Sprint(s.asked))
	require.Equal(t, []int{5, 0, 10}, []int{a.Record.Interval, a.Record.Previous, a.Record.Window})
}
