package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// far is a store whose answers take their time too: the watch may be faster.
type far struct{ *link }

func (f far) Lock(ctx context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error) {
	defer f.delay()
	return f.link.Lock(ctx, id, on, connected)
}

func (f far) TakeLock(ctx context.Context, id string, on heartbeat.LeaseID, from heartbeat.Revision) (heartbeat.Revision, error) {
	defer f.delay()
	return f.link.TakeLock(ctx, id, on, from)
}

// cluster is two replicas that are some milliseconds away from their store, by chance, and a
// subscription whose consumer connects.
type cluster struct {
	*fakeStore
	r        *rand.Rand
	mu       sync.Mutex
	to       *subscribers
	replicas [2]*replica
	id       string
}

// pause waits for up to most, by chance.
func (c *cluster) pause(most time.Duration) {
	c.mu.Lock()
	d := time.Duration(c.r.Int64N(int64(most)))
	c.mu.Unlock()
	time.Sleep(d)
}

func newCluster(t *testing.T, seed uint64) *cluster {
	c := &cluster{fakeStore: newFakeStore(), r: rand.New(rand.NewPCG(seed, 47)), to: &subscribers{}}
	t.Cleanup(func() { time.Sleep(time.Second) }) // for calls that nobody waits for
	for i := range c.replicas {
		l := c.link()
		l.delay = func() { c.pause(20 * time.Millisecond) }
		c.replicas[i] = newReplicaOver(t, far{l}, l, c.to, fmt.Sprint(i), false)
	}
	c.id = c.replicas[c.r.IntN(2)].listen(t, "app")
	time.Sleep(5 * time.Second) // one of them has the lock
	return c
}

// open has the consumer connect, and returns when it hears that it is.
func (c *cluster) open(t *testing.T, at int, name string) *line {
	l := &line{name: name, to: c.to}
	require.NoError(t, c.replicas[at].connect(c.id, l))
	return l
}

// locks is how many locks were written.
func (c *cluster) locks() int {
	c.fakeStore.mu.Lock()
	defer c.fakeStore.mu.Unlock()
	return c.locksWritten
}

// everySeed runs a test in a bubble for each of some seeds.
func everySeed(t *testing.T, test func(t *testing.T, seed uint64)) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			test(t, seed)
		})
	}
}

// A consumer whose connection has ended connects to another replica at once. However long the
// first replica takes to notice that, and to do what the connection asked for, the new one
// stays, and gets what waits.
func TestAConsumerThatConnectsElsewhereIsNotReplacedByItsPast(t *testing.T) {
	everySeed(t, func(t *testing.T, seed uint64) {
		c := newCluster(t, seed)
		c.commit("x", "S")
		old := c.open(t, 0, "old")
		go func() {
			c.pause(100 * time.Millisecond)
			c.replicas[0].disconnect(c.id, old)
		}()
		c.pause(50 * time.Millisecond)
		young := c.open(t, 1, "young")
		c.commit("x", "A")
		began := c.locks()
		time.Sleep(3 * time.Second)
		sent := c.to.all()
		require.NotZero(t, sent)
		require.Equal(t, "young", c.to.got[sent-1].by)
		time.Sleep(time.Minute)
		require.Zero(t, young.closed())
		require.Equal(t, sent, c.to.all())
		require.Equal(t, began, c.locks(), "nothing contests the lock any more")
	})
}

// However quickly a consumer connects to one replica after the other, the last connection
// stays, and gets within seconds what waits; each costs one lock.
func TestTheLastOfQuickConnectionsGetsWhatWaits(t *testing.T) {
	everySeed(t, func(t *testing.T, seed uint64) {
		c := newCluster(t, seed)
		began, before := c.locks(), []*line(nil)
		for n := range 10 {
			before = append(before, c.open(t, n%2, fmt.Sprint("connection", n)))
			if n == 5 {
				c.commit("x", "S")
			}
			c.pause(1 + time.Duration(seed)*time.Millisecond)
		}
		c.commit("x", "A")
		time.Sleep(3 * time.Second)
		last := before[9]
		require.Zero(t, last.closed())
		sent := c.to.all()
		require.NotZero(t, sent)
		require.Equal(t, last.name, c.to.got[sent-1].by)
		time.Sleep(time.Minute)
		require.Zero(t, last.closed())
		require.Equal(t, sent, c.to.all())
		for _, l := range before[:9] {
			require.EqualValues(t, mp1.CloseReplaced, l.closed())
		}
		require.Equal(t, 10, c.locks()-began)
		require.LessOrEqual(t, len(unique(c.to.ids())), 2, "no event has two ids")
	})
}

// Of two connections that are opened at the same moment either stays, and it alone: the other
// one is told so, and the replicas do not go on contesting the lock.
func TestOfTwoConnectionsOpenedAtOnceOneStays(t *testing.T) {
	everySeed(t, func(t *testing.T, seed uint64) {
		c := newCluster(t, seed)
		began, both := c.locks(), [2]*line{}
		var opening sync.WaitGroup
		for i := range both {
			opening.Go(func() { both[i] = c.open(t, i, fmt.Sprint("connection", i)) })
		}
		opening.Wait()
		time.Sleep(3 * time.Second)
		stays, other := both[0], both[1]
		if stays.closed() != 0 {
			stays, other = other, stays
		}
		require.Zero(t, stays.closed())
		require.EqualValues(t, mp1.CloseReplaced, other.closed())
		c.commit("x", "S")
		time.Sleep(time.Minute)
		require.Zero(t, stays.closed())
		require.Equal(t, 1, c.to.all())
		require.Equal(t, stays.name, c.to.got[0].by)
		require.Equal(t, 2, c.locks()-began)
	})
}

// A replica that did not see yet what another one has sent meanwhile reads it from the cursor
// when the consumer comes back: else it would send it once more, behind what is newer.
func TestAConnectionBeginsWhereTheOneBeforeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, at := withLease(t)
		defer d.close()
		d.list(at, subscription("s", at))
		en := d.entries["s"]
		require.NoError(t, d.acquire(t.Context(), "s", en))
		other, err := l.Grant(t.Context(), 100)
		require.NoError(t, err)
		_, err = l.TakeLock(t.Context(), "s", other, 0)
		require.NoError(t, err)
		c, err := l.Cursor(t.Context(), "s")
		require.NoError(t, err)
		c.After += 100
		_, err = l.MoveCursor(t.Context(), "s", c)
		require.NoError(t, err)
		_, err = d.claim(t.Context(), "s", en)
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, d.acquire(t.Context(), "s", en))
		require.Equal(t, c.After, en.worker.q.cursor.After)
	})
}

// A connection whose order cannot be recorded is not opened, and costs nobody anything.
func TestNoConnectionIsOpenedWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		l := c.open(t, 0, "it")
		time.Sleep(time.Second)
		c.replicas[1].link.setCut(true)
		require.ErrorIs(t, c.replicas[1].connect(c.id, &line{to: c.to}), heartbeat.ErrUnavailable)
		c.replicas[1].link.setCut(false)
		c.commit("x", "S")
		time.Sleep(time.Minute)
		require.Zero(t, l.closed())
		require.Equal(t, 1, c.to.all())
	})
}

// Of two connections to one server the one that the consumer opened later stays, also if the
// server is done with the earlier one only after it: the consumer hears that a connection is open
// a moment before the server takes it in.
func TestTheLaterConnectionStaysHoweverTheServerGetsToThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, to := newFakeStore(), &subscribers{}
		l := f.link()
		r := newReplicaOver(t, l, l, to, "0", true)
		id := r.listen(t, "app")
		en, err := r.beginConnect(id)
		require.NoError(t, err)
		defer r.endConnect(en)
		earlier, err := r.claim(t.Context(), id, en)
		require.NoError(t, err)
		later := &line{name: "later", to: to}
		require.NoError(t, r.connect(id, later))
		one := &line{name: "earlier", to: to}
		require.NoError(t, r.registry.connect(id, en, one, earlier))
		synctest.Wait()
		require.EqualValues(t, mp1.CloseReplaced, one.closed())
		require.Zero(t, later.closed())
	})
}
