package store

import (
	"strconv"
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// Whoever reaches etcd can damage whatever is about ours. One list, or one look at what was
// written, later all is as it was, whatever is a ServiceComb client's is as he left it, and no
// consumer of Mp1 was told of anything.
func TestAListPutsRightWhatOthersChanged(t *testing.T) {
	putsRightWhatOthersChanged(t, func(damage func()) {
		damage()
		storetest.Repaired(t, store)
	})
}

func TestALookAtWhatWasWrittenPutsRightWhatOthersChanged(t *testing.T) {
	putsRightWhatOthersChanged(t, func(damage func()) {
		since := compared(t, store)
		damage()
		swept(t, store, since)
	})
}

func putsRightWhatOthersChanged(t *testing.T, repaired func(damage func())) {
	r, _ := storetest.Register(t, store, "app-mend")
	twin, _ := storetest.Register(t, store, "app-mend")
	at, other := keys.InstanceOf(r.ID, ""), keys.InstanceOf(twin.ID, "")
	p, err := project(&r)
	require.NoError(t, err)
	index := path.GenerateServiceIndexKey(&p.key)
	name := strings.TrimPrefix(index, keys.IndexPrefix)
	squat(t, "app-mended", "")
	squat(t, "app-mended", foreignSuffix)
	third, _ := storetest.Register(t, store, "app-mended") // at an id that nobody could know
	k, err := project(&third)
	require.NoError(t, err)
	unknown := keys.InstanceOf(third.ID, "").ServiceID
	storetest.Repaired(t, store)
	before := storetest.Everything(t, store.client)

	const under = "/cse-sr/ms/"
	put, gone := "x", ""
	for _, damage := range []map[string]string{
		{keys.ServicePrefix + at.ServiceID: gone},
		{keys.ServicePrefix + at.ServiceID: "{"},
		{keys.ServicePrefix + at.ServiceID: strings.Replace(before[keys.ServicePrefix+at.ServiceID][2:], `"status":"UP"`, `"status":"DOWN"`, 1)},
		{keys.ServicePrefix + at.ServiceID: strings.Replace(before[keys.ServicePrefix+at.ServiceID][2:], `face_recognition`, `other`, 1)},
		{index: gone}, {index: "stranger"},
		{keys.MarkPrefix + at.ServiceID: gone}, {keys.MarkPrefix + at.ServiceID: put}, {keys.MarkPrefix + at.ServiceID: keys.IndexPrefix + "/a/b/1"},
		{keys.MarkPrefix + at.ServiceID: gone, keys.ServicePrefix + at.ServiceID: `{"serviceId":"squat"}`, index: put},
		{keys.MarkPrefix + unknown: gone}, {keys.MarkPrefix + keys.ServiceIDAt(path.GenerateServiceIndexKey(&k.key)): gone}, {keys.ServicePrefix + unknown: gone, keys.MarkPrefix + unknown: gone},
		{keys.AliasPrefix + name: put}, {keys.AliasPrefix + "/a/nick/1.0.0": at.ServiceID}, {keys.IndexPrefix + "/a/b/1.0.0": at.ServiceID},
		{keys.InstancePrefix + at.ServiceID + "/foreign": `{"instanceId":"foreign","serviceId":"` + at.ServiceID + `","status":"UP"}`},
		{keys.InstancePrefix + at.ServiceID + "/" + strings.Repeat("e", keys.IDLength): `{}`},
		{keys.InstancePrefix + at.ServiceID + "/a/b": `{}`},
		{keys.LeasePrefix + at.ServiceID + "/foreign": "7"}, {keys.LeasePrefix + at.ServiceID + "/" + at.InstanceID: "7"}, {keys.LeasePrefix + other.ServiceID + "/" + other.InstanceID: gone},
		{under + "rules/default/default/" + at.ServiceID + "/r": `{"ruleType":"BLACK"}`, under + "rule-indexes/default/default/" + at.ServiceID + "/ServiceName/.*": "r"},
		{under + "tags/default/default/" + at.ServiceID: `{"a":"b"}`},
		{under + "schemas/default/default/" + at.ServiceID + "/s": put, under + "schema-sum/default/default/" + at.ServiceID + "/s": put},
		{under + "dep-queue/default/default/" + at.ServiceID + "/0": `{"consumer":{"appId":"x","serviceName":"y","version":"1"},"providers":[]}`},
		{keys.ConsumerPrefix + name: `{"Dependency":[{"serviceName":"*"}]}`},
		{keys.ProviderPrefix + "/a/b/1.0.0": `{"Dependency":[{"appId":"` + p.key.AppId + `","serviceName":"` + p.key.ServiceName + `","version":"` + p.key.Version + `"}]}`},
	} {
		repaired(func() {
			for key, value := range damage {
				if value == gone {
					_, err = store.client.Delete(t.Context(), key)
				} else {
					_, err = store.client.Put(t.Context(), key, value)
				}
				require.NoError(t, err)
			}
			require.NotEqual(t, before, storetest.Everything(t, store.client), "%v", damage)
		})
		after := storetest.Everything(t, store.client)
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
	for _, look := range []bool{false, true} {
		isNotPutRight(t, look)
	}
}

func isNotPutRight(t *testing.T, look bool) {
	r, _ := storetest.Register(t, store, "app-mend-client")
	p, err := project(&r)
	require.NoError(t, err)
	since := compared(t, store)
	name := strings.TrimPrefix(path.GenerateServiceIndexKey(&p.key), keys.IndexPrefix)
	client := `{"tenant":"default/default","appId":"shop","serviceName":"cart","version":"1.0.0"}`
	clients := map[string]string{
		keys.ProviderPrefix + name: `{"Dependency":[` + client + `]}`, keys.ConsumerPrefix + "/shop/cart/1.0.0": `{"Dependency":[{"appId":"app-mend-client"}]}`,
		keys.ServicePrefix + "mend-client": `{"serviceId":"mend-client"}`, keys.IndexPrefix + "/shop/cart/1.0.0": "mend-client",
		keys.InstancePrefix + "mend-client/i": `{}`, keys.LeasePrefix + "mend-client/i": "7", keys.TagPrefix + "mend-client": `{"a":"b"}`,
	}
	for key, value := range clients {
		_, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	mixed := keys.ProviderPrefix + "/shop/stock/1.0.0"
	_, err = store.client.Put(t.Context(), mixed, `{"Dependency":[`+client+`,{"appId":"`+p.key.AppId+`","serviceName":"`+p.key.ServiceName+`","version":"`+p.key.Version+`"}]}`)
	require.NoError(t, err)
	clients[mixed] = `{"Dependency":[` + client + `]}`
	if look {
		swept(t, store, since)
	} else {
		storetest.Repaired(t, store)
	}
	for key, value := range clients {
		got, err := store.client.Get(t.Context(), key)
		require.NoError(t, err)
		require.Len(t, got.Kvs, 1, key)
		require.Equal(t, value, string(got.Kvs[0].Value), key)
		_, err = store.client.Delete(t.Context(), key)
		require.NoError(t, err)
	}
	got, err := store.client.Get(t.Context(), keys.LeasePrefix+string(r.ID[:keys.IDLength])+"/"+string(r.ID[keys.IDLength:]))
	require.NoError(t, err)
	require.Equal(t, strconv.FormatInt(int64(r.Lease), 10), string(got.Kvs[0].Value))
}

// A list that finds all as it should be writes nothing.
func TestAListOfWhatIsRightWritesNothing(t *testing.T) {
	storetest.Register(t, store, "app-mend-not")
	storetest.Repaired(t, store)
	before := storetest.Everything(t, store.client)
	for range 2 {
		storetest.Repaired(t, store)
	}
	require.Equal(t, before, storetest.Everything(t, store.client))
}
