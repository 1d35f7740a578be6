package plugins

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAbsencesAreRememberedForASecondAndBounded(t *testing.T) {
	now := AbsenceTTL
	a := NewAbsences(func() (Instant, int64) { return now, 0 }, 1)
	require.False(t, a.Recent("a"))
	a.Note("a")
	now += AbsenceTTL
	require.True(t, a.Recent("a"))
	now++
	require.False(t, a.Recent("a"))
	require.NotContains(t, a.at, "a", "nor kept when it is over")

	a.Note("b")
	a.Forget("b")
	require.False(t, a.Recent("b"))

	for i := range 3*maxAbsences - 1 {
		a.Note(strconv.Itoa(i))
		require.True(t, a.Recent(strconv.Itoa(i)))
		require.LessOrEqual(t, len(a.at), maxAbsences)
	}
	require.Greater(t, len(a.at), maxAbsences/2, "not forgotten before it is too much")
}
