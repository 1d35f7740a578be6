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
	"github.com/mec-liveness/mepserver/mp1"
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
		s := newShelf()
		r := newReplica(t, s, to, "a", true)
		for i := range 100 {
			r.subscribe(t, fmt.Sprint("app", i), fmt.Sprint(here, i))
		}
		synctest.Wait()
		for n := range 5 {
			at := time.Now()
			s.happen("x", "S")
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
		to, s := &subscribers{}, newShelf()
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		time.Sleep(2 * time.Second)
		for i := range 20 {
			a.subscribe(t, "app", fmt.Sprint(here, i))
		}
		time.Sleep(2 * time.Second)
		s.happen("x", "S")
		time.Sleep(time.Second)
		for i := range 20 {
			got := to.of(fmt.Sprint(here, i))
			require.Len(t, got, 1, "told once, by whoever has the lock")
			require.Equal(t, "a", got[0].by, "the replica that was asked takes it")
		}
		a.link.sever(true)
		died := time.Now()
		s.happen("x", "A")
		time.Sleep(handoverMax)
		for i := range 20 {
			got := to.of(fmt.Sprint(here, i))
			require.Len(t, got, 2)
			require.Equal(t, "b", got[1].by)
			require.Less(t, got[1].at.Sub(died), handoverMax)
		}
		// The other one comes back and finds that it has no lock any more.
		a.link.sever(false)
		s.happen("x", "S")
		time.Sleep(time.Minute)
		for i := range 20 {
			got := to.of(fmt.Sprint(here, i))
			require.Len(t, got, 3)
			require.Equal(t, "b", got[2].by)
		}
		b.stop()
		s.happen("x", "A")
		time.Sleep(time.Second)
		for i := range 20 {
			require.Len(t, to.of(fmt.Sprint(here, i)), 4, "a stopped replica hands over at once")
		}
	})
}

// A replica that does not reach the store cannot know whether it still has the lock.
func TestAReplicaThatIsCutOffSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newShelf()
		to.answer = func(context.Context, string) result { return result{outcome: unreachable} }
		a := newReplica(t, s, to, "a", false)
		time.Sleep(2 * time.Second)
		a.subscribe(t, "app", here)
		s.happen("x", "S")
		time.Sleep(500 * time.Millisecond)
		require.Len(t, to.of(here), 1)
		a.link.sever(true)
		cut := time.Now()
		time.Sleep(10 * time.Minute)
		for _, p := range to.of(here) {
			require.Less(t, p.at.Sub(cut), sure)
		}
		n := len(to.of(here))
		to.answer = nil
		a.link.sever(false)
		time.Sleep(10 * time.Second)
		require.Len(t, to.of(here), n+1, "tried at once when it has the lock again")
	})
}

func TestAfterADeletionIsAnsweredNoPostStarts(t *testing.T) {
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			to, s := &subscribers{}, newShelf()
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
					s.happen("x", "S")
					time.Sleep(500 * time.Millisecond)
				}
				if !alone {
					// the one that is asked to delete it is not the one that sends
					_, err := other.Subscription(t.Context(), "app", id)
					require.NoError(t, err)
				}
				require.NoError(t, other.Unsubscribe(t.Context(), "app", id))
				require.Zero(t, to.flying.Load(), "none is under way either")
				n := len(to.of(url))
				require.NotZero(t, n)
				_, err := other.Subscription(t.Context(), "app", id)
				require.ErrorIs(t, err, server.ErrNoSubscription)
				s.happen("x", "A")
				time.Sleep(time.Hour)
				require.Len(t, to.of(url), n)
				require.ErrorIs(t, other.Unsubscribe(t.Context(), "app", id), server.ErrNoSubscription)
			}
		})
	}
}

// A replica that is cut off holds a lock: the deletion is answered when it must have
// stopped.
func TestADeletionWaitsForAReplicaThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newShelf()
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		time.Sleep(2 * time.Second)
		id := a.subscribe(t, "app", here)
		time.Sleep(time.Second)
		to.answer = func(context.Context, string) result { return result{outcome: failed} }
		s.happen("x", "S")
		time.Sleep(10 * time.Millisecond)
		a.link.sever(true)
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
		to, s := &subscribers{}, newShelf()
		a := newReplica(t, s, to, "a", true)
		seen := &counted{}
		a.watch = seen
		a.subscribe(t, "app", here+"slow")
		a.subscribe(t, "app", here+"hangs")
		synctest.Wait()
		to.answer = func(ctx context.Context, url string) result {
			if url == here+"hangs" {
				return hang(ctx, url)
			}
			time.Sleep(linger / 2)
			return result{}
		}
		s.happen("x", "S")
		synctest.Wait()
		began := time.Now()
		a.stop()
		require.Equal(t, linger, time.Since(began))
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

func TestTheLimitHoldsHoweverManyAreOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(t, newShelf(), &subscribers{}, "a", true)
		a.most = 10
		done := make(chan error, 50)
		for range 50 {
			go func() {
				_, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
				done <- err
			}()
		}
		made := 0
		for range 50 {
			if err := <-done; err == nil {
				made++
			} else {
				require.ErrorIs(t, err, server.ErrSubscriptionLimit)
			}
		}
		require.Equal(t, 10, made)
		all, err := a.SubscriptionsOf(t.Context(), "app")
		require.NoError(t, err)
		require.Len(t, all, 10)
		a.subscribe(t, "another", here)
		require.NoError(t, a.Unsubscribe(t.Context(), "app", all[0].ID))
		a.subscribe(t, "app", here)
		require.Empty(t, a.reserved)
	})
}

// late is a store whose answer comes after its watch told of the subscription.
type late struct {
	*link
	between func()
}

func (l *late) Subscribe(ctx context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	at, err := l.link.Subscribe(ctx, s)
	synctest.Wait()
	if f := l.between; f != nil {
		l.between = nil
		f()
	}
	return at, err
}

func TestASubscriptionOnItsWayIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &late{link: newShelf().link()}
		a := start(t, l, l.link, &subscribers{}, "a", true)
		a.most = 2
		l.between = func() { a.subscribe(t, "app", here) }
		a.subscribe(t, "app", here)
		_, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
		require.ErrorIs(t, err, server.ErrSubscriptionLimit)
		require.Empty(t, a.reserved)
	})
}

func TestAForeignSubscriptionDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a, b := newReplica(t, s, &subscribers{}, "a", false), newReplica(t, s, &subscribers{}, "b", false)
		id := a.subscribe(t, "app", here)
		for _, r := range []*replica{a, b} {
			_, err := r.Subscription(t.Context(), "app", id)
			require.NoError(t, err, "the other asks the store")
			_, err = r.Subscription(t.Context(), "other", id)
			require.ErrorIs(t, err, server.ErrNoSubscription)
			require.ErrorIs(t, r.Unsubscribe(t.Context(), "other", id), server.ErrNoSubscription)
			all, err := r.SubscriptionsOf(t.Context(), "other")
			require.NoError(t, err)
			require.Empty(t, all)
		}
	})
}

// A new list replaces what was known, but nothing that came after it.
func TestAListThatIsReadAgainLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newShelf()
		a := newReplica(t, s, to, "a", true)
		id := a.subscribe(t, "app", here)
		s.happen("x", "S")
		synctest.Wait()
		require.Len(t, to.of(here), 1)
		s.mu.Lock()
		all, at := s.events, s.at
		s.mu.Unlock()
		a.mu.Lock()
		a.enter(&plugins.Subscription{ID: "new", Owner: "app", At: at + 1}) // made here after the list was read
		a.mu.Unlock()
		a.Load(all, at)
		_, err := a.Subscription(t.Context(), "app", "new")
		require.NoError(t, err)
		_, err = a.Subscription(t.Context(), "app", id) // erased elsewhere before it
		require.ErrorIs(t, err, server.ErrNoSubscription)
		time.Sleep(time.Minute)
		require.Len(t, to.of(here), 1)
	})
}

// What a restored store does not know never happened; what is sent then is not older
// than its cursor, though its revisions were used before.
func TestARestoredStoreIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newShelf()
		a := newReplica(t, s, to, "a", true)
		a.subscribe(t, "app", here)
		s.happen("x", "S")
		time.Sleep(time.Second)
		s.mu.Lock()
		at, cursor, backup := s.at, s.cursors[a.only()], s.events
		s.mu.Unlock()
		late := a.subscribe(t, "app", here+"late")
		for range 10 {
			s.happen("x", "A")
		}
		time.Sleep(time.Second)
		n := len(to.of(here))
		require.Greater(t, n, 1)

		s.mu.Lock()
		delete(s.subs, late)
		delete(s.cursors, late)
		s.at, s.cursors[a.only()], s.events = at, cursor, backup
		all := append([]plugins.OutboxWrite{{Kind: plugins.SubscriptionWritten, Name: a.only(), At: s.subs[a.only()].At, Subscription: s.subs[a.only()]}}, backup...)
		s.mu.Unlock()
		a.Load(all, at)
		_, err := a.Subscription(t.Context(), "app", late)
		require.ErrorIs(t, err, server.ErrNoSubscription)
		time.Sleep(time.Second)
		require.Len(t, to.of(here), n)
		s.happen("y", "S")
		time.Sleep(time.Second)
		require.Len(t, to.of(here), n+1, "an event at a revision that was used before")
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

// failing is a store that takes a subscription and does not say so, or is full.
type failing struct {
	*link
	err   error
	takes bool
}

func (f *failing) Subscribe(ctx context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	if f.takes {
		_, _ = f.link.Subscribe(ctx, s)
	}
	return 0, f.err
}

func TestASubscriptionIsAnsweredByWhatTheStoreHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{link: newShelf().link()}
		a := start(t, f, f.link, &subscribers{}, "a", true)
		for _, c := range []struct {
			err   error
			takes bool
			want  error
		}{
			{errCut, true, nil},
			{errCut, false, heartbeat.ErrUnavailable},
			{heartbeat.ErrFull, false, heartbeat.ErrFull},
		} {
			f.err, f.takes = c.err, c.takes
			s, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
			require.ErrorIs(t, err, c.want)
			if err == nil {
				_, err = a.Subscription(t.Context(), "app", s.ID)
				require.NoError(t, err)
			}
		}
		all, err := a.SubscriptionsOf(t.Context(), "app")
		require.NoError(t, err)
		require.Len(t, all, 1)
		a.link.sever(true)
		require.ErrorIs(t, a.Unsubscribe(t.Context(), "app", all[0].ID), heartbeat.ErrUnavailable)
		_, err = a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: "http://10.0.0.1"})
		var bad *mp1.Invalid
		require.ErrorAs(t, err, &bad, "an address that may not be called")
		require.Empty(t, a.reserved)
	})
}

// What the store had when it was asked may be erased, and seen to be, before the answer
// is taken in.
func TestAnAnswerThatIsTooOldMakesNoGhost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := newReplica(t, s, &subscribers{}, "a", false)
		id := a.subscribe(t, "app", here)
		old := s.subs[id]
		require.NoError(t, a.Unsubscribe(t.Context(), "app", id))
		synctest.Wait()
		a.mu.Lock()
		require.Nil(t, a.admit(old))
		require.NotNil(t, a.admit(&plugins.Subscription{ID: "newer", Owner: "app", At: a.seen + 1}))
		a.mu.Unlock()
	})
}

type counted struct {
	unobserved
	attempts atomic.Int64
}

func (c *counted) attempt(*plugins.Subscription, result, int, bool) { c.attempts.Add(1) }

// A worker whose lock went must not see the next lease and believe that it has it.
func TestADismissedWorkerIsHaltedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(t, newShelf(), &subscribers{}, "a", true)
		w := newWorker(&plugins.Subscription{ID: "x"}, newQueue(plugins.Cursor{}, giveUpAfter, nil, nil, nil), a.dispatcher)
		w.mu.Lock() // whoever halts it later must wait
		a.mu.Lock()
		go func() { w.mu.Unlock() }()
		a.dismiss("x", &entry{worker: w})
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
		to, s := &subscribers{}, newShelf()
		a := newReplica(t, s, to, "a", true)
		a.store = &deaf{link: a.link}
		a.subscribe(t, "app", here)
		synctest.Wait()
		for n := range 3 {
			s.happen("x", "S")
			time.Sleep(5 * time.Second)
			require.Len(t, to.of(here), n+1)
		}
	})
}

// deaf is a store whose answers about cursors are lost.
type deaf struct{ *link }

func (d *deaf) MoveCursor(ctx context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error) {
	_, _ = d.link.MoveCursor(ctx, id, c)
	return 0, errCut
}
