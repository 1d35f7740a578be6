package main

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// alive is what is alive in this process, in bytes: twice, for what has a finalizer goes the second time.
func alive() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// What is held of a service in the first minute after its registration, in all parts of the server and
// in the embedded store: a kilobyte more is 100 MB of 100,000 services.
func TestAServiceTakesLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	at, err := inProcess()
	require.NoError(t, err)
	register := func(kind string, n int) {
		var wg sync.WaitGroup
		for part := range 8 {
			wg.Go(func() {
				for i := range n / 8 {
					registeredBy(t, at, fmt.Sprint("size-", kind, part), fmt.Sprint(kind, part, "-", i))
				}
			})
		}
		wg.Wait()
		require.False(t, t.Failed())
	}
	register("first", 640) // fills what holds so many and no more
	const many = 800
	before := alive()
	register("then", many)
	size := (alive() - before) / many
	t.Logf("a service takes %.0f bytes", size)
	require.LessOrEqual(t, size, float64(mostOfAService))
	require.Greater(t, size, 1000., "it is known")
}

// mostOfAService is the bound of the test above: it took 5.3 to 6.2 kB when it was written.
const mostOfAService = 9_500
