package servicecenter

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

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/test/proxy"
)

func TestACallWithoutAnAnswerIsMadeAgainAndNoOther(t *testing.T) {
	silent := errors.New("no answer")
	for name, tt := range map[string]struct {
		free     spares
		takes    []time.Duration // of each attempt
		errs     []error
		made     int32
		err      error
		at       time.Duration
		wasAgain bool
	}{
		"quick":                 {make(spares, 9), []time.Duration{time.Millisecond}, []error{nil}, 1, nil, time.Millisecond, false},
		"the first is silent":   {make(spares, 9), []time.Duration{time.Hour, time.Millisecond}, []error{nil, nil}, 2, nil, 201 * time.Millisecond, true},
		"two are silent":        {make(spares, 9), []time.Duration{time.Hour, time.Hour, 0}, []error{nil, nil, nil}, 3, nil, 400 * time.Millisecond, true},
		"five are silent":       {make(spares, 9), []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, 0}, make([]error, mostAttempts), 6, nil, time.Second, true},
		"all are silent":        {make(spares, 9), slices.Repeat([]time.Duration{time.Hour}, mostAttempts), make([]error, mostAttempts), 6, context.DeadlineExceeded, 2 * time.Second, true},
		"one endpoint":          {nil, []time.Duration{time.Second}, []error{nil}, 1, nil, time.Second, false},
		"no permit is left":     {make(spares), []time.Duration{time.Second}, []error{nil}, 1, nil, time.Second, false},
		"a definite error":      {make(spares, 9), []time.Duration{time.Hour, 0}, []error{nil, rpctypes.ErrNoSpace}, 2, rpctypes.ErrNoSpace, 200 * time.Millisecond, true},
		"an error is no answer": {make(spares, 9), []time.Duration{300 * time.Millisecond, 150 * time.Millisecond}, []error{silent, nil}, 2, nil, 350 * time.Millisecond, true},
		"an early error":        {make(spares, 9), []time.Duration{time.Millisecond}, []error{silent}, 1, silent, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
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

// With one member of two silent nothing fails, and a transaction that was sent twice
// and refused is not taken for one that was not carried out.
func TestASilentMemberKeepsNoCallWaiting(t *testing.T) {
	t.Parallel()
	_, endpoint := listening(t, plain)
	quiet, good := proxy.Start(t, endpoint[len("http://"):]), proxy.Start(t, endpoint[len("http://"):])
	c, err := open(t, conf.Store{Endpoints: []string{"http://" + quiet.Addr, "http://" + good.Addr}})
	require.NoError(t, err)
	s := storeOf(t, c)
	r := registeredIn(t, s, "app")
	for range 4 { // both connections are in use
		_, err = s.Pulse(t.Context())
		require.NoError(t, err)
	}
	quiet.Set(proxy.HalfDown) // requests arrive, answers do not
	unsure := 0
	snap, err := s.Read(t.Context(), r.ID)
	require.NoError(t, err)
	for range 12 {
		txn := heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: snap.At, Record: snap.Record, RecordOp: heartbeat.Put}
		txn.Record.Seq++
		switch _, err := s.Commit(t.Context(), &txn); {
		case err == nil:
		case errors.Is(err, errUnsure):
			unsure++
		default:
			t.Fatal(err)
		}
		now, err := s.Read(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, snap.Record.Seq+1, now.Record.Seq, "carried out once, whatever was answered")
		snap = now
	}
	for range 4 {
		_, err = s.Pulse(t.Context())
		require.NoError(t, err)
		_, err = s.Grant(t.Context(), 10)
		require.NoError(t, err)
	}
	require.Positive(t, unsure)
}
