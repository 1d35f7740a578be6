package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func TestAtAFullStoreTheJudgementGoesOnAndNothingIsAdded(t *testing.T) {
	r, at := storetest.Register(t, store, "app-full")
	s := New(Options{Client: etcd.Over(store.client.Client, keys.Cluster, etcdtest.Discard), Log: etcdtest.Discard})
	s.client.Gate = etcdtest.Gate(92)
	larger, smaller := r, r
	larger.Attributes = strings.Replace(r.Attributes, "face recognition", "face recognition and more", 1)
	smaller.Attributes = strings.Replace(r.Attributes, "face recognition", "face", 1)
	for name, c := range map[string]struct {
		kind   heartbeat.Kind
		record heartbeat.Record
		want   quota.Class
	}{
		"a registration":             {heartbeat.Register, r, quota.Grow},
		"a PUT that grows":           {heartbeat.Rewrite, larger, quota.Grow},
		"a PUT that does not":        {heartbeat.Rewrite, smaller, quota.Change},
		"a PUT to INACTIVE":          {heartbeat.Deactivate, r, quota.Change},
		"one more agent":             {heartbeat.Join, r, quota.Change},
		"an agent that leaves":       {heartbeat.Leave, r, quota.Free},
		"a death":                    {heartbeat.Claim, r, quota.Free},
		"a refutation":               {heartbeat.Rearm, r, quota.Free},
		"a return":                   {heartbeat.Resume, r, quota.Free},
		"another interval":           {heartbeat.Raise, r, quota.Free},
		"a deletion":                 {heartbeat.Remove, r, quota.Free},
		"the end of the retention":   {heartbeat.Retention, r, quota.Free},
		"a projection that was gone": {heartbeat.Repair, r, quota.Free},
	} {
		txn := heartbeat.Txn{Kind: c.kind, RecordOp: heartbeat.Put, Record: c.record}
		ops, err := operations(&txn, nil, nil)
		require.NoError(t, err)
		require.Equal(t, c.want, s.classOf(t.Context(), &txn, ops), name)
	}
	s.client.Gate = etcdtest.Gate(96)
	put := heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: at, RecordOp: heartbeat.Put, Record: smaller}
	_, err := s.Commit(t.Context(), &put)
	require.ErrorIs(t, err, heartbeat.ErrNoAdditions)
	require.ErrorIs(t, err, heartbeat.ErrFull, "which is a 507")
	_, err = s.Subscribe(t.Context(), &plugins.Subscription{ID: "s-full", Owner: "app-full"})
	require.ErrorIs(t, err, heartbeat.ErrNoAdditions)
	gone := heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Record: r, Change: heartbeat.Removed}
	_, err = s.Commit(t.Context(), &gone)
	require.NoError(t, err)
}
