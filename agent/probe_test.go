package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestAProbeThatFailsHoldsTheHeartbeatsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		var sick atomic.Bool
		var asked atomic.Int32
		sick.Store(true)
		o := options(f, 2)
		o.Services[0].Probe = &Probe{Check: failingCheck(&sick, &asked), Interval: time.Second, Failures: 3}
		r := run(t, o)
		advance(time.Minute)
		require.Len(t, f.registrations(), 1, "nothing is registered before the application is well")
		require.Equal(t, "withheld", r.Status()[0].State)
		sick.Store(false)
		advance(time.Second)
		require.Len(t, f.registrations(), 2)
		mine := r.Status()[0].ID
		count := func() (n int) { return len(f.sent("PATCH", mine+"/liveness")) }
		advance(2 * interval)
		require.GreaterOrEqual(t, count(), 3)

		asked.Store(0)
		sick.Store(true)
		for r.Status()[0].State != StateWithheld {
			advance(100 * time.Millisecond)
		}
		require.EqualValues(t, 3, asked.Load(), "two failures are not three")
		n := count()
		advance(10 * interval)
		require.Equal(t, n, count())
		require.False(t, r.Ready())
		f.setState(mine, mp1.Suspended)
		sick.Store(false)
		advance(time.Second)
		require.Equal(t, n+1, count(), "at once")
		require.Equal(t, mp1.Active, f.registered()[mine].State)
		advance(2 * interval)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}

func failingCheck(sick *atomic.Bool, asked *atomic.Int32) func(context.Context) error {
	return func(context.Context) error {
		asked.Add(1)
		if sick.Load() {
			return errors.New("it is not well")
		}
		return nil
	}
}
