package plugins

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// flip is that an instance changed its state.
func flip(id string) *Event {
	return &Event{ID: heartbeat.ID(id), Change: heartbeat.StateChanged, From: heartbeat.Active, State: heartbeat.Suspended}
}

// untils are until when changes at some moments are put off.
func untils(f *Flaps, at ...Instant) (out []Instant) {
	for _, t := range at {
		out = append(out, f.See(flip("i"), t))
	}
	return out
}

const minute = time.Minute

func TestMoreChangesThanMayBeArePutOffUntilAPeriodIsOver(t *testing.T) {
	f := NewFlaps(2, 10*minute)
	require.Equal(t, []Instant{0, 0, 13 * minute, 13 * minute, 13 * minute}, untils(f, minute, 2*minute, 3*minute, 11*minute, 12*minute))
	require.Equal(t, []Instant{24 * minute}, untils(f, 14*minute), "it goes on, and the next are told a period later")
	is, flaps := f.Of("i", 23*minute)
	require.True(t, flaps)
	require.Equal(t, Flapping{Changes: 6, Until: 24 * minute}, is, "all since it began, those that made it flap included")
	require.Equal(t, 1, f.Count(23*minute))
	require.Zero(t, f.Count(24*minute))
	require.Equal(t, []Instant{0, 0, 45 * minute}, untils(f, 26*minute, 34*minute, 35*minute), "it had calmed down: these count anew")
	_, flaps = f.Of("other", 35*minute)
	require.False(t, flaps)
}

func TestWhoChangesNoMoreThanMayBeIsNeverPutOff(t *testing.T) {
	f := NewFlaps(3, 10*minute)
	for i := range 1000 {
		require.Zero(t, f.See(flip("i"), Instant(i)*10*minute/3+1), i)
	}
	off := NewFlaps(0, 10*minute)
	for i := range 1000 {
		require.Zero(t, off.See(flip("i"), Instant(i)), "everything is told at once")
	}
	off.Resume("i", false, 1)
	require.Empty(t, off.instances)
}

// Consumers must not wait to be told that a service is gone, is there, or is not to be used for
// its administrator says so.
func TestWhatIsNeverPutOff(t *testing.T) {
	flapping := func() *Flaps {
		f := NewFlaps(1, 10*minute)
		require.Equal(t, []Instant{0, 12 * minute}, untils(f, minute, 2*minute))
		return f
	}
	for name, e := range map[string]*Event{
		"it comes":       {ID: "i", Change: heartbeat.Added, State: heartbeat.Active},
		"it goes":        {ID: "i", Change: heartbeat.Removed, State: heartbeat.Active},
		"it is drained":  {ID: "i", Change: heartbeat.StateChanged, From: heartbeat.Active, State: heartbeat.Drained},
		"and given back": {ID: "i", Change: heartbeat.StateChanged, From: heartbeat.Drained, State: heartbeat.Suspended},
		"its reason":     {ID: "i", Change: heartbeat.CauseChanged, State: heartbeat.Inactive},
		"a termination":  {ID: "i", Termination: &Termination{}},
	} {
		f := flapping()
		require.Zero(t, f.See(e, 3*minute), name)
		again := f.See(flip("i"), 4*minute)
		require.Equal(t, e.Change == heartbeat.Removed, again == 0, "%s: what was removed is another one when it comes again", name)
	}
	f := flapping()
	attributes := &Event{ID: "i", Change: heartbeat.AttributesChanged, From: heartbeat.Drained, State: heartbeat.Drained}
	require.Zero(t, f.See(attributes, 3*minute))
	require.Equal(t, 14*minute, f.See(attributes, 4*minute), "an application changes its attributes while it is drained")
}

// However often an application changes its attributes, consumers are told of its death at once.
func TestAttributesDoNotPutOffTheState(t *testing.T) {
	f := NewFlaps(2, 10*minute)
	attributes := &Event{ID: "i", Change: heartbeat.AttributesChanged, State: heartbeat.Active}
	for i := range 20 {
		require.Equal(t, i >= 2, f.See(attributes, minute+Instant(i)*time.Second) != 0)
	}
	require.Equal(t, []Instant{0, 0, 14 * minute}, untils(f, 2*minute, 3*minute, 4*minute))
	is, flaps := f.Of("i", 5*minute)
	require.True(t, flaps)
	require.Equal(t, Flapping{Changes: 23, Until: 14 * minute}, is)
	require.Equal(t, 1, f.Count(5*minute), "it is one instance")
	f.See(&Event{ID: "i", Change: heartbeat.Removed}, 6*minute)
	require.Empty(t, f.instances)
}

// Of an instance that another process put off only that is known, and nothing that is
// known better is replaced by it.
func TestAnInstanceFlapsOnInAnotherProcess(t *testing.T) {
	f := NewFlaps(2, 10*minute)
	require.Equal(t, []Instant{0}, untils(f, -2*time.Second), "what the outbox still has of it")
	f.Resume("i", false, minute)
	require.Equal(t, []Instant{11 * minute, 11 * minute}, untils(f, 2*minute, 3*minute))
	f.Resume("i", false, 9*minute)
	require.Equal(t, []Instant{11 * minute}, untils(f, 10*minute))
	require.Equal(t, []Instant{21*minute + time.Second}, untils(f, 11*minute+time.Second), "it goes on")
	f.Reset()
	require.Equal(t, []Instant{0}, untils(f, 10*minute))
}

// Moments before a process began are below 0, and are judged as any other.
func TestWhatHappenedBeforeTheProcessIsJudged(t *testing.T) {
	f := NewFlaps(2, 10*minute)
	require.Equal(t, []Instant{0, 0, 7 * minute, 7 * minute}, untils(f, -5*minute, -4*minute, -3*minute, minute))
	is, flaps := f.Of("i", minute)
	require.True(t, flaps)
	require.Equal(t, Flapping{Changes: 4, Until: 7 * minute}, is)
	calm := NewFlaps(2, minute)
	require.Equal(t, []Instant{0, 0, 0, 0, minute + 5}, untils(calm, -9*minute, -5*minute, 1, 3, 5))
	is, _ = calm.Of("i", 6)
	require.Equal(t, 3, is.Changes, "those before it calmed down are not counted")
}

// Within any period no more changes are told at once than may be, beside them the
// newest that was put off, and every change is told by a period after it at the latest, itself or by a newer one.
func TestOfAFlappingInstanceNoMoreIsToldThanPromised(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		most, period := 1+r.IntN(7), 10*minute
		f := NewFlaps(most, period)
		var told []Instant // when something was told
		now, due, putOff := minute, Instant(0), 0
		for range 400 {
			now += time.Duration(r.ExpFloat64() * float64(period) / float64(1+r.IntN(20)))
			if due != 0 && due <= now {
				told, due = append(told, due), 0
			}
			until := f.See(flip("i"), now)
			switch {
			case until == 0:
				require.Zero(t, due, "seed %d: nothing overtakes what is put off", seed)
				told = append(told, now)
			default:
				putOff++
				require.True(t, until > now && until <= now+period, "seed %d: %s is put off until %s", seed, now, until)
				require.True(t, due == 0 || due == until, "seed %d: what is put off is not put off again", seed)
				due = until
			}
		}
		for i, from := range told {
			n := 0
			for _, at := range told[i:] {
				if at-from < period {
					n++
				}
			}
			require.LessOrEqual(t, n, most+1, "seed %d: told within a period", seed)
		}
		require.NotZero(t, putOff, "seed %d", seed)
	}
}

// What is remembered is bounded, and forgotten when it is over, a little with each change.
func TestWhatIsRememberedOfFlappingIsBounded(t *testing.T) {
	f := NewFlaps(1, 10*minute)
	for i := range maxFlapInstances + 10 {
		f.See(flip(fmt.Sprint(i)), minute)
	}
	require.Len(t, f.instances, maxFlapInstances)
	require.Zero(t, f.See(flip("late"), 2*minute))
	require.Zero(t, f.See(flip("late"), 3*minute), "there is no room: it is told at once")
	for i := range 2 * maxFlapInstances {
		f.See(flip("one"), 12*minute+Instant(i)*time.Millisecond)
	}
	require.Len(t, f.instances, 1)
	require.LessOrEqual(t, len(f.forgets), 2)
	require.NotZero(t, f.See(flip("one"), 14*minute))
}
