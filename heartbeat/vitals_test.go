package heartbeat

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAGapIsRememberedToAThousandth(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, d := range []time.Duration{time.Millisecond, 8191 * time.Millisecond, 8192 * time.Millisecond, time.Minute, time.Hour, 24 * time.Hour} {
		require.InEpsilon(t, d.Seconds(), gapOf(d).duration().Seconds(), 0.001, d)
	}
	for range 10_000 {
		d := time.Duration(r.Int64N(int64(36*time.Hour))) + time.Millisecond
		require.InDelta(t, d.Seconds(), gapOf(d).duration().Seconds(), max(0.001, d.Seconds()/1000), d)
	}
	require.Zero(t, gapOf(0).duration())
	require.Greater(t, gapOf(1000*time.Hour).duration(), 36*time.Hour, "more than can be is as much as can be")
}

func vitalsOf(t *testing.T, s *replica, id ID) Vitals {
	t.Helper()
	v, is := s.Vitals(id)
	require.True(t, is)
	return v
}

// Since when a service is in its state does not move with its description, nor with a restart.
func TestSinceIsTheTimeOfTheCause(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		s.register("i")
		_, registered := s.Clock()
		time.Sleep(5 * time.Second)
		require.NoError(t, s.update(Update{State: Active, Attributes: "{ }"}))
		_, described := s.Clock()
		require.Equal(t, registered, vitalsOf(t, s, "i").Since)
		again := l.addReplica(brisk(10), true)
		synctest.Wait()
		v := vitalsOf(t, again, "i")
		require.Equal(t, registered, v.Since)
		require.Equal(t, described, v.Record.ChangedAt)
	})
	for _, c := range []struct {
		Record
		want int64
	}{ // of an earlier release
		{Record{State: Active, ChangedAt: 5}, 5},
		{Record{State: Suspended, ChangedAt: 5, SuspendedAt: 4}, 4},
		{Record{State: Suspended, ChangedAt: 5, SuspendedAt: 4, CausedAt: 3}, 3},
	} {
		require.Equal(t, c.want, c.since())
	}
}

func TestASilenceIsLateBeforeItIsDeath(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true) // a window of 20 s
		s.register("i")
		require.Zero(t, vitalsOf(t, s, "i").LastBeat, "a registration is no heartbeat")
		require.True(t, vitalsOf(t, s, "i").Watched)
		time.Sleep(5 * time.Second)
		s.beat("i")
		_, heard := s.Clock()
		for _, c := range []struct {
			after  time.Duration
			missed int
			late   bool
		}{{9 * time.Second, 0, false}, {2 * time.Second, 1, false}, {3800 * time.Millisecond, 1, false}, {400 * time.Millisecond, 1, true}, {4400 * time.Millisecond, 1, true}} { // a tick of credited time either way
			time.Sleep(c.after)
			v := vitalsOf(t, s, "i")
			require.Equal(t, []any{c.missed, c.late, Active}, []any{v.Missed, v.Late, v.Record.State}, "%v later", c.after)
			require.Equal(t, heard, v.LastBeat)
			require.True(t, v.Exact)
			require.Equal(t, heard+int64(20*time.Second), v.Deadline)
			require.False(t, v.Held)
		}
		until(t, "it is SUSPENDED", func() bool { return vitalsOf(t, s, "i").Record.State == Suspended })
		v := vitalsOf(t, s, "i")
		require.Equal(t, []any{false, false, 1, heard}, []any{v.Watched, v.Late, v.Flaps, v.LastBeat})
		require.Equal(t, v.Record.SuspendedAt, v.Since)
		require.GreaterOrEqual(t, v.Since, heard+int64(20*time.Second))
		_, is := s.Vitals("nobody")
		require.False(t, is)
	})
}

func TestTheLastTwentyGapsAndTransitionsAreRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("i")
		require.Empty(t, s.Trace("i"))
		for n := range 25 {
			s.beat("i")
			time.Sleep(time.Duration(1000+n) * time.Millisecond)
		}
		gaps := s.Trace("i").Gaps
		require.Len(t, gaps, TracedGaps)
		for n, g := range gaps {
			require.Equal(t, time.Duration(1004+n)*time.Millisecond, g, "the oldest first")
		}
		for range 12 {
			until(t, "it is SUSPENDED", func() bool { return vitalsOf(t, s, "i").Record.State == Suspended })
			s.beat("i")
		}
		moves := s.Trace("i").Transitions
		require.Len(t, moves, TracedTransitions)
		require.Equal(t, 12, vitalsOf(t, s, "i").Flaps, "more than are remembered")
		for n, m := range moves {
			want := [2]State{Active, Suspended}
			if n%2 == 1 {
				want = [2]State{Suspended, Active}
			}
			require.Equal(t, want, [2]State{m.From, m.To}, n)
			require.NotEmpty(t, m.Cause.Kind)
			if n > 0 {
				require.GreaterOrEqual(t, m.At, moves[n-1].At)
			}
		}
		require.Equal(t, moves[len(moves)-1].At, vitalsOf(t, s, "i").Since)
	})
}

// What another replica hears is neither late nor silent here, and nothing is said of when it dies.
func TestAReplicaSaysNothingOfWhatAnotherHears(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(2), false), l.addReplica(brisk(2), false)
		a.register("i")
		stop := a.beats(time.Second, "i")
		time.Sleep(10 * time.Second)
		v := vitalsOf(t, b, "i")
		require.False(t, v.Watched || v.Late || v.Exact || v.Held)
		require.Zero(t, v.Deadline)
		v = vitalsOf(t, a, "i")
		require.True(t, v.Watched && v.Exact)
		require.Equal(t, []string{b.name}, a.Survey(func(*Vitals) {}).Replicas)
		stop()
		until(t, "both know that it is SUSPENDED", func() bool {
			return vitalsOf(t, a, "i").Record.State == Suspended && vitalsOf(t, b, "i").Record.State == Suspended
		})
		require.False(t, vitalsOf(t, b, "i").Exact, "that it heard nothing does not mean that nobody did")
		require.Equal(t, 1, vitalsOf(t, b, "i").Flaps, "both have seen it")
	})
}

func TestASurveySaysWhatIsHeldBackAndUntilWhen(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		s.register("dead")
		s.register("alive")
		stop := s.beats(5*time.Second, "alive")
		defer stop()
		expiry := func() Expiry { return s.Survey(func(*Vitals) {}).Expiry }
		time.Sleep(time.Second)
		s.beat("dead")
		time.Sleep(13 * time.Second)
		require.Equal(t, NotHeld, expiry().By)
		l.pause(8 * time.Second)
		time.Sleep(time.Second)
		_, now := s.Clock()
		x := expiry()
		require.Equal(t, []any{Disturbed, "pause", 1}, []any{x.By, x.Doubt, x.Services})
		require.Greater(t, x.Until, now+int64(15*time.Second), "a window after the pause")
		require.InDelta(t, now, x.Since, float64(time.Second))
		require.Equal(t, Active, vitalsOf(t, s, "dead").Record.State)
		until(t, "it is SUSPENDED", func() bool { return vitalsOf(t, s, "dead").Record.State == Suspended })
		_, now = s.Clock()
		require.GreaterOrEqual(t, now, x.Until-int64(Tick), "not before it was said, but for the tick under way")
		require.Equal(t, NotHeld, expiry().By)
		stop()
		l.mu.Lock()
		l.full = true
		l.mu.Unlock()
		until(t, "the store is seen to be full", func() bool { return expiry().By == StoreFull })
		_, now = s.Clock()
		since := expiry().Since
		require.InDelta(t, now, since, float64(2*time.Second))
		time.Sleep(5 * time.Second)
		require.Equal(t, since, expiry().Since)
	})
}

// Whoever looks is told so for as long as the store is gone, whether its calls hang or fail at once.
func TestASurveySaysThatTheStoreDoesNotAnswerForAsLongAsItDoesNot(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		survey := func() Survey { return s.Survey(func(*Vitals) {}) }
		time.Sleep(5 * time.Second)
		for _, gone := range []func(bool){l.setSilent, l.setFailing} {
			require.True(t, survey().Answering)
			require.Equal(t, NotHeld, survey().Expiry.By)
			_, before := s.Clock()
			gone(true)
			time.Sleep(3 * time.Second)
			for range 40 {
				require.False(t, survey().Answering)
				x := survey().Expiry
				require.Equal(t, StoreSilent, x.By)
				require.InDelta(t, before, x.Since, float64(time.Second), "since when")
				time.Sleep(170 * time.Millisecond)
			}
			gone(false)
			time.Sleep(time.Second)
		}
	})
}

func TestASurveySaysThatAMassIsNotRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		var all []ID
		for n := range 20 {
			all = append(all, ID(fmt.Sprint("i", n)))
			s.register(all[n])
		}
		until(t, "all are SUSPENDED", func() bool { return s.Stats().Suspended == len(all) })
		x := s.Survey(func(*Vitals) {}).Expiry
		_, now := s.Clock()
		require.Equal(t, []any{MassEnd, len(all)}, []any{x.By, x.Services})
		require.Greater(t, x.Until, now)
		require.Less(t, x.Since, now)
		until(t, "it is over", func() bool { return s.Survey(func(*Vitals) {}).Expiry.By == NotHeld })
		_, now = s.Clock()
		require.GreaterOrEqual(t, now, x.Until-int64(Tick))
	})
}

func TestASurveyCountsTheHeartbeatsOfAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("a")
		s.register("b")
		stop := s.beats(time.Second, "a", "b")
		for _, after := range []time.Duration{20 * time.Second, 5 * time.Minute} {
			time.Sleep(after + time.Millisecond)
			synctest.Wait()
			got := s.Survey(func(*Vitals) {})
			require.InDelta(t, 120, got.Beats, 8, after)
			require.EqualValues(t, 60, got.Expected)
		}
		stop()
		time.Sleep(time.Minute + 2*time.Second)
		require.Zero(t, s.Survey(func(*Vitals) {}).Beats)
	})
}
