package notify

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hangs lets every POST but those to here hang until it is cut off.
func hangs(ctx context.Context, url string) result {
	if url == here {
		return result{}
	}
	<-ctx.Done()
	return result{outcome: timedOut}
}

// An application's subscriptions end together: each waits a second for its consumer to
// answer, and none for another. Nor does anybody else's.
func TestHangingSubscriptionsEndTogether(t *testing.T) {
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, to := newFakeStore(), &subscribers{answer: hangs}
			a := newReplica(t, s, to, "a", alone)
			for i := range 70 {
				a.subscribe(t, "app", fmt.Sprint("http://hangs/", i))
			}
			other := a.subscribe(t, "other", here)
			time.Sleep(time.Minute)
			s.commit("x", "S")
			time.Sleep(100 * time.Millisecond)
			require.EqualValues(t, 70, to.inFlight.Load())
			began := time.Now()
			var all sync.WaitGroup
			for _, id := range (owned{a.registry}).Of("app") {
				all.Go(func() { assert.NoError(t, owned{a.registry}.Remove(t.Context(), "app", id)) })
			}
			synctest.Wait()
			require.NoError(t, a.Unsubscribe(t.Context(), "other", other))
			require.Less(t, time.Since(began), stopGrace, "another's waits for none of them")
			all.Wait()
			require.Less(t, time.Since(began), stopGrace+2*lockPoll)
			require.Zero(t, to.inFlight.Load(), "nobody sends to them any more")
			require.Empty(t, a.entries)
		})
	}
}
