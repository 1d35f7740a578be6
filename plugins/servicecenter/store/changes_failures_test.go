package store

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// interrupted calls a function once, before the first read of a key, or of a transaction where
// key is "".
type interrupted struct {
	clientv3.KV
	key  string
	call func() error
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
