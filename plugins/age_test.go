package plugins

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"
)

const (
	day   = 24 * time.Hour
	years = 6 * 365 * day
)

func TestAStepOfTheWallClockMakesNothingOlder(t *testing.T) {
	const made = int64(years) // by the clock of whoever made it
	for name, step := range map[string]time.Duration{"right": 0, "a day ahead": day, "a day behind": -day, "six years ahead": years, "six years behind": -years} {
		known := 5 * time.Second
		seen := AgeOf(known, made+int64(step), made, known-time.Millisecond)
		require.LessOrEqual(t, seen.Before, time.Millisecond, name, ": everything older was known")
		require.False(t, seen.Expired(known+day-2*time.Millisecond, day), name)
		require.True(t, seen.Expired(known+day, day), name)

		listed := AgeOf(known, made+int64(step), made, 0)
		require.GreaterOrEqual(t, listed.Before, time.Duration(0), name)
		require.False(t, listed.Expired(known, day), name, ": the wall clock alone ends nothing")
		require.False(t, listed.Expired(known+time.Hour-1, day), name)
		require.Equal(t, step >= day, listed.Expired(known+time.Hour, day), name)
		require.True(t, listed.Expired(known+day, day), name, ": what was observed for all of it is over, whatever the wall clock says")
		require.False(t, listed.Expired(known+59*time.Second, time.Minute), name, ": a shorter time is observed in full")
		require.True(t, listed.Expired(known+time.Minute, time.Minute), name)
	}
}

func TestAnAgeThatWasKnownGoesOn(t *testing.T) {
	a := AgeOf(1, int64(20*time.Hour), 0, 0)
	require.Equal(t, 20*time.Hour, a.Before)
	require.Equal(t, 4*time.Hour, a.Remaining(1, day))
	require.Equal(t, time.Hour, a.Remaining(1+3*time.Hour, day))
	require.False(t, a.Expired(4*time.Hour, day))
	require.True(t, a.Expired(1+4*time.Hour, day))
}

func TestNoStampOverflows(t *testing.T) {
	for _, made := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
		for _, wall := range []int64{math.MinInt64, 0, math.MaxInt64} {
			for _, since := range []Instant{0, 1, math.MaxInt64} {
				a := AgeOf(7, wall, made, since)
				require.GreaterOrEqual(t, a.Before, time.Duration(0))
				require.GreaterOrEqual(t, a.Remaining(7, day), time.Hour)
				require.True(t, a.Expired(7+day, day))
			}
		}
	}
	require.Equal(t, time.Hour, AgeOf(7, math.MaxInt64, math.MinInt64, 0).Remaining(7, day), "centuries old")
}

func TestTheLongestTimesDoNotOverflow(t *testing.T) {
	for _, giveUp := range []time.Duration{math.MaxInt64, math.MaxInt64 - OutboxAge + 1, LongestAge} {
		for _, a := range []Age{AgeOf(1, int64(years), 0, 1), AgeOf(1, math.MaxInt64, math.MinInt64, 1)} {
			for _, now := range []Instant{2, 2 * time.Hour, years} {
				require.False(t, Erasable(MaybePending, a, now, giveUp), "%s", giveUp)
				require.False(t, GivenUp(a, now, giveUp, true), "%s", giveUp)
			}
		}
	}
}

func TestNothingIsGivenUpThatWasNotAttempted(t *testing.T) {
	old := AgeOf(1, int64(years), 0, 0)
	later := years
	require.False(t, GivenUp(old, later, day, false), "however old")
	require.True(t, GivenUp(old, later, day, true))
	require.False(t, GivenUp(old, 2, day, true), "seen to be old by the wall clock only")
}

func TestWhatSomebodyWaitsForIsNotErasedForItsAge(t *testing.T) {
	a := AgeOf(1, int64(years), 0, 0)
	at := func(d time.Duration) Instant { return 1 + d }
	require.False(t, Erasable(StillPending, a, at(years), day))
	require.False(t, Erasable(NotPending, a, at(OutboxAge-1), day))
	require.True(t, Erasable(NotPending, a, at(OutboxAge), day))
	require.False(t, Erasable(MaybePending, a, at(time.Hour-1), day))
	require.True(t, Erasable(MaybePending, a, at(time.Hour), day), "nothing is kept for ever because it cannot be read")
	live := AgeOf(1, int64(years), 0, 1)
	require.False(t, Erasable(MaybePending, live, at(day+OutboxAge-1), day))
	require.True(t, Erasable(MaybePending, live, at(day+OutboxAge), day))
	require.False(t, Erasable(MaybePending+2, a, at(years), day), "what is not known is kept")
}

func TestAgesAreKeptFromListToList(t *testing.T) {
	var ages Ages
	first := ages.Listed(100, int64(day), map[string]int64{"old": 0, "ahead": int64(years)})
	require.Equal(t, map[string]Age{"old": {Since: 100, Before: day}, "ahead": {Since: 100}}, first)
	second := ages.Listed(200, int64(years), map[string]int64{"old": 0, "new": 0})
	require.Equal(t, map[string]Age{"old": {Since: 100, Before: day}, "new": {Since: 200, Before: 100}}, second,
		"what the list before did not have was made since")
	third := ages.Listed(300, int64(years), map[string]int64{"ahead": int64(years)})
	require.Equal(t, map[string]Age{"ahead": {Since: 300}}, third, "and nothing is kept of what was not listed")
}

// The names are keys of the outbox, of a hundred bytes each: 20,000 registrations have as many for a minute.
func TestAgesKeepNoNames(t *testing.T) {
	var ages Ages
	name := strings.Clone("/mep/obx/" + strings.Repeat("0", 64) + "/0000000000000001")
	kept := weak.Make(unsafe.StringData(name))
	require.Len(t, ages.Listed(1, 1, map[string]int64{name: 1}), 1)
	runtime.GC()
	require.NotNil(t, kept.Value(), "while somebody has it")
	require.Equal(t, map[string]Age{name: {Since: 1, Before: 0}}, ages.Listed(2, 1, map[string]int64{name: 1}))
	runtime.GC()
	require.Nil(t, kept.Value())
	require.Len(t, ages.byName, 1)
}
