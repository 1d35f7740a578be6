package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// interrupted calls a function once, before the first read of a key, or of a transaction where
// key is "", and another one behind each.
type interrupted struct {
	clientv3.KV
	key   string
	call  func() error
	after func()
}

func (i *interrupted) once() error {
	call := i.call
	if i.call = nil; call == nil {
		return nil
	}
	return call()
}

func (i *interrupted) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if key == i.key {
		if err := i.once(); err != nil {
			return nil, err
		}
		if i.after != nil {
			defer i.after()
		}
	}
	return i.KV.Get(ctx, key, opts...)
}

func (i *interrupted) Txn(ctx context.Context) clientv3.Txn {
	txn := i.KV.Txn(ctx)
	if i.key == "" {
		if err := i.once(); err != nil {
			return refused{}
		}
	}
	return txn
}

// A sweep beside a list took a record from what the list itself had found unreadable: its
// instance looked like one without a record then, and two maps met without a lock.
func TestASweepBesideAListTakesNothingFromIt(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	at := compared(t, s)
	value := storetest.Value(t, s.client.KV, keys.Record(all[0].ID))
	_, err := s.client.Put(t.Context(), keys.Record(all[0].ID), "{")
	require.NoError(t, err)
	swept := false
	s.client.KV = &interrupted{KV: s.client.KV, key: keys.InstancePrefix, call: func() error {
		_, err := s.client.Put(t.Context(), keys.Record(all[0].ID), value)
		require.NoError(t, err)
		s.history.walk = nowhere
		_, _, err = s.Changes(t.Context(), at, nil)
		require.NoError(t, err)
		swept = true
		return nil
	}}
	listed, _, err := s.List(t.Context())
	require.NoError(t, err)
	s.AwaitRepairs()
	require.True(t, swept)
	require.False(t, slices.ContainsFunc(listed, func(l heartbeat.Listed) bool { return l.ID == all[0].ID }))
	require.Zero(t, s.unreadable.count())
}

// What a look at what was written did not get to the end of is looked at again: the keys that it
// came by, and whether it is the same history.
func TestALookThatFailsIsMadeAgain(t *testing.T) {
	s, all, _ := countedStore(t, 5)
	at := compared(t, s)
	_, at, err := s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	s.AwaitRepairs()
	_, err = s.client.Put(t.Context(), "/mep/test", "written")
	require.NoError(t, err)
	was := history{at: s.history.at, sum: s.history.sum}
	s.history.walk = walk{}
	kv := s.client.KV
	s.client.KV = &interrupted{KV: kv, call: func() error { return errNotHere }}
	_, _, err = s.Changes(t.Context(), at, nil)
	require.ErrorIs(t, err, errNotHere)
	s.client.KV = kv
	require.Equal(t, walk{}, s.history.walk)
	require.Equal(t, was.at, s.history.at)
	require.Equal(t, was.sum, s.history.sum)
	some, _, err := s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	require.Len(t, some, len(all), "the walk shows them now")
}

// The list that is due shows what the walk came by: it does not come by the same again and again.
func TestAWalkGoesOnBehindWhatLedToAList(t *testing.T) {
	s, all, _ := countedStore(t, 5)
	compared(t, s)
	_, err := s.client.Put(t.Context(), keys.InstanceOf(all[1].ID, "").Key(), "x")
	require.NoError(t, err)
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	s.history.at, s.history.walk = 0, walk{}
	_, _, err = s.Changes(t.Context(), head, nil)
	require.ErrorIs(t, err, heartbeat.ErrForgotten)
	require.NotEqual(t, walk{}, s.history.walk)
}

// A look waited until what a list had shown was put right, a minute at the most: a replica that was
// to stop waited with it.
func TestALookThatWaitsForItsTurnEndsWithItsContext(t *testing.T) {
	s, _, _ := countedStore(t, 1)
	at := compared(t, s)
	s.history.walk = nowhere
	ctx, stop := context.WithCancel(t.Context())
	last := max(nowhere.other.key, walkedBeside[nowhere.other.prefix])
	kv := s.client.KV
	s.client.KV = &interrupted{KV: kv, key: last, after: func() {
		s.repairs.turn <- struct{}{} // that of the list goes on
		stop()
	}}
	_, _, err := s.Changes(ctx, at, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, s.repairs.turn, 1)
	require.Equal(t, nowhere, s.history.walk)
	<-s.repairs.turn
	s.client.KV = kv
	_, _, err = s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	s.AwaitRepairs()
}

// lateReplies is a watcher whose streams end late: a watch that comes to one that there was is told
// how far the store is, which another one had asked for.
type lateReplies struct {
	clientv3.Watcher
	at      int64
	mu      sync.Mutex
	streams map[string]bool
}

func (l *lateReplies) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	md, _ := metadata.FromOutgoingContext(ctx)
	stream, events := fmt.Sprint(md), l.Watcher.Watch(ctx, key, opts...)
	l.mu.Lock()
	first := !l.streams[stream]
	l.streams[stream] = true
	l.mu.Unlock()
	if first {
		return events
	}
	out := make(chan clientv3.WatchResponse, 1)
	out <- clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: l.at}}
	go func() {
		defer close(out)
		for res := range events {
			select {
			case out <- res:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// What the store replies to one range of the history may come late: the other one is not complete
// by that.
func TestARangeOfTheHistoryIsNotCompleteByWhatAnotherAskedFor(t *testing.T) {
	s, all, _ := countedStore(t, 2)
	at := compared(t, s)
	want := []string{keys.InstanceOf(all[0].ID, "").Key(), keys.Record(all[1].ID)}
	for _, key := range want {
		_, err := s.client.Put(t.Context(), key, storetest.Value(t, s.client.KV, key))
		require.NoError(t, err)
	}
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	s.client.Watcher = &lateReplies{Watcher: s.client.Watcher, at: int64(head), streams: map[string]bool{}}
	var got []string
	_, _, err = s.readHistory(t.Context(), int64(at), func(ev *clientv3.Event) { got = append(got, string(ev.Kv.Key)) })
	require.NoError(t, err)
	require.Equal(t, want, got)
}
