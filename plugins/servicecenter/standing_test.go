package servicecenter

import (
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// squat takes the id that a microservice of ours would have, with a rule, a tag and
// an instance, through service-center's own API.
func squat(t *testing.T, owner, suffix string) (id string) {
	t.Helper()
	k := serviceKey(owner, infoOf(t), suffix)
	id = serviceIDOf(&k)
	status, _, answer := send(t, "POST", "/v4/default/registry/microservices", `{"service":{"serviceName":"squat`+owner+suffix+`","serviceId":"`+id+`"},
		"rules":[`+blackRule+`],"tags":{"a":"b"},"instances":[{`+instOf+`}]}`)
	require.Equal(t, 200, status, answer)
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
		r, _ := registered(t, owner)
		service, _, _ := split(r.ID)
		require.False(t, seen[service])
		seen[service] = true
		p, err := project(&r)
		require.NoError(t, err)
		require.Equal(t, "face_recognition-mec-"+service[:unguessable], p.key.ServiceName)
		status, body := get(t, "/v4/default/registry/microservices/"+service+"/instances")
		require.Equal(t, 200, status, body)
		require.Contains(t, body, string(r.ID[halfID:]))
		require.NotContains(t, body, "127.0.0.1:1")
		for _, prefix := range []string{"rules", "tags"} {
			got, err := store.client.Get(t.Context(), "/cse-sr/ms/"+prefix+"/default/default/"+service, clientv3.WithPrefix(), clientv3.WithCountOnly())
			require.NoError(t, err)
			require.Zero(t, got.Count)
		}
		status, _, _ = send(t, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"`+owner+`","serviceName":"`+p.key.ServiceName+`","version":"1.0.0"}}`)
		require.Equal(t, 403, status, "the name is ours too")
	}
	r, at := registered(t, "app-free")
	_, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, Record: r, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Change: heartbeat.Removed})
	require.NoError(t, err)
	got, err := store.client.Get(t.Context(), markPrefix+string(r.ID[:halfID]), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, got.Count, "its mark goes with the microservice")
}

// Between the choice of the id and the transaction somebody may take it: nothing is
// written then, and another is chosen.
func TestAPlaceThatIsTakenMeanwhileIsChosenAnew(t *testing.T) {
	const owner = "app-race"
	r := newRecord(t, owner)
	squat(t, owner, "")
	r.Seq = 1
	txn := heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added}
	_, err := store.Commit(t.Context(), &txn)
	require.ErrorIs(t, err, heartbeat.ErrTaken)
	s, err := store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.False(t, s.Exists() || s.Projection.Present())
	require.Zero(t, eventsOf(t, r.ID))
	again := newRecord(t, owner)
	require.NotEqual(t, r.ID[:halfID], again.ID[:halfID])
}

// The release before marked none of its microservices.
func TestAMicroserviceOfTheReleaseBeforeIsMarked(t *testing.T) {
	one, _ := registered(t, "app-before")
	service, _, _ := split(one.ID)
	_, err := store.client.Delete(t.Context(), markPrefix+service)
	require.NoError(t, err)
	two, _ := registered(t, "app-before")
	require.Equal(t, service, string(two.ID[:halfID]))
	got, err := store.client.Get(t.Context(), markPrefix+service)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	p, err := project(&one)
	require.NoError(t, err)
	require.Equal(t, path.GenerateServiceIndexKey(&p.key), string(got.Kvs[0].Value))
}

// A registration writes its microservice once, not with every instance.
func TestAMicroserviceThatIsThereIsNotWrittenAgain(t *testing.T) {
	r, at := registered(t, "app-once")
	service, _, _ := split(r.ID)
	registered(t, "app-once")
	got, err := store.client.Get(t.Context(), servicePrefix+service)
	require.NoError(t, err)
	require.EqualValues(t, at, got.Kvs[0].ModRevision)
	damaged := strings.Replace(string(got.Kvs[0].Value), `"status":"UP"`, `"status":"DOWN"`, 1)
	require.NotEqual(t, damaged, string(got.Kvs[0].Value))
	_, err = store.client.Put(t.Context(), servicePrefix+service, damaged)
	require.NoError(t, err)
	registered(t, "app-once")
	now, err := store.client.Get(t.Context(), servicePrefix+service)
	require.NoError(t, err)
	require.NotEqual(t, damaged, string(now.Kvs[0].Value), "but one that was altered is")
}
