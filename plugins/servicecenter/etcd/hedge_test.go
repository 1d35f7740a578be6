package etcd

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

func TestACallWithoutAnAnswerIsMadeAgainAndNoOther(t *testing.T) {
	silent := errors.New("no answer")
	for name, tt := range map[string]struct {
		free     hedgePermits
		takes    []time.Duration // of each attempt
		errs     []error
		made     int32
		err      error
		at       time.Duration
		wasAgain bool
	}{
		"quick":                 {make(hedgePermits, 9), []time.Duration{time.Millisecond}, []error{nil}, 1, nil, time.Millisecond, false},
		"the first is silent":   {make(hedgePermits, 9), []time.Duration{time.Hour, time.Millisecond}, []error{nil, nil}, 2, nil, 201 * time.Millisecond, true},
		"two are silent":        {make(hedgePermits, 9), []time.Duration{time.Hour, time.Hour, 0}, []error{nil, nil, nil}, 3, nil, 400 * time.Millisecond, true},
		"five are silent":       {make(hedgePermits, 9), []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, 0}, make([]error, maxAttempts), 6, nil, time.Second, true},
		"all are silent":        {make(hedgePermits, 9), slices.Repeat([]time.Duration{time.Hour}, maxAttempts), make([]error, maxAttempts), 6, context.DeadlineExceeded, 2 * time.Second, true},
		"one endpoint":          {nil, []time.Duration{time.Second}, []error{nil}, 1, nil, time.Second, false},
		"no permit is left":     {make(hedgePermits), []time.Duration{time.Second}, []error{nil}, 1, nil, time.Second, false},
		"a definite error":      {make(hedgePermits, 9), []time.Duration{time.Hour, 0}, []error{nil, rpctypes.ErrNoSpace}, 2, rpctypes.ErrNoSpace, 200 * time.Millisecond, true},
		"an error is no answer": {make(hedgePermits, 9), []time.Duration{300 * time.Millisecond, 150 * time.Millisecond}, []error{silent, nil}, 2, nil, 350 * time.Millisecond, true},
		"an early error":        {make(hedgePermits, 9), []time.Duration{time.Millisecond}, []error{silent}, 1, silent, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), CallTimeout)
				defer cancel()
				var made atomic.Int32
				began := time.Now()
				_, again, err := hedged(ctx, tt.free, func(ctx context.Context) (int, error) {
					n := made.Add(1) - 1
					select {
					case <-time.After(tt.takes[n]):
						return 0, tt.errs[n]
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				})
				require.Equal(t, tt.at, time.Since(began))
				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.made, made.Load())
				require.Equal(t, tt.wasAgain, again)
				synctest.Wait()
				require.Empty(t, tt.free, "every permit is given back")
			})
		})
	}
}
