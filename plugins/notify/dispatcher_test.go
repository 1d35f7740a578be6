package notify

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const here = "http://127.0.0.1:1/"

// hang answers nothing until the attempt is over.
func hang(ctx context.Context, _ string) result {
	t := time.NewTimer(10 * time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return result{outcome: timedOut}
}

func TestAHangingSubscriberDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &subscribers{answer: func(ctx context.Context, url string) result {
			if url == here+"0" {
				return hang(ctx, url)
			}
			return result{}
		}}
		s := newFakeStore()
		r := newReplica(t, s, to, "a", true)
		for i := range 100 {
			r.subscribe(t, fmt.Sprint("app", i), fmt.Sprint(here, i))
		}
		synctest.Wait()
		for n := range 5 {
			at := time.Now()
			s.commit("x", "S")
			synctest.Wait()
			for i := 1; i < 100; i++ {
				got := to.of(fmt.Sprint(here, i))
				require.Len(t, got, n+1)
				require.Equal(t, at, got[n].at, "not a moment later than alone")
			}
			time.Sleep(time.Second)
		}
		require.Len(t, to.of(here+"0"), 1, "one request in flight")
	})
}

func TestOneReplicaSendsAndTheOtherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		time.Sleep(2 * time.Second)
		for i := range 20 {
			a.subscribe(t, "app", fmt.Sprint(here, i))
		}
		time.Sleep(2 * time.Second)
		s.commit("x", "S")
		time.Sleep(time.Second)
		for i := range 20 {
			got := to.of(fmt.Sprint(here, i))
			require.Len(t, got, 1, "sent once, by the replica that has the lock")
			require.Equal(t, "a", got[0].by, "the replica that was asked takes it")
		}
		a.link.setCut(true)
		died := time.Now()
		s.commit("x", "A")
		time.Sleep(maxHandover)
		for i := range 20 {
			got := to.of(fmt.Sprint(here, i))
			require.Len(t, got, 2)
			require.Equal(t, "b", got[1].by)
			require.Less(t, got[1].at.Sub(died), maxHandover)
		}
		// The other one comes back and finds that it has no lock any more.
		a.link.setCut(false)
		s.commit("x", "S")
		time.Sleep(time.Minute)
		for i := range 20 {
			got := to.of(fmt.Sprint(here, i))
			require.Len(t, got, 3)
			require.Equal(t, "b", got[2].by)
		}
		b.stop()
		s.commit("x", "A")
		time.Sleep(time.Second)
		for i := range 20 {
			require.Len(t, to.of(fmt.Sprint(here, i)), 4, "a stopped replica hands over at once")
		}
	})
}

// A replica that does not reach the store cannot know whether it still has the lock.
func TestAReplicaThatIsCutOffSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		to.answer = func(context.Context, string) result { return result{outcome: unreachable} }
		a := newReplica(t, s, to, "a", false)
		time.Sleep(2 * time.Second)
		a.subscribe(t, "app", here)
		s.commit("x", "S")
		time.Sleep(500 * time.Millisecond)
		require.Len(t, to.of(here), 1)
		a.link.setCut(true)
		cut := time.Now()
		time.Sleep(10 * time.Minute)
		for _, p := range to.of(here) {
			require.Less(t, p.at.Sub(cut), trustTime)
		}
		n := len(to.of(here))
		to.answer = nil
		a.link.setCut(false)
		time.Sleep(10 * time.Second)
		require.Len(t, to.of(here), n+1, "tried at once when it has the lock again")
	})
}

func TestAfterADeletionIsAnsweredNoPostStarts(t *testing.T) {
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			to, s := &subscribers{}, newFakeStore()
			a := newReplica(t, s, to, "a", alone)
			other := a
			if !alone {
				other = newReplica(t, s, to, "b", false)
			}
			time.Sleep(2 * time.Second)
			for i, answer := range []func(context.Context, string) result{hang,
				func(context.Context, string) result { return result{outcome: failed} },
				func(context.Context, string) result { time.Sleep(900 * time.Millisecond); return result{} }} {
				url := fmt.Sprint(here, i)
				id := a.subscribe(t, "app", url)
				time.Sleep(time.Second)
				to.answer = answer
				for range 3 {
					s.commit("x", "S")
					time.Sleep(500 * time.Millisecond)
				}
				if !alone {
					// the one that is asked to delete it is not the one that sends
					_, err := other.Subscription(t.Context(), "app", id)
					require.NoError(t, err)
				}
				require.NoError(t, other.Unsubscribe(t.Context(), "app", id))
				require.Zero(t, to.inFlight.Load(), "none is under way either")
				n := len(to.of(url))
				require.NotZero(t, n)
				_, err := other.Subscription(t.Context(), "app", id)
				require.ErrorIs(t, err, server.ErrNoSubscription)
				s.commit("x", "A")
				time.Sleep(time.Hour)
				require.Len(t, to.of(url), n)
				require.ErrorIs(t, other.Unsubscribe(t.Context(), "app", id), server.ErrNoSubscription)
			}
		})
	}
}

// A replica that cannot reach the store holds a lock: the deletion is answered when that
// replica must have stopped sending.
func TestADeletionWaitsForAReplicaThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		time.Sleep(2 * time.Second)
		id := a.subscribe(t, "app", here)
		time.Sleep(time.Second)
		to.answer = func(context.Context, string) result { return result{outcome: failed} }
		s.commit("x", "S")
		time.Sleep(10 * time.Millisecond)
		a.link.setCut(true)
		began := time.Now()
		require.NoError(t, b.Unsubscribe(t.Context(), "app", id))
		require.Greater(t, time.Since(began), 3*time.Second)
		answered := time.Now()
		time.Sleep(time.Hour)
		for _, p := range to.of(here) {
			require.False(t, p.at.After(answered))
		}
	})
}

func TestStoppingLetsAPostFinishAndLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		seen := &counted{}
		a.observer = seen
		a.subscribe(t, "app", here+"slow")
		a.subscribe(t, "app", here+"hangs")
		synctest.Wait()
		to.answer = func(ctx context.Context, url string) result {
			if url == here+"hangs" {
				return hang(ctx, url)
			}
			time.Sleep(stopGrace / 2)
			return result{}
		}
		s.commit("x", "S")
		synctest.Wait()
		began := time.Now()
		a.stop()
		require.Equal(t, stopGrace, time.Since(began))
		require.EqualValues(t, 1, seen.attempts.Load(), "what was cut off says nothing about the subscriber")
		to.answer = nil
		newReplica(t, s, to, "b", true)
		time.Sleep(time.Second)
		slow, hung := to.of(here+"slow"), to.of(here+"hangs")
		require.Len(t, hung, 2)
		require.Equal(t, hung[0].id, hung[1].id)
		require.GreaterOrEqual(t, len(slow), 1)
		for _, p := range slow {
			require.Equal(t, slow[0].id, p.id)
		}
	})
}

// only is the oldest subscription.
func (r *replica) only() string {
	id, first := "", heartbeat.Revision(0)
	for _, en := range r.entries {
		if first == 0 || en.sub.At < first {
			id, first = en.sub.ID, en.sub.At
		}
	}
	return id
}

type counted struct {
	noObserver
	attempts atomic.Int64
}

func (c *counted) attempt(*plugins.Subscription, result, int, bool) { c.attempts.Add(1) }

// A worker whose lock is gone must not see the next lease and trust its lock again.
func TestADismissedWorkerIsHaltedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(t, newFakeStore(), &subscribers{}, "a", true)
		w := newWorker(&plugins.Subscription{ID: "x"}, newQueue(plugins.Cursor{}, giveUpAfter, nil, nil, nil), a.dispatcher)
		w.mu.Lock() // whoever halts it later must wait
		a.mu.Lock()
		go func() { w.mu.Unlock() }()
		a.stopWorker("x", &entry{worker: w})
		w.mu.Lock()
		require.True(t, w.halted)
		w.mu.Unlock()
		a.mu.Unlock()
		close(w.done)
	})
}

// A cursor that was written without an answer: nothing is sent again.
func TestALostAnswerOfACursorRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		a.store = &deaf{link: a.link}
		a.subscribe(t, "app", here)
		synctest.Wait()
		for n := range 3 {
			s.commit("x", "S")
			time.Sleep(5 * time.Second)
			require.Len(t, to.of(here), n+1)
		}
	})
}

// deaf is a store whose responses to writes of cursors are lost.
type deaf struct{ *link }

func (d *deaf) MoveCursor(ctx context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error) {
	_, _ = d.link.MoveCursor(ctx, id, c)
	return 0, errCut
}
