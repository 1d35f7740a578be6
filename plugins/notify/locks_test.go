package notify

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// withLease is a follower over a store that has a subscription "s", with a lease.
func withLease(t *testing.T) (*dispatcher, *link, heartbeat.Revision) {
	l := newFakeStore().link()
	at, err := l.Subscribe(t.Context(), &plugins.Subscription{ID: "s", Owner: "app"})
	require.NoError(t, err)
	d := newDispatcher(l, fromReplica{&subscribers{}, "a"}, plugins.NewClock(), giveUpAfter, false, noObserver{})
	d.renew(t.Context())
	return d, l, at
}

func locked(t *testing.T, l *link) bool {
	synctest.Wait()
	is, err := l.Locked(t.Context(), "s")
	require.NoError(t, err)
	return is
}

// A lock that was taken by an attempt which got no answer would be held by nobody.
func TestALockWithoutAWorkerIsGivenBack(t *testing.T) {
	for _, trying := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d, l, at := withLease(t)
			d.list(at, subscription("s", at))
			d.entries["s"].trying = trying
			lockedAt, err := l.Lock(t.Context(), "s", d.lease.id(), false)
			require.NoError(t, err)
			d.watched(lock("s", lockedAt, d.lease.id()))
			require.Equal(t, trying, locked(t, l), "unless the attempt is still under way")
		})
	}
}

func TestALockIsGivenBackWhenItsCursorCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, at := withLease(t)
		d.list(at, subscription("s", at))
		u := &unreadable{link: l, id: "s"}
		d.store = u
		err := d.acquire(t.Context(), "s", d.entries["s"])
		require.ErrorIs(t, err, heartbeat.ErrUnusable)
		require.True(t, locked(t, l))
		d.lockTried("s", d.entries["s"], err)
		require.False(t, locked(t, l), "so that another replica may try")
	})
}

// Which subscriptions a replica tries to lock: none before it has loaded all, none while its
// lease is not trusted, none whose worker has not ended.
func TestWhatIsTriedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, at := withLease(t)
		due := func() int {
			all, _ := d.due()
			for _, en := range all {
				en.trying = false
			}
			return len(all)
		}
		d.watched(subscription("s", at))
		time.Sleep(newJitter)
		require.Zero(t, due(), "a list is missing")
		d.list(at, subscription("s", at))
		require.Equal(t, 1, due())
		d.stopping["s"] = &worker{}
		require.Zero(t, due(), "its worker before has not ended")
		delete(d.stopping, "s")
		require.Equal(t, 1, due())
		time.Sleep(trustTime)
		require.Zero(t, due(), "the lease may have ended")
		d.renew(t.Context())
		require.Equal(t, 1, due())
	})
}

// overtaken is a store whose watch is faster than its response: the lock is gone already.
type overtaken struct {
	*link
	d *dispatcher
}

func (o *overtaken) Lock(ctx context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error) {
	at, err := o.link.Lock(ctx, id, on, connected)
	o.d.watched(lock(id, at, on), erased(plugins.LockWritten, id, at+1))
	return at, err
}

func TestALockThatTheWatchShowedToBeGoneIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, at := withLease(t)
		d.list(at, subscription("s", at))
		en := d.entries["s"]
		en.trying = true
		d.store = &overtaken{l, d}
		require.ErrorIs(t, d.acquire(t.Context(), "s", en), errNotOurs)
		require.Nil(t, en.worker)
		require.False(t, en.held)
	})
}

// A deletion does not wait for ever for a replica that keeps a lock.
func TestADeletionIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, _ := withLease(t)
		other, err := l.Grant(t.Context(), 100)
		require.NoError(t, err)
		_, err = l.Lock(t.Context(), "s", other, false)
		require.NoError(t, err)
		began := time.Now()
		require.ErrorIs(t, d.awaitUnlocked(t.Context(), "s"), heartbeat.ErrUnavailable)
		require.Equal(t, maxHandover, time.Since(began))
	})
}

// asked counts how often a store was asked for a lock.
type asked struct {
	*link
	n atomic.Int64
}

func (a *asked) Locked(ctx context.Context, id string) (bool, error) {
	a.n.Add(1)
	return a.link.Locked(ctx, id)
}

// A lock that is given back at once is seen at once, and one of a replica that was killed
// is asked for more and more seldom.
func TestADeletionAsksMoreAndMoreSeldom(t *testing.T) {
	for after, most := range map[time.Duration]int64{30 * time.Millisecond: 3, time.Second: 7, 6 * time.Second: 17} {
		synctest.Test(t, func(t *testing.T) {
			d, l, _ := withLease(t)
			by := &asked{link: l}
			d.store = by
			other, err := l.Grant(t.Context(), 100)
			require.NoError(t, err)
			_, err = l.Lock(t.Context(), "s", other, false)
			require.NoError(t, err)
			time.AfterFunc(after, func() { _ = l.endLease(other) })
			began := time.Now()
			require.NoError(t, d.awaitUnlocked(t.Context(), "s"))
			require.LessOrEqual(t, by.n.Load(), most)
			require.LessOrEqual(t, time.Since(began)-after, min(maxLockPoll, after+lockPoll))
		})
	}
}

// answering is a store with chosen responses.
type answering struct {
	*link
	moved, read error
	at          heartbeat.Revision
}

func (a *answering) MoveCursor(context.Context, string, plugins.Cursor) (heartbeat.Revision, error) {
	return 11, a.moved
}

func (a *answering) Cursor(context.Context, string) (plugins.Cursor, error) {
	return plugins.Cursor{At: a.at}, a.read
}

// A cursor that could not be written may be somebody else's, or gone: then its worker
// ends. If the store does not say so, it is tried again.
func TestWhoseACursorIs(t *testing.T) {
	for name, c := range map[string]struct {
		answering
		goesOn bool
	}{
		"written":                    {answering{}, true},
		"no answer, and still there": {answering{moved: errCut, at: 10}, true},
		"no answer at all":           {answering{moved: errCut, read: errCut}, true},
		"no answer, but moved":       {answering{moved: errCut, at: 11}, false},
		"somebody else's":            {answering{moved: heartbeat.ErrConflict, at: 12}, false},
		"deleted":                    {answering{moved: heartbeat.ErrConflict, read: heartbeat.ErrConflict}, false},
		"overwritten with garbage":   {answering{moved: heartbeat.ErrConflict, read: heartbeat.ErrUnusable}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, _, _ := withLease(t)
			d.store = &c.answering
			q := newPlay(t).q
			w := newWorker(&plugins.Subscription{ID: "s"}, q, d)
			q.setCursor(plugins.Cursor{After: 12})
			require.Equal(t, c.goesOn, w.writeCursor(q.nextCursor), name)
			require.Equal(t, c.goesOn && c.moved == nil, !q.cursorDue, name)
			now, _ := d.now()
			if q.cursorDue && c.goesOn {
				require.Equal(t, now+cursorRetry, q.cursorRetryAt, "not at once")
			}
		})
	}
}

// retries records which attempts were reported as repetitions.
type retries struct {
	noObserver
	again []bool
}

func (r *retries) attempt(_ *plugins.Subscription, _ result, _ int, again bool) {
	r.again = append(r.again, again)
}

func TestRepetitionsAreCountedAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		to := &subscribers{answer: func(context.Context, string) result {
			if n++; n%3 != 0 {
				return result{outcome: failed}
			}
			return result{}
		}}
		s, seen := newFakeStore(), &retries{}
		a := newReplica(t, s, to, "a", true)
		a.observer = seen
		a.subscribe(t, "app", here)
		for range 2 {
			s.commit("x", "S")
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		require.Equal(t, []bool{false, true, true, false, true, true}, seen.again)
	})
}
