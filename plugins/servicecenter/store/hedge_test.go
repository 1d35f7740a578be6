package store

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// With one member of two silent nothing fails, and a transaction that was sent twice
// and refused is not taken for one that was not carried out.
func TestASilentMemberKeepsNoCallWaiting(t *testing.T) {
	t.Parallel()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	quiet, good := proxy.Start(t, endpoint[len("http://"):]), proxy.Start(t, endpoint[len("http://"):])
	s := storeAt(t, "http://"+quiet.Addr, "http://"+good.Addr)
	r := registeredIn(t, s, "app")
	for range 4 { // both connections are in use
		_, err := s.Pulse(t.Context())
		require.NoError(t, err)
	}
	quiet.Set(proxy.HalfDown) // requests arrive, answers do not
	unsure := 0
	snap, err := s.Read(t.Context(), r.ID)
	require.NoError(t, err)
	for range 12 {
		txn := heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: snap.At, Record: snap.Record, RecordOp: heartbeat.Put}
		txn.Record.Seq++
		switch _, err := s.Commit(t.Context(), &txn); {
		case err == nil:
		case errors.Is(err, errUnsure):
			unsure++
		default:
			t.Fatal(err)
		}
		now, err := s.Read(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, snap.Record.Seq+1, now.Record.Seq, "carried out once, whatever was answered")
		snap = now
	}
	for range 4 {
		_, err = s.Pulse(t.Context())
		require.NoError(t, err)
		_, err = s.Grant(t.Context(), 10)
		require.NoError(t, err)
	}
	require.Positive(t, unsure)
}
