package main

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// alive is what is alive in this process, in bytes, once it becomes no less: what a sweep holds of what
// was just written goes when that is compared.
func alive(t *testing.T) float64 {
	least, same := heapNow(), 0
	require.Eventually(t, func() bool {
		now := heapNow()
		if same++; now < 0.99*least {
			same = 0
		}
		least = min(least, now)
		return same == 10
	}, time.Minute, 50*time.Millisecond)
	return least
}

// heapNow is what a collection leaves: the second one, for what has a finalizer goes then.
func heapNow() float64 {
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
	before := alive(t)
	register("then", many)
	size := (alive(t) - before) / many
	t.Logf("a service takes %.0f bytes", size)
	require.LessOrEqual(t, size, float64(mostOfAService))
	require.Greater(t, size, 1000., "it is known")
}

// mostOfAService is the bound of the test above: it took 4.2 to 4.6 kB when it was written.
const mostOfAService = 8_000
