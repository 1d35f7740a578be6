package notify

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// lockHook is a connection to the fake store on which something happens while the first answer to Lock
// is under way, or between it and the answer to Cursor.
type lockHook struct {
	*link
	early bool
	once  sync.Once
	does  func(l *link, lock plugins.OutboxWrite)
	locks []heartbeat.LeaseID // on which locks were asked for; under link.mu
}

func (b *lockHook) Lock(ctx context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error) {
	b.mu.Lock()
	b.locks = append(b.locks, on)
	b.mu.Unlock()
	at, err := b.link.Lock(ctx, id, on, connected)
	if b.early {
		b.act(id)
	}
	return at, err
}

func (b *lockHook) act(id string) {
	b.once.Do(func() {
		b.mu.Lock()
		lock := b.link.locks[id]
		b.mu.Unlock()
		b.does(b.link, lock)
	})
}

func (b *lockHook) Cursor(ctx context.Context, id string) (plugins.Cursor, error) {
	b.act(id)
	return b.link.Cursor(ctx, id)
}

// The lease may end, or the lock be given away, after the lock was taken and before the
// worker starts, as when a new leader revokes leases while reads wait for it. With a new
// lease the replica would then trust a lock that it has lost.
func TestAWorkerBeginsOnlyIfItsLockIsStillThere(t *testing.T) {
	for name, does := range map[string]func(l *link, lock plugins.OutboxWrite){
		"the lease ends and a new one is granted": func(l *link, lock plugins.OutboxWrite) {
			_ = l.endLease(lock.Lease)
			time.Sleep(1500 * time.Millisecond)
		},
		"the lease ends and nobody has said so": func(l *link, lock plugins.OutboxWrite) {
			_ = l.endLease(lock.Lease)
			synctest.Wait() // the watch has
		},
		"the lock goes and the lease stays": func(l *link, lock plugins.OutboxWrite) {
			_ = l.Unlock(context.Background(), lock.Name, lock.Lease)
			time.Sleep(1500 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to, s := &subscribers{}, newFakeStore()
				l := &lockHook{link: s.link(), does: does}
				a := newReplicaOver(t, l, l.link, to, "a", false)
				b := newReplica(t, s, to, "b", false)
				time.Sleep(2 * time.Second)
				id := a.subscribe(t, "app", here)
				time.Sleep(10 * time.Second)
				require.Equal(t, 1, working(a, id)+working(b, id), "one of them has the lock, and works")
				s.commit("x", "S")
				time.Sleep(time.Second)
				require.Len(t, to.of(here), 1, "sent once")
			})
		})
	}
}

// The watch need not have shown anything of it.
func TestALockThatWentWithItsLeaseIsNoLockOfTheNextOne(t *testing.T) {
	for _, early := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newFakeStore()
			l := &lockHook{link: s.link(), early: early}
			d := newDispatcher(l, fromReplica{&subscribers{}, "a"}, plugins.NewClock(), giveUpAfter, false, noObserver{})
			at, err := l.Subscribe(t.Context(), &plugins.Subscription{ID: "sub", Owner: "app"})
			require.NoError(t, err)
			d.Load([]plugins.OutboxWrite{{Kind: plugins.SubscriptionWritten, Name: "sub", At: at, Subscription: &plugins.Subscription{ID: "sub", Owner: "app", At: at}}}, at)
			d.renew(t.Context())
			l.does = func(_ *link, lock plugins.OutboxWrite) {
				require.Equal(t, d.lease.id(), lock.Lease)
				_ = l.endLease(lock.Lease)
				d.renew(t.Context())
				require.NotEqual(t, d.lease.id(), lock.Lease)
			}
			en := d.entries["sub"]
			require.Error(t, d.acquire(t.Context(), "sub", en))
			require.Nil(t, en.worker)
			if !early { // else the watch says so
				require.False(t, en.held, "so that it is tried for again")
			}
			require.NoError(t, d.acquire(t.Context(), "sub", en))
			require.NotNil(t, en.worker)
			d.close()
		})
	}
}

func working(r *replica, id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries[id].worker != nil {
		return 1
	}
	return 0
}

// A lock without a lease would never end. An attempt to lock may wait until the lease is gone.
func TestWithoutALeaseNoLockIsTaken(t *testing.T) {
	s := newFakeStore()
	l := &lockHook{link: s.link(), does: func(*link, plugins.OutboxWrite) {}}
	d := newDispatcher(l, fromReplica{&subscribers{}, "a"}, plugins.NewClock(), giveUpAfter, false, noObserver{})
	require.Error(t, d.acquire(t.Context(), "sub", &entry{}))
	require.Empty(t, l.locks)
}

// unreadable is a store in which one cursor was overwritten with garbage.
type unreadable struct {
	*link
	id       string
	repaired atomic.Bool
	locks    atomic.Int64
}

func (u *unreadable) Lock(ctx context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error) {
	if id == u.id {
		u.locks.Add(1)
	}
	return u.link.Lock(ctx, id, on, connected)
}

func (u *unreadable) Cursor(ctx context.Context, id string) (plugins.Cursor, error) {
	if id == u.id && !u.repaired.Load() {
		return plugins.Cursor{}, heartbeat.ErrUnusable
	}
	return u.link.Cursor(ctx, id)
}

func TestAnUnreadableCursorHarmsNobodyElseAndCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", false)
		bad, good := a.subscribe(t, "app", here+"bad"), a.subscribe(t, "app", here+"good")
		a.stop()
		u := &unreadable{link: s.link(), id: bad}
		b := newReplicaOver(t, u, u.link, to, "b", false)
		time.Sleep(5 * time.Minute)
		s.commit("x", "S")
		time.Sleep(time.Second)
		require.Len(t, to.of(here+"good"), 1)
		require.Empty(t, to.of(here+"bad"))
		require.Equal(t, 1, working(b, good))
		require.LessOrEqual(t, u.locks.Load(), int64(12), "a lock taken and given back each time")
		u.repaired.Store(true)
		time.Sleep(unreadablePause + time.Second)
		require.Len(t, to.of(here+"bad"), 1, "sent once it can be read again")
	})
}
