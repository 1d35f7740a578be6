package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	sdk "github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

func beatOf(v *mep.Service) mp1.HeartbeatOf {
	return mp1.HeartbeatOf{AppInstanceID: v.App, SerInstanceID: v.ID}
}

// confirmed sends heartbeats in one request, and again those that the store was too slow for,
// which were answered 503: again is how many these were.
func confirmed(t *testing.T, c *sdk.Client, beats []mp1.HeartbeatOf) (results []sdk.BeatResult, again int) {
	t.Helper()
	results, err := c.Heartbeats(t.Context(), beats)
	require.NoError(t, err)
	wait.Until(t, "the store has confirmed", func() bool {
		var late []int
		var same []mp1.HeartbeatOf
		for i, r := range results {
			if errors.Is(r.Err, sdk.ErrUnavailable) {
				late, same = append(late, i), append(same, beats[i])
			}
		}
		if len(late) == 0 {
			return true
		}
		again += len(late)
		more, err := c.Heartbeats(t.Context(), same)
		require.NoError(t, err)
		for i, r := range more {
			results[late[i]] = r
		}
		return false
	})
	return results, again
}

// A batch of a thousand is heard but for those elements that may not be, over restarts and kill -9.
func TestABatchOfAThousandIsHeardButForThoseThatMayNotBe(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=5")
	c, err := sdk.New(sdk.Options{BaseURL: s.URL, HTTPClient: &http.Client{Timeout: 20 * time.Second}})
	require.NoError(t, err)
	suspended := s.Register("app-0", "suspended", 1)
	var living []mp1.HeartbeatOf
	var mu sync.Mutex
	var work sync.WaitGroup
	for a := range 10 {
		work.Go(func() {
			for i := range 100 {
				v, err := s.TryRegister(fmt.Sprint("app-", a), fmt.Sprint("s", i), 60)
				for try := 0; err != nil && strings.Contains(err.Error(), "answered 503") && try < 20; try++ { // as it asks for
					time.Sleep(time.Second)
					v, err = s.TryRegister(fmt.Sprint("app-", a), fmt.Sprint("s", i), 60)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				living = append(living, beatOf(v))
				mu.Unlock()
			}
		})
	}
	work.Wait()
	require.Len(t, living, 1000)
	drained := s.Register("app-1", "drained", 60)
	s.Want(200, "PUT", drainOf(drained.ID), `{"reason":"disk"}`)
	wait.Until(t, "SUSPENDED", func() bool { return suspended.State() == "SUSPENDED" })
	raised := s.Register("app-2", "raised", 1)

	s.Kill()
	s.Env = []string{"MEP_LIVENESS_MIN_INTERVAL=7s", "MEP_LIVENESS_ALLOWED_MISSES=5"}
	s.Restart()
	beats := append([]mp1.HeartbeatOf{{AppInstanceID: "app-3", SerInstanceID: drained.ID}, {AppInstanceID: "app-1", SerInstanceID: "unknown"},
		beatOf(drained), beatOf(suspended), beatOf(raised)}, living[5:]...)
	results, again := confirmed(t, c, beats)
	require.ErrorIs(t, results[0].Err, sdk.ErrForbidden)
	require.ErrorIs(t, results[1].Err, sdk.ErrNotFound)
	require.ErrorIs(t, results[2].Err, sdk.ErrConflict)
	require.ErrorContains(t, results[2].Err, "disk")
	require.NoError(t, results[3].Err)
	require.Equal(t, "ACTIVE", suspended.State())
	require.NoError(t, results[4].Err)
	require.Equal(t, 7, results[4].NewInterval)
	for i, r := range results[5:] {
		require.NoError(t, r.Err, i)
		require.Zero(t, r.NewInterval)
	}
	for code, n := range map[string]int{"403": 1, "404": 1, "409": 1, "200": 1, "204": 996, "503": again} {
		require.Equal(t, n, s.Metric(fmt.Sprintf("mep_batched_heartbeats_total{code=%q}", code)), code)
	}

	// Killed in the middle of one, the platform knows all of them after its restart.
	ctx, hangUp := context.WithCancel(t.Context())
	sent := make(chan struct{}, 100)
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Heartbeats(ctx, living); err == nil {
					sent <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-sent
	}
	s.Kill()
	hangUp()
	go func() {
		for range sent { //nolint:revive // whoever still wants to say that one was answered
		}
	}()
	work.Wait()
	close(sent)
	s.Restart()
	results, _ = confirmed(t, c, living)
	for i, r := range results {
		require.NoError(t, r.Err, i)
	}
	require.Zero(t, s.Metric(`mep_transactions_total{kind="CLAIM"}`))
}
