package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// countedKeys counts the keys that are read, and the calls that read them.
type countedKeys struct {
	clientv3.KV
	keys, calls atomic.Int64
}

func (c *countedKeys) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	res, err := c.KV.Get(ctx, key, opts...)
	if err == nil {
		c.keys.Add(int64(len(res.Kvs)))
		c.calls.Add(1)
	}
	return res, err
}

func (c *countedKeys) Txn(ctx context.Context) clientv3.Txn { return &countedTxn{c.KV.Txn(ctx), c} }

type countedTxn struct {
	clientv3.Txn
	of *countedKeys
}

func (t *countedTxn) If(cs ...clientv3.Cmp) clientv3.Txn   { t.Txn = t.Txn.If(cs...); return t }
func (t *countedTxn) Then(ops ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Then(ops...); return t }
func (t *countedTxn) Else(ops ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Else(ops...); return t }
func (t *countedTxn) Commit() (*clientv3.TxnResponse, error) {
	res, err := t.Txn.Commit()
	if err == nil {
		t.of.calls.Add(1)
		for _, one := range res.Responses {
			if got := one.GetResponseRange(); got != nil {
				t.of.keys.Add(int64(len(got.Kvs)))
			}
		}
	}
	return res, err
}

// countedStore is a store with so many services of a few applications, and what it reads.
func countedStore(t *testing.T, n int) (*Store, []heartbeat.Record, *countedKeys) {
	t.Helper()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	s := storeAt(t, endpoint)
	t.Cleanup(s.Close)
	var all []heartbeat.Record
	for i := range n {
		r, _ := storetest.Register(t, s, fmt.Sprint("app", i/5))
		all = append(all, r)
	}
	c := &countedKeys{KV: s.client.KV}
	s.client.KV = c
	return s, all, c
}

// nowhere is a step of the walk that finds nothing.
var nowhere = walk{record: walker{key: keys.RecordPrefix + "g"}, other: walker{prefix: len(walkedBeside) - 1, key: keys.RecordPrefix}}

// compared is a revision up to which all is compared.
func compared(t *testing.T, s *Store) heartbeat.Revision {
	t.Helper()
	storetest.Repaired(t, s)
	_, at, err := s.List(t.Context())
	require.NoError(t, err)
	s.AwaitRepairs()
	s.repairs.again.Store(false)
	return at
}

// swept has that compared which was written since, and waits until what that shows was put right.
func swept(t *testing.T, s *Store, since heartbeat.Revision) {
	t.Helper()
	s.history.walk = nowhere
	_, _, err := s.Changes(t.Context(), since, nil)
	require.NoError(t, err)
	s.AwaitRepairs()
}

// Each sweep listed every key: with 20,000 services that nobody touched, four hundredths of a
// core for nothing.
func TestASweepReadsWhatWasWrittenAndNotWhatThereIs(t *testing.T) {
	s, all, c := countedStore(t, 600)
	at := compared(t, s)
	reads := func() (keys, calls int64) {
		k, n := c.keys.Load(), c.calls.Load()
		some, next, err := s.Changes(t.Context(), at, nil)
		require.NoError(t, err)
		s.AwaitRepairs()
		at = next
		require.LessOrEqual(t, len(some), 2*walkedRecords)
		return c.keys.Load() - k, c.calls.Load() - n
	}
	_, _, err := s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	s.history.walk = nowhere
	idle, calls := reads()
	require.LessOrEqual(t, idle, int64(10), "nothing was written")
	require.LessOrEqual(t, calls, int64(10))
	for _, r := range all[:5] {
		snap, err := s.Read(t.Context(), r.ID)
		require.NoError(t, err)
		r.State, r.Lease, r.Seq = heartbeat.Suspended, 0, 2
		_, err = s.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Claim, RecordRevision: snap.At, Record: r, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Change: heartbeat.StateChanged})
		require.NoError(t, err)
	}
	s.history.walk = nowhere
	five, calls := reads()
	require.LessOrEqual(t, five, int64(50), "five were suspended")
	require.LessOrEqual(t, calls, int64(20))
	require.NotZero(t, five+idle)
}

// A start listed everything twice to know it and to compare it, and the records and events once more
// for who shows changes, and for who tells of them.
func TestAStartReadsEachKeyOnce(t *testing.T) {
	s, all, c := countedStore(t, 200)
	there := int64(len(storetest.Everything(t, s.client)))
	before := c.keys.Load()
	s.ShareStart(nil)
	h, r := &historyReader{}, &reader{}
	var lists sync.WaitGroup
	load := func(f func(context.Context) (heartbeat.Revision, error)) {
		lists.Go(func() {
			at, err := f(t.Context())
			require.NoError(t, err)
			require.NotZero(t, at)
		})
	}
	load(func(ctx context.Context) (heartbeat.Revision, error) {
		h.loaded, _ = s.loadHistory(ctx)
		return h.loaded.At, nil
	})
	load(func(ctx context.Context) (heartbeat.Revision, error) { return s.loadOutbox(ctx, r) })
	listed, at, err := s.List(t.Context())
	require.NoError(t, err)
	lists.Wait()
	require.Len(t, listed, len(all))
	require.Len(t, h.loaded.Services, len(all))
	require.Len(t, h.loaded.Events, len(all))
	require.Len(t, r.all, len(all))
	require.Equal(t, at, h.loaded.At, "all of it is of one revision")
	require.Nil(t, s.starting.Load(), "what is listed later is as of then")
	s.AwaitRepairs()
	s.history.walk = nowhere
	_, _, err = s.Changes(t.Context(), at, nil) // the look that follows a list
	require.NoError(t, err)
	s.AwaitRepairs()
	require.LessOrEqual(t, c.keys.Load()-before, there)
}

// A start that compared each projection before it was ready took a tenth longer. What differs is found
// all the same, by the list that is due then.
func TestAStartComparesProjectionsOnceItIsOver(t *testing.T) {
	s, all, _ := countedStore(t, 3)
	served := make(chan struct{})
	s.served = func(context.Context) { <-served }
	s.ShareStart(nil)
	altered := keys.InstanceOf(all[1].ID, "").Key()
	kv, err := s.client.Get(t.Context(), altered)
	require.NoError(t, err)
	_, err = s.client.Put(t.Context(), altered, strings.Replace(string(kv.Kvs[0].Value), "UP", "DOWN", 1), clientv3.WithLease(clientv3.LeaseID(kv.Kvs[0].Lease)))
	require.NoError(t, err)
	differ := func() (n int) {
		listed, _, err := s.List(t.Context())
		require.NoError(t, err)
		for i := range listed {
			if listed[i].Projection.Differs {
				n++
			}
		}
		return n
	}
	require.Zero(t, differ())
	require.False(t, s.repairs.again.Load(), "nothing is compared yet")
	close(served)
	s.AwaitRepairs()
	require.True(t, s.repairs.again.Swap(false), "a list is due")
	require.Equal(t, 1, differ())
	s.AwaitRepairs()

	_, err = s.client.Put(t.Context(), altered, string(kv.Kvs[0].Value), clientv3.WithLease(clientv3.LeaseID(kv.Kvs[0].Lease)))
	require.NoError(t, err)
	s.repairs.again.Store(false)
	s.ShareStart(nil) // another start, which finds nothing
	require.Zero(t, differ())
	s.AwaitRepairs()
	require.False(t, s.repairs.again.Load())
}

// Who lists with others must not wait for one that fails, nor for one that never comes.
func TestAListThatIsSharedDoesNotWaitForOneThatFailed(t *testing.T) {
	s, all, _ := countedStore(t, 3)
	s.ShareStart(nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.List(gone)
	require.Error(t, err)
	_, err = s.loadOutbox(gone, &reader{})
	require.Error(t, err)
	starting := s.starting.Load()
	require.NotNil(t, starting)
	listed := make(chan *plugins.History, 1)
	go func() {
		h, err := s.loadHistory(t.Context())
		assert.NoError(t, err)
		listed <- h
	}()
	require.Eventually(t, func() bool { starting.mu.Lock(); defer starting.mu.Unlock(); return starting.joined[historyList] }, 30*time.Second, time.Millisecond)
	starting.end() // as a minute later
	h := <-listed
	require.Len(t, h.Services, len(all))
	require.Len(t, h.Events, len(all))
	require.Nil(t, s.starting.Load())
	again, _, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, again, len(all))
}

// What the watch has missed stands in the history all the same, and a change that both missed
// is found by the walk.
func TestWhatWasWrittenIsFoundWhoeverMissedIt(t *testing.T) {
	s, all, _ := countedStore(t, 20)
	at := compared(t, s)
	listed := func(some []heartbeat.Listed, id heartbeat.ID) *heartbeat.Listed {
		i := slices.IndexFunc(some, func(l heartbeat.Listed) bool { return l.ID == id })
		require.GreaterOrEqual(t, i, 0)
		return &some[i]
	}
	_, err := s.client.Delete(t.Context(), keys.InstanceOf(all[3].ID, "").Key())
	require.NoError(t, err)
	_, err = s.client.Delete(t.Context(), keys.Record(all[4].ID))
	require.NoError(t, err)
	stranger := keys.InstanceOf(all[5].ID, "").Key()
	_, err = s.client.Put(t.Context(), stranger, `{"instanceId":"x"}`)
	require.NoError(t, err)
	some, next, err := s.Changes(t.Context(), at, []heartbeat.ID{all[6].ID, "unknown"})
	require.NoError(t, err)
	require.True(t, listed(some, all[3].ID).Exists())
	require.False(t, listed(some, all[3].ID).Projection.Present())
	orphan := listed(some, all[4].ID)
	require.False(t, orphan.Exists())
	require.True(t, orphan.Projection.Present())
	require.True(t, listed(some, all[5].ID).Projection.Differs)
	require.False(t, listed(some, all[6].ID).Unlike())
	require.False(t, listed(some, "unknown").Exists())
	require.Greater(t, next, at)
	s.AwaitRepairs()

	// nobody notices the next one: it is before where the history is read from
	_, err = s.client.Put(t.Context(), keys.InstanceOf(all[7].ID, "").Key(), strings.Repeat("x", 10))
	require.NoError(t, err)
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	s.history.at, s.history.walk = 0, walk{}
	_, _, err = s.Changes(t.Context(), head, nil)
	require.ErrorIs(t, err, heartbeat.ErrForgotten, "all is to be listed at once")
}

// A store that was restored and written to since has passed the revision that was known: what
// that revision wrote tells.
func TestAnotherHistoryIsNotReadAsTheOneThatIsKnown(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	at := compared(t, s)
	_, at, err := s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	_, again, err := s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	require.Equal(t, at, again, "nothing was written")
	s.history.sum++ // as if it had written something else
	_, _, err = s.Changes(t.Context(), at, nil)
	require.ErrorIs(t, err, heartbeat.ErrForgotten)
	_, _, err = s.Changes(t.Context(), at+1000, nil)
	require.ErrorIs(t, err, heartbeat.ErrForgotten, "it is behind what was known")
	for range 3 {
		_, err = s.client.Put(t.Context(), keys.Record(all[0].ID), "{")
		require.NoError(t, err)
	}
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	_, err = s.client.Compact(t.Context(), int64(head))
	require.NoError(t, err)
	_, _, err = s.Changes(t.Context(), at, nil)
	require.ErrorIs(t, err, heartbeat.ErrForgotten, "it was compacted")
}

// What could not be put right is no reason to go on: everything is listed then.
func TestWhatWasNotPutRightLeadsToAList(t *testing.T) {
	s, _, _ := countedStore(t, 1)
	at := compared(t, s)
	s.repairs.again.Store(true)
	_, _, err := s.Changes(t.Context(), at, nil)
	require.ErrorIs(t, err, heartbeat.ErrForgotten)
	_, _, err = s.Changes(t.Context(), at, nil)
	require.NoError(t, err, "the list looked at it")
}

// A record that becomes unreadable, and one that is repaired, is counted and said.
func TestASweepCountsRecordsThatCannotBeRead(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	at := compared(t, s)
	value := storetest.Value(t, s.client.KV, keys.Record(all[0].ID))
	for _, c := range []struct {
		value string
		want  int
	}{{"{", 1}, {value, 0}} {
		_, err := s.client.Put(t.Context(), keys.Record(all[0].ID), c.value)
		require.NoError(t, err)
		var some []heartbeat.Listed
		some, at, err = s.Changes(t.Context(), at, nil)
		require.NoError(t, err)
		require.Equal(t, c.want, s.unreadable.count())
		i := slices.IndexFunc(some, func(l heartbeat.Listed) bool { return l.ID == all[0].ID })
		require.GreaterOrEqual(t, i, 0)
		require.Equal(t, c.want == 0, some[i].Exists())
		s.AwaitRepairs()
	}
}

// A record whose attributes cannot be read was counted by nobody, and nobody said so: the engine has
// it, and nobody is shown it.
func TestARecordWithoutAttributesThatCanBeReadIsCounted(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	key := keys.Record(all[0].ID)
	value, garbled := garbledAttributes(t, s, all[0].ID)
	put := func(value string) {
		_, err := s.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	put(garbled)
	s.ShareStart(nil)
	for _, list := range []string{"a start", "a list"} {
		listed, _, err := s.List(t.Context())
		require.NoError(t, err)
		s.AwaitRepairs()
		require.Len(t, listed, 2, "%s: the engine goes on with it", list)
		require.Equal(t, 1, s.unreadable.count(), list)
	}
	at := compared(t, s)
	for _, c := range []struct {
		value string
		want  int
	}{{value, 0}, {garbled, 1}} {
		put(c.value)
		var err error
		_, at, err = s.Changes(t.Context(), at, nil)
		require.NoError(t, err)
		s.AwaitRepairs()
		require.Equal(t, c.want, s.unreadable.count())
	}
}

// garbledAttributes is a record's value, and the same with attributes that cannot be read.
func garbledAttributes(t *testing.T, s *Store, id heartbeat.ID) (value, garbled string) {
	t.Helper()
	value = storetest.Value(t, s.client.KV, keys.Record(id))
	garbled = strings.Replace(value, `\"version\":\"v2\"`, `\"version\":2`, 1)
	require.NotEqual(t, value, garbled)
	return value, garbled
}

// When the lease of such a record ended, it was counted no longer, and the alert was over: nobody is
// shown it all the same.
func TestARecordThatNobodyIsShownIsCountedWithoutItsProjection(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	value, garbled := garbledAttributes(t, s, all[0].ID)
	put := func(value string) {
		_, err := s.client.Put(t.Context(), keys.Record(all[0].ID), value)
		require.NoError(t, err)
	}
	put(garbled)
	at := compared(t, s)
	require.Equal(t, 1, s.unreadable.count())
	look := func() {
		var err error
		_, at, err = s.Changes(t.Context(), at, nil)
		require.NoError(t, err)
		s.AwaitRepairs()
	}
	for _, one := range all { // what can be read is not counted without one
		_, err := s.client.Delete(t.Context(), keys.InstanceOf(one.ID, one.Place).Key())
		require.NoError(t, err)
	}
	look()
	require.Equal(t, 1, s.unreadable.count(), "a look at what was written")
	for _, list := range []string{"a list", "a start"} {
		s.unreadable.undescribed(s.log, nil, nil)
		if list == "a start" {
			s.ShareStart(nil)
		}
		_, _, err := s.List(t.Context())
		require.NoError(t, err)
		s.AwaitRepairs()
		require.Equal(t, 1, s.unreadable.count(), list)
	}
	at = compared(t, s)
	put(value)
	look()
	require.Zero(t, s.unreadable.count())
}

// A start that found one projection altered took what it had not compared yet for readable.
func TestAStartThatEndsItsComparisonForgetsNoRecord(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	stands := func(r heartbeat.Record) string { return keys.InstanceOf(r.ID, r.Place).Key() }
	slices.SortFunc(all, func(a, b heartbeat.Record) int { return strings.Compare(stands(a), stands(b)) })
	_, garbled := garbledAttributes(t, s, all[1].ID)
	_, err := s.client.Put(t.Context(), keys.Record(all[1].ID), garbled)
	require.NoError(t, err)
	compared(t, s)
	require.Equal(t, 1, s.unreadable.count())
	_, err = s.client.Put(t.Context(), stands(all[0]), storetest.Value(t, s.client.KV, stands(all[0]))+" ")
	require.NoError(t, err)
	s.ShareStart(nil)
	_, _, err = s.List(t.Context())
	require.NoError(t, err)
	s.AwaitRepairs()
	require.True(t, s.repairs.again.Load(), "a list is due")
	require.Equal(t, 1, s.unreadable.count())
}
