package servicecenter

import (
	"strconv"
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// Whoever reaches etcd can damage whatever is about ours. One list later all is as it
// was, whatever is a ServiceComb client's is as he left it, and no consumer of Mp1 was
// told of anything.
func TestAListPutsRightWhatOthersChanged(t *testing.T) {
	r, _ := storetest.Register(t, store, "app-mend")
	twin, _ := storetest.Register(t, store, "app-mend")
	at, other := seatOf(r.ID, ""), seatOf(twin.ID, "")
	p, err := project(&r)
	require.NoError(t, err)
	index := path.GenerateServiceIndexKey(&p.key)
	name := strings.TrimPrefix(index, indexPrefix)
	squat(t, "app-mended", "")
	squat(t, "app-mended", foreignSuffix)
	third, _ := storetest.Register(t, store, "app-mended") // at an id that nobody could know
	k, err := project(&third)
	require.NoError(t, err)
	unknown := seatOf(third.ID, "").service
	mended(t)
	before := everything(t)

	const under = "/cse-sr/ms/"
	put, gone := "x", ""
	for _, damage := range []map[string]string{
		{servicePrefix + at.service: gone},
		{servicePrefix + at.service: "{"},
		{servicePrefix + at.service: strings.Replace(before[servicePrefix+at.service][2:], `"status":"UP"`, `"status":"DOWN"`, 1)},
		{servicePrefix + at.service: strings.Replace(before[servicePrefix+at.service][2:], `face_recognition`, `other`, 1)},
		{index: gone}, {index: "stranger"},
		{markPrefix + at.service: gone}, {markPrefix + at.service: put}, {markPrefix + at.service: indexPrefix + "/a/b/1"},
		{markPrefix + at.service: gone, servicePrefix + at.service: `{"serviceId":"squat"}`, index: put},
		{markPrefix + unknown: gone}, {markPrefix + hashOf(path.GenerateServiceIndexKey(&k.key)): gone}, {servicePrefix + unknown: gone, markPrefix + unknown: gone},
		{aliasPrefix + name: put}, {aliasPrefix + "/a/nick/1.0.0": at.service}, {indexPrefix + "/a/b/1.0.0": at.service},
		{instancePrefix + at.service + "/foreign": `{"instanceId":"foreign","serviceId":"` + at.service + `","status":"UP"}`},
		{instancePrefix + at.service + "/" + strings.Repeat("e", halfID): `{}`},
		{instancePrefix + at.service + "/a/b": `{}`},
		{leasePrefix + at.service + "/foreign": "7"}, {leasePrefix + at.service + "/" + at.instance: "7"}, {leasePrefix + other.service + "/" + other.instance: gone},
		{under + "rules/default/default/" + at.service + "/r": `{"ruleType":"BLACK"}`, under + "rule-indexes/default/default/" + at.service + "/ServiceName/.*": "r"},
		{under + "tags/default/default/" + at.service: `{"a":"b"}`},
		{under + "schemas/default/default/" + at.service + "/s": put, under + "schema-sum/default/default/" + at.service + "/s": put},
		{under + "dep-queue/default/default/" + at.service + "/0": `{"consumer":{"appId":"x","serviceName":"y","version":"1"},"providers":[]}`},
		{consumerPrefix + name: `{"Dependency":[{"serviceName":"*"}]}`},
		{providerPrefix + "/a/b/1.0.0": `{"Dependency":[{"appId":"` + p.key.AppId + `","serviceName":"` + p.key.ServiceName + `","version":"` + p.key.Version + `"}]}`},
	} {
		for key, value := range damage {
			if value == gone {
				_, err = store.client.Delete(t.Context(), key)
			} else {
				_, err = store.client.Put(t.Context(), key, value)
			}
			require.NoError(t, err)
		}
		require.NotEqual(t, before, everything(t), "%v", damage)
		mended(t)
		after := everything(t)
		for key, value := range before {
			require.Equal(t, value, after[key], "%s after %v", key, damage)
		}
		for key := range after {
			require.Contains(t, before, key, "after %v", damage)
		}
	}
	for _, id := range []heartbeat.ID{r.ID, twin.ID, third.ID} {
		require.EqualValues(t, 1, eventsOf(t, id), "nobody is told")
	}
}

// Dependencies of ServiceComb clients on ours stay, and so do the other consumers of a
// provider on which ours was made to depend.
func TestWhatIsAClientsIsNotPutRight(t *testing.T) {
	r, _ := storetest.Register(t, store, "app-mend-client")
	p, err := project(&r)
	require.NoError(t, err)
	name := strings.TrimPrefix(path.GenerateServiceIndexKey(&p.key), indexPrefix)
	client := `{"tenant":"default/default","appId":"shop","serviceName":"cart","version":"1.0.0"}`
	keys := map[string]string{
		providerPrefix + name: `{"Dependency":[` + client + `]}`, consumerPrefix + "/shop/cart/1.0.0": `{"Dependency":[{"appId":"app-mend-client"}]}`,
		servicePrefix + "mend-client": `{"serviceId":"mend-client"}`, indexPrefix + "/shop/cart/1.0.0": "mend-client",
		instancePrefix + "mend-client/i": `{}`, leasePrefix + "mend-client/i": "7", tagPrefix + "mend-client": `{"a":"b"}`,
	}
	for key, value := range keys {
		_, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	mixed := providerPrefix + "/shop/stock/1.0.0"
	_, err = store.client.Put(t.Context(), mixed, `{"Dependency":[`+client+`,{"appId":"`+p.key.AppId+`","serviceName":"`+p.key.ServiceName+`","version":"`+p.key.Version+`"}]}`)
	require.NoError(t, err)
	keys[mixed] = `{"Dependency":[` + client + `]}`
	mended(t)
	for key, value := range keys {
		got, err := store.client.Get(t.Context(), key)
		require.NoError(t, err)
		require.Len(t, got.Kvs, 1, key)
		require.Equal(t, value, string(got.Kvs[0].Value), key)
		_, err = store.client.Delete(t.Context(), key)
		require.NoError(t, err)
	}
	got, err := store.client.Get(t.Context(), leasePrefix+string(r.ID[:halfID])+"/"+string(r.ID[halfID:]))
	require.NoError(t, err)
	require.Equal(t, strconv.FormatInt(int64(r.Lease), 10), string(got.Kvs[0].Value))
}

// A list that finds all as it should be writes nothing.
func TestAListOfWhatIsRightWritesNothing(t *testing.T) {
	storetest.Register(t, store, "app-mend-not")
	mended(t)
	before := everything(t)
	for range 2 {
		mended(t)
	}
	require.Equal(t, before, everything(t))
}
