package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-chassis/cari/discovery"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// asBefore puts the projection of a record as the previous release did, and returns how it
// is now and was before.
func asBefore(t *testing.T, r *heartbeat.Record) (now, before map[string]string) {
	t.Helper()
	at := keys.InstanceOf(r.ID, "")
	p, err := project(r)
	require.NoError(t, err)
	storetest.Repaired(t, store) // whatever another test has left
	now = map[string]string{keys.ServicePrefix + at.ServiceID: storetest.Value(t, store.client, keys.ServicePrefix+at.ServiceID), at.Key(): storetest.Value(t, store.client, at.Key())}
	file, err := json.Marshal(forOwnApp(at.ServiceID, &p.key, r.Owner, p.info.SerName, p.info.Version, unix(r.RegisteredAt)))
	require.NoError(t, err)
	instance, err := p.instanceBefore()
	require.NoError(t, err)
	before = map[string]string{keys.ServicePrefix + at.ServiceID: string(file), at.Key(): instance}
	for key, value := range before {
		require.NotEqual(t, now[key], value)
		_, err = store.client.Put(t.Context(), key, value, clientv3.WithIgnoreLease())
		require.NoError(t, err)
	}
	return now, before
}

// differing says whether the engine's sweep would put the instance anew.
func differing(t *testing.T, id heartbeat.ID) bool {
	t.Helper()
	all, _, err := store.List(t.Context())
	require.NoError(t, err)
	for _, l := range all {
		if l.ID == id {
			return l.Projection.Differs
		}
	}
	require.Fail(t, "not listed")
	return false
}

// What the previous release put is brought up to date by the next list: the microservice
// gets the property without which no consumer of another appId finds it, and keeps the
// others; the instance gets the endpoints that ServiceComb's clients call. Nobody had
// changed anything, so nothing is said of damage.
func TestWhatTheReleaseBeforePutIsBroughtUpToDate(t *testing.T) {
	r, _ := storetest.Register(t, store, "app-release")
	storetest.Register(t, store, "app-release")
	at := keys.InstanceOf(r.ID, "")
	now, before := asBefore(t, &r)
	require.NotContains(t, before[keys.ServicePrefix+at.ServiceID], crossAppProperty)
	require.Contains(t, before[at.Key()], `"endpoints":["http://10.0.0.5:80"]`)
	count := func(kind string) float64 { return testutil.ToFloat64(store.repairs.counter.WithLabelValues(kind)) }
	updated, damaged := count(updatedRelease), count(repairedService)
	storetest.Repaired(t, store)
	require.Equal(t, now[keys.ServicePrefix+at.ServiceID], storetest.Value(t, store.client, keys.ServicePrefix+at.ServiceID))
	var is discovery.MicroService
	require.NoError(t, json.Unmarshal([]byte(storetest.Value(t, store.client, keys.ServicePrefix+at.ServiceID)), &is))
	require.Equal(t, map[string]string{"allowCrossApp": "true", "mec.serName": "face recognition", "mec.version": "v2", ownerProperty: "app-release"}, is.Properties)
	require.Equal(t, updated+1, count(updatedRelease))
	require.Equal(t, damaged, count(repairedService))
	storetest.Repaired(t, store)
	require.Equal(t, updated+1, count(updatedRelease), "once")
	require.True(t, differing(t, r.ID), "the engine's sweep puts the instance anew")
}

// As long as a replica of the previous release lives, it puts its own form back wherever it
// finds another: what is in it is left alone then, or the two would write every instance
// anew in turns. What is in neither form is put right all the same.
func TestTheFormOfAnOlderReplicaIsLeftAloneWhileItLives(t *testing.T) {
	r, _ := storetest.Register(t, store, "app-roll")
	at := keys.InstanceOf(r.ID, "")
	_, before := asBefore(t, &r)
	put := func(word string) { // as the watch shows it
		const older = "00000000000000aa"
		ev := &clientv3.Event{Type: mvccpb.PUT, Kv: &mvccpb.KeyValue{Key: []byte(keys.ReplicaPrefix + older), Value: []byte(word), Lease: 7}}
		if word == "" {
			ev.Type = mvccpb.DELETE
		}
		store.replicas.observe([]*clientv3.Event{ev}, heartbeat.New(heartbeat.Config{}))
	}
	put(`{"listen":"127.0.0.1:1","settled":1}`)
	t.Cleanup(func() { put("") })
	storetest.Repaired(t, store)
	require.Equal(t, before[keys.ServicePrefix+at.ServiceID], storetest.Value(t, store.client, keys.ServicePrefix+at.ServiceID))
	require.False(t, differing(t, r.ID))
	_, err := store.client.Put(t.Context(), at.Key(), strings.Replace(before[at.Key()], "10.0.0.5", "10.0.0.6", 1), clientv3.WithIgnoreLease())
	require.NoError(t, err)
	require.True(t, differing(t, r.ID))
	_, err = store.client.Put(t.Context(), at.Key(), before[at.Key()], clientv3.WithIgnoreLease())
	require.NoError(t, err)

	put(`{"listen":"127.0.0.1:1","settled":1,"projection":"` + ProjectionForm + `"}`) // it was upgraded
	require.True(t, differing(t, r.ID))
	put(`{"listen":"127.0.0.1:1","settled":1}`)
	require.False(t, differing(t, r.ID))
	put("") // it left
	require.True(t, differing(t, r.ID))
	storetest.Repaired(t, store)
	require.Contains(t, storetest.Value(t, store.client, keys.ServicePrefix+at.ServiceID), crossAppProperty)
	unknown := newReplicas()
	unknown.unlisted = true
	require.True(t, unknown.older(), "of a cluster that was not listed yet nobody knows")
	unknown.relist(map[string]bool{}, map[string]bool{})
	require.False(t, unknown.older())
}

// A console shows why an instance is not to be used. The release before does not know the word,
// and takes it away.
func TestAnInstanceThatIsNotActiveSaysWhy(t *testing.T) {
	r := storetest.NewRecord(t, store, "app-reason")
	instance := func() string {
		p, err := project(&r)
		require.NoError(t, err)
		text, err := p.instance()
		require.NoError(t, err)
		without, err := p.instanceWithoutReason()
		require.NoError(t, err)
		require.False(t, differs(&r, []byte(text), false))
		require.False(t, differs(&r, []byte(without), true), "while a replica of the release before lives")
		require.Equal(t, text != without, differs(&r, []byte(without), false))
		return text
	}
	require.NotContains(t, instance(), "mec.reason")
	r.State, r.Cause = heartbeat.Suspended, heartbeat.Cause{Kind: heartbeat.BySilence, By: "mep-0"}
	require.Contains(t, instance(), `"mec.reason":"no heartbeat for 60 s (interval 30 s, window 60 s), decided by mep-0"`)
	r.State, r.Cause = heartbeat.Drained, heartbeat.Cause{Kind: heartbeat.ByDrain, By: "admin", Text: "disk is <replaced>"}
	require.Contains(t, instance(), `"mec.reason":"drained by admin: disk is <replaced>"`)
	require.Contains(t, instance(), `"status":"DOWN"`)
	require.Contains(t, instance(), `"mec.state":"INACTIVE"`)
}
