package datadir

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A start waits for the check: it takes memory for the pages that are open, and not for each one.
func TestPagesAreReadIntoMemoryThatIsUsedAgain(t *testing.T) {
	d, err := openDB(one(t, store(t), "snap/db"))
	require.NoError(t, err)
	defer d.close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = d.state()
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	made, used := after.TotalAlloc-before.TotalAlloc, d.inUse()
	t.Logf("%d bytes made for %d in use", made, used)
	require.Less(t, int64(made), used/2)
}

// What is known of terms is what the log says last of an entry.
func TestTheTermOfAnEntryIsTheOneThatTheLogSaysLast(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		l, want := &log{}, map[uint64]uint64{}
		term, at := uint64(1), uint64(1)
		for range r.IntN(60) {
			if r.IntN(5) == 0 {
				term++
				at -= min(at-1, r.Uint64N(4)) // a later leader replaces what was not committed
			}
			l.add(at, term)
			want[at] = term
			require.Equal(t, at, l.last)
			at++
		}
		for index := range uint64(70) {
			got, known := l.termOf(index)
			is, there := want[index]
			require.Equal(t, there, known, "seed %d, entry %d", seed, index)
			require.Equal(t, is, got, "seed %d, entry %d", seed, index)
		}
		require.LessOrEqual(t, len(l.terms), int(term))
	}
}
