package store

import (
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// squat takes the id that a microservice of ours would have, with a rule, a tag and an
// instance, as service-center writes for a client.
func squat(t *testing.T, owner, suffix string) (id string) {
	t.Helper()
	k := serviceKey(owner, storetest.Info(t), suffix)
	id = keys.ServiceIDOf(&k)
	const under = "/cse-sr/ms/"
	for key, value := range map[string]string{
		keys.ServicePrefix + id: `{"serviceId":"` + id + `","serviceName":"squat` + owner + suffix + `"}`, keys.IndexPrefix + "/default/squat" + owner + suffix + "/1.0.0": id,
		under + "rules/default/default/" + id + "/r": `{"ruleType":"BLACK"}`, keys.TagPrefix + id: `{"a":"b"}`,
		keys.InstancePrefix + id + "/foreign": `{"instanceId":"foreign","endpoints":["rest://127.0.0.1:1"]}`, keys.LeasePrefix + id + "/foreign": "7",
	} {
		_, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	return id
}

// Nothing that a ServiceComb client made before us under an id of ours becomes ours,
// nor stands in the way: its rule would hide our service, its instance would be called.
func TestAMicroserviceOfAStrangerIsNotAdopted(t *testing.T) {
	const owner = "app-squat"
	first := squat(t, owner, "")
	second := squat(t, owner, foreignSuffix)
	seen := map[string]bool{first: true, second: true}
	for range 2 { // where both are taken, an id that nobody can take in advance
		r, _ := storetest.Register(t, store, owner)
		service, _, _ := keys.Split(r.ID)
		require.False(t, seen[service])
		seen[service] = true
		p, err := project(&r)
		require.NoError(t, err)
		require.Equal(t, "face_recognition-mec-"+service[:unguessable], p.key.ServiceName)
		got, err := store.client.Get(t.Context(), keys.InstancePrefix+service, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		require.NoError(t, err)
		require.Len(t, got.Kvs, 1)
		require.Contains(t, string(got.Kvs[0].Key), string(r.ID[keys.IDLength:]))
		for _, prefix := range []string{"rules", "tags"} {
			got, err := store.client.Get(t.Context(), "/cse-sr/ms/"+prefix+"/default/default/"+service, clientv3.WithPrefix(), clientv3.WithCountOnly())
			require.NoError(t, err)
			require.Zero(t, got.Count)
		}
	}
	r, at := storetest.Register(t, store, "app-free")
	_, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, Record: r, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Change: heartbeat.Removed})
	require.NoError(t, err)
	got, err := store.client.Get(t.Context(), keys.MarkPrefix+string(r.ID[:keys.IDLength]), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, got.Count, "its mark goes with the microservice")
}

// Between the choice of the id and the transaction somebody may take it: nothing is
// written then, and another is chosen.
func TestAPlaceThatIsTakenMeanwhileIsChosenAnew(t *testing.T) {
	const owner = "app-race"
	r := storetest.NewRecord(t, store, owner)
	squat(t, owner, "")
	r.Seq = 1
	txn := heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added}
	_, err := store.Commit(t.Context(), &txn)
	require.ErrorIs(t, err, heartbeat.ErrTaken)
	s, err := store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.False(t, s.Exists() || s.Projection.Present())
	require.Zero(t, eventsOf(t, r.ID))
	again := storetest.NewRecord(t, store, owner)
	require.NotEqual(t, r.ID[:keys.IDLength], again.ID[:keys.IDLength])
}

// The previous release marked none of its microservices.
func TestAMicroserviceOfTheReleaseBeforeIsMarked(t *testing.T) {
	one, _ := storetest.Register(t, store, "app-before")
	service, _, _ := keys.Split(one.ID)
	_, err := store.client.Delete(t.Context(), keys.MarkPrefix+service)
	require.NoError(t, err)
	two, _ := storetest.Register(t, store, "app-before")
	require.Equal(t, service, string(two.ID[:keys.IDLength]))
	got, err := store.client.Get(t.Context(), keys.MarkPrefix+service)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	p, err := project(&one)
	require.NoError(t, err)
	require.Equal(t, path.GenerateServiceIndexKey(&p.key), string(got.Kvs[0].Value))
}

// A registration writes its microservice once, not with every instance.
func TestAMicroserviceThatIsThereIsNotWrittenAgain(t *testing.T) {
	r, at := storetest.Register(t, store, "app-once")
	service, _, _ := keys.Split(r.ID)
	storetest.Register(t, store, "app-once")
	got, err := store.client.Get(t.Context(), keys.ServicePrefix+service)
	require.NoError(t, err)
	require.EqualValues(t, at, got.Kvs[0].ModRevision)
	damaged := strings.Replace(string(got.Kvs[0].Value), `"status":"UP"`, `"status":"DOWN"`, 1)
	require.NotEqual(t, damaged, string(got.Kvs[0].Value))
	_, err = store.client.Put(t.Context(), keys.ServicePrefix+service, damaged)
	require.NoError(t, err)
	storetest.Register(t, store, "app-once")
	now, err := store.client.Get(t.Context(), keys.ServicePrefix+service)
	require.NoError(t, err)
	require.NotEqual(t, damaged, string(now.Kvs[0].Value), "but one that was altered is")
}

// What is there when the microservice is looked at may be another client's by the time of
// the transaction.
func TestAMicroserviceTakenBetweenTheLookAndTheTransaction(t *testing.T) {
	const owner = "app-between"
	r := storetest.NewRecord(t, store, owner)
	p, err := project(&r)
	require.NoError(t, err)
	st, err := store.findService(t.Context(), string(r.ID[:keys.IDLength]), path.GenerateServiceIndexKey(&p.key), false)
	require.NoError(t, err)
	require.True(t, st.ours())
	squat(t, owner, "")
	txn := heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added}
	res, _, err := store.transact(t.Context(), &txn, &st, nil)
	require.NoError(t, err)
	require.False(t, res.Succeeded)
}
