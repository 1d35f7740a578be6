package heartbeat

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// noting is a store that notes in which order it is asked and answers. plain: it leaves out what is to
// follow a renewal.
type noting struct {
	*lab
	plain bool

	mu    sync.Mutex
	notes []string
}

func (n *noting) note(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, what)
}

func (n *noting) RenewThen(ctx context.Context, id LeaseID, leave <-chan struct{}, f Following) (int, error) {
	defer n.note("awake")
	if n.plain {
		return n.Renew(ctx, id)
	}
	return n.lab.RenewThen(ctx, id, leave, noted{n, f})
}

// noted notes that it is told of a renewal.
type noted struct {
	n *noting
	f Following
}

func (f noted) Renewed(ttl int, next func()) {
	f.n.note("renewed")
	f.f.Renewed(ttl, next)
}

func (n *noting) Head(ctx context.Context) (Revision, error) {
	n.note("read")
	defer n.note("was read")
	return n.lab.Head(ctx)
}

// The read that verifies a heartbeat begins with the answer to its renewal, and its request wakes up
// once, when it has both. A store may leave that out.
func TestAHeartbeatAmongReplicasWakesUpOnce(t *testing.T) {
	for _, plain := range []bool{false, true} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(10), false)
			s.register("i")
			synctest.Wait()
			n := &noting{lab: l, plain: plain}
			s.Store = n
			require.NoError(t, s.beat("i").Err)
			if plain {
				require.Equal(t, []string{"awake", "read", "was read"}, n.notes)
			} else {
				require.Equal(t, []string{"renewed", "read", "was read", "awake"}, n.notes)
			}
			require.Zero(t, l.reads)
		})
	}
}

// A renewal ends with its answer: whoever beats while the read behind it goes on renews anew, for he
// came after it.
func TestARenewalIsNotJoinedWhileItIsVerified(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		lease := s.register("i").Lease
		synctest.Wait()
		release := l.hold("head")
		first := s.answers(1, "i")
		synctest.Wait()
		second := s.answers(1, "i")
		synctest.Wait()
		require.Equal(t, 2, l.renewed(lease))
		release()
		for _, a := range append(first(), second()...) {
			require.NoError(t, a.Err)
		}
		require.Equal(t, 2, l.heads)
	})
}

// Whoever gives up while a replica waits for a renewal that others joined does not end it, nor does he
// wait for a read.
func TestWhoGivesUpWaitsForNoRead(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		lease := s.register("i").Lease
		synctest.Wait()
		renew, head := l.hold("renew"), l.hold("head")
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan Response, 1)
		go func() { left <- s.Beat(ctx, "i", "") }()
		synctest.Wait()
		rest := s.answers(3, "i")
		synctest.Wait()
		leave()
		synctest.Wait()
		require.Empty(t, left, "the renewal is the engine's own")
		renew()
		if a := <-left; !errors.Is(a.Err, ErrUnavailable) {
			t.Errorf("who left: %v", a.Err)
		}
		head()
		for _, a := range rest() {
			require.NoError(t, a.Err)
		}
		require.Equal(t, 1, l.renewed(lease))
	})
}
