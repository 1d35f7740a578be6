package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func TestACommittedRecordIsReadBackWithItsProjection(t *testing.T) {
	r, at := storetest.Register(t, store, "app-read")
	s, err := store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, r, s.Record)
	require.Equal(t, at, s.At)
	require.Equal(t, heartbeat.Projection{Revision: at, Lease: r.Lease}, s.Projection)
	all, _, err := store.List(t.Context())
	require.NoError(t, err)
	for _, l := range all {
		if l.ID == r.ID {
			require.Equal(t, s, l.Snapshot, "and it is what it should be")
			return
		}
	}
	t.Fatal("not listed")
}

// The microservice stays for the SUSPENDED projection that follows, or the heartbeat.
func TestAnExtendedLeaseIsEndedWithItsProjectionOnly(t *testing.T) {
	r, at := storetest.Register(t, store, "app-expire")
	s, err := store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	end := heartbeat.Txn{Kind: heartbeat.Expire, RecordRevision: at, Record: s.Record, Presence: heartbeat.ProjectionAt, ProjectionRevision: s.Projection.Revision,
		ProjectionOp: heartbeat.Erase}
	_, err = store.Commit(t.Context(), &end)
	require.NoError(t, err)
	_, err = store.Commit(t.Context(), &end)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	s, err = store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.True(t, s.Absent())
	service, _, _ := keys.Split(r.ID)
	file, err := store.client.Get(t.Context(), "/cse-sr/ms/files/default/default/"+service)
	require.NoError(t, err)
	require.Len(t, file.Kvs, 1)
}

func TestTheEndOfALeaseTakesTheProjectionAndNotTheRecord(t *testing.T) {
	r, _ := storetest.Register(t, store, "app-lease")
	ttl, err := store.Renew(t.Context(), r.Lease)
	require.NoError(t, err)
	require.Equal(t, storetest.LongLease, ttl)
	require.NoError(t, store.Revoke(t.Context(), r.Lease))
	s, err := store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.True(t, s.Absent())
	_, err = store.Renew(t.Context(), r.Lease)
	require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
	_, err = store.Age(t.Context(), r.Lease)
	require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
	put := heartbeat.Txn{Kind: heartbeat.Rearm, RecordRevision: s.At, Record: s.Record, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put}
	_, err = store.Commit(t.Context(), &put)
	require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
	full, err := store.Pulse(t.Context())
	require.NoError(t, err)
	require.False(t, full)
}

func TestTheMicroserviceGoesWithItsLastInstance(t *testing.T) {
	one, at1 := storetest.Register(t, store, "app-last")
	two, at2 := storetest.Register(t, store, "app-last")
	service, _, _ := keys.Split(one.ID)
	has := func() bool {
		got, err := store.client.Get(t.Context(), keys.ServicePrefix+service, clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count == 1
	}
	remove := func(r heartbeat.Record, at heartbeat.Revision) {
		_, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, Record: r, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Change: heartbeat.Removed})
		require.NoError(t, err)
	}
	remove(one, at1)
	require.True(t, has())
	remove(two, at2)
	require.False(t, has())
	got, err := store.client.Get(t.Context(), "/cse-sr/ms/indexes/default/default//app-last/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, got.Count)
}

// A crash may come between the end of the last instance and that of its microservice.
func TestWhatCrashesLeaveIsErased(t *testing.T) {
	for _, look := range []bool{false, true} {
		r, _ := storetest.Register(t, store, "app-tidy")
		service, instance, _ := keys.Split(r.ID)
		since := compared(t, store)
		for _, key := range []string{keys.InstancePrefix + service + "/" + instance, keys.Record(r.ID)} {
			_, err := store.client.Delete(t.Context(), key)
			require.NoError(t, err)
		}
		if look {
			swept(t, store, since)
		} else {
			storetest.Repaired(t, store)
		}
		store.ages = plugins.Ages{}
		for _, now := range []plugins.Instant{1, 1 + plugins.OutboxAge} {
			require.NoError(t, store.Tidy(t.Context(), now, time.Now().UnixNano(), time.Hour))
		}
		for _, prefix := range []string{keys.ServicePrefix + service, keys.MarkPrefix + service, keys.OutboxPrefix + string(r.ID)} {
			got, err := store.client.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
			require.NoError(t, err)
			require.Zero(t, got.Count, prefix)
		}
	}
}

func TestOneBadRecordHarmsNobodyElse(t *testing.T) {
	r, _ := storetest.Register(t, store, "app-good")
	bad := keys.RecordPrefix + strings.Repeat("b", 64)
	for _, garbage := range []string{"", "{", "null", `{"Schema":99}`,
		`{"Schema":99,"ID":"` + strings.Repeat("b", 64) + `","Attributes":"{}"}`, strings.Repeat("x", 1<<16)} {
		_, err := store.client.Put(t.Context(), bad, garbage)
		require.NoError(t, err)
		all, _, err := store.List(t.Context())
		require.NoError(t, err)
		found := false
		for _, l := range all {
			found = found || l.ID == r.ID
			require.NotEqual(t, strings.Repeat("b", 64), string(l.ID))
		}
		require.True(t, found)
	}
	require.Equal(t, 1, store.unreadable.count())
	_, err := store.client.Delete(t.Context(), bad)
	require.NoError(t, err)
	_, _, err = store.List(t.Context())
	require.NoError(t, err)
	require.Zero(t, store.unreadable.count())
}

// Two services were missing after a start, and no line said so.
func TestARecordThatCannotBeReadIsSaidOnce(t *testing.T) {
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	s := storeAt(t, endpoint)
	var said strings.Builder
	s.log = plugins.NewLog(&said, "INFO")
	for _, id := range []string{"b", "c"} {
		_, err := s.client.Put(t.Context(), keys.RecordPrefix+strings.Repeat(id, 64), "{")
		require.NoError(t, err)
	}
	for range 3 {
		_, _, err := s.List(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(said.String(), "records of services cannot be read"), "%s", said.String())
	require.Contains(t, said.String(), keys.RecordPrefix+strings.Repeat("b", 64))
}

// A heartbeat must not be answered by what was known of an instance key that somebody
// else has overwritten since.
func TestAnInstanceOverwrittenFromOutsideIsLookedAtAgain(t *testing.T) {
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	s := storeAt(t, endpoint)
	r := registeredIn(t, s, "one")
	f := follow(t, s)
	require.NoError(t, f.Beat(t.Context(), r.ID, "").Err)
	put, err := s.client.Put(t.Context(), keys.InstanceOf(r.ID, "").Key(), `{"instanceId":"foreign"}`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.shown.Load() >= put.Header.Revision }, time.Minute, time.Millisecond)
	a := f.Beat(t.Context(), r.ID, "")
	require.NoError(t, a.Err)
	now, err := s.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.NotZero(t, now.Projection.Lease)
	require.Equal(t, a.Record.Lease, now.Projection.Lease, "it hangs on the lease that was renewed")
}

func TestAnotherSchemaIsRefused(t *testing.T) {
	require.NoError(t, store.CheckSchema(t.Context()))
	require.NoError(t, store.CheckSchema(t.Context()))
	_, err := store.client.Put(t.Context(), keys.Cluster, `{"schema":2}`)
	require.NoError(t, err)
	require.ErrorContains(t, store.CheckSchema(t.Context()), "another version")
	_, err = store.client.Delete(t.Context(), keys.Cluster)
	require.NoError(t, err)
}

func TestANameThatAServiceCombClientTookFirst(t *testing.T) {
	k := serviceKey("app-taken", storetest.Info(t), "")
	_, err := store.client.Put(t.Context(), "/cse-sr/ms/indexes/default/default/"+k.Environment+"/"+k.AppId+"/"+k.ServiceName+"/"+k.Version, "foreign")
	require.NoError(t, err)
	r, _ := storetest.Register(t, store, "app-taken")
	p, err := project(&r)
	require.NoError(t, err)
	require.Equal(t, "face_recognition-mec", p.key.ServiceName)
}

func TestNamesAndVersionsAreMapped(t *testing.T) {
	for in, want := range map[string]string{"a b": "a_b", "ok-1.x_y": "ok-1.x_y", "": "x", " ": "x", "-a-": "xax", "é/ü": "x_x", strings.Repeat("n", 300): strings.Repeat("n", 128)} {
		require.Equal(t, want, safeName(in, 128), in)
	}
	for in, want := range map[string]string{"1": "1", "1.2": "1.2", "1.2.3": "1.2.3", "v1": "1.0.0", "1.2.3.4": "1.0.0", "01.2": "1.0.0", "32768": "1.0.0", "32767.0.1": "32767.0.1", "": "1.0.0", "1..2": "1.0.0"} {
		require.Equal(t, want, safeVersion(in), in)
	}
}

// etcd leaves a request for progress unanswered while the watch begins behind its
// newest revision: an idle store was listed again every 15 s, and with each list
// silence counted anew.
func TestAnIdleStoreIsNotTakenForASilentWatch(t *testing.T) {
	t.Parallel()                                       // it waits: a busy machine must not look like silence
	require.NoError(t, store.CheckSchema(t.Context())) // no server watches a store in which nothing was ever written
	e := heartbeat.New(heartbeat.Config{Store: store, Clock: func() (plugins.Instant, int64) { return 0, 0 }})
	at, err := e.Load(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	require.ErrorIs(t, store.watch(ctx, store.engineRange(e), nil, &at, watchIntervals{ask: 20 * time.Millisecond, stall: 6 * time.Second}), context.DeadlineExceeded)
}
