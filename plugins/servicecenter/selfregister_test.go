package servicecenter

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
)

// entered registers this replica as service-center until the test ends.
func entered(t *testing.T) *selfEntry {
	t.Helper()
	e := newSelfEntry(store.client, plugins.NewLog(logged, "INFO"), store.Name(), "10.0.0.1:30100")
	e.keep(t.Context())
	require.False(t, e.warned)
	t.Cleanup(func() { e.leave(t.Context()) })
	return e
}

// healthy are the instances that registry/health shows; nil: it is not 200.
func healthy(t *testing.T) []*discovery.MicroServiceInstance {
	t.Helper()
	status, body := web.Get(t, "/v4/default/registry/health")
	if status != 200 {
		return nil
	}
	var out discovery.GetInstancesResponse
	require.NoError(t, json.Unmarshal([]byte(body), &out))
	return out.Instances
}

// aboutSelf is what the store holds about service-center's registration of itself. What
// else service-center is at meanwhile, for other tests, is of no concern.
func aboutSelf(t *testing.T) map[string]string {
	t.Helper()
	out := everything(t)
	maps.DeleteFunc(out, func(key, value string) bool {
		return !strings.Contains(key+value, selfID) && !strings.Contains(key+value, selfKey.ServiceName)
	})
	return out
}

func TestHealthShowsThisReplicaUntilItLeaves(t *testing.T) {
	e := entered(t)
	got := healthy(t)
	require.Len(t, got, 1)
	require.Equal(t, []string{"rest://10.0.0.1:30100"}, got[0].Endpoints)
	require.Equal(t, "UP", got[0].Status)
	status, body := web.Get(t, "/v4/default/registry/instances?appId=default&serviceName=SERVICECENTER&version=0%2B")
	require.Equal(t, 200, status, "java-chassis looks for service-center by its name")
	require.Contains(t, body, "rest://10.0.0.1:30100")
	status, body = web.Get(t, "/v4/default/govern/microservices?options=instances")
	require.Equal(t, 200, status)
	require.NotContains(t, body, "SERVICECENTER", "who wants to see it, asks withShared")
	e.leave(t.Context())
	got2, err := store.client.Get(t.Context(), instancePrefix+selfID, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, got2.Count)
}

// Its lease is renewed without a write, and goes with the replica.
func TestTheRegistrationOfServiceCenterIsRenewedWithoutAWrite(t *testing.T) {
	e := entered(t)
	ttl := func() int64 {
		res, err := store.client.TimeToLive(t.Context(), clientv3.LeaseID(e.lease))
		require.NoError(t, err)
		return res.TTL
	}
	require.Eventually(t, func() bool { return ttl() < selfTTL-1 }, 10*time.Second, 20*time.Millisecond)
	before := aboutSelf(t)
	e.keep(t.Context())
	require.Equal(t, before, aboutSelf(t))
	require.GreaterOrEqual(t, ttl(), int64(selfTTL-1))
	require.Contains(t, before, markPrefix+selfID)
}

// Whatever is done to it past service-center's API, the next look puts it right.
func TestTheRegistrationOfServiceCenterIsPutRight(t *testing.T) {
	e := entered(t)
	instance, lease := e.keys()
	const gone = ""
	stranger := instancePrefix + selfID + "/stranger"
	for _, damage := range []map[string]string{
		{markPrefix + selfID: gone}, {markPrefix + selfID: "x"}, {servicePrefix + selfID: gone}, {servicePrefix + selfID: "{"},
		{selfIndex: gone}, {selfIndex: "somebody"}, {instance: gone}, {instance: "{}"}, {lease: gone}, {lease: "7"}, {instance: gone, lease: gone},
		{markPrefix + selfID: gone, servicePrefix + selfID: gone, selfIndex: gone, instance: gone, lease: gone},
		{stranger: `{"instanceId":"stranger","serviceId":"` + selfID + `","endpoints":["rest://10.9.9.9:1"],"status":"UP"}`, leasePrefix + selfID + "/stranger": "7"},
		{instancePrefix + selfID + "/mep-0123456789abcdef": `{"instanceId":"mep-0123456789abcdef"}`},
		{selfNames + "9.9.9": "somebody"}, {selfAliases + "9.9.9": "somebody"},
	} {
		for key, value := range damage {
			var err error
			if value == gone {
				_, err = store.client.Delete(t.Context(), key)
			} else {
				_, err = store.client.Put(t.Context(), key, value)
			}
			require.NoError(t, err)
		}
		e.keep(t.Context())
		require.False(t, e.warned, "%v", damage)
		require.Eventually(t, func() bool {
			got := healthy(t)
			return len(got) == 1 && got[0].InstanceId == e.instanceID() && got[0].Endpoints[0] == "rest://10.0.0.1:30100"
		}, 5*time.Second, 10*time.Millisecond, "%v", damage)
		for key := range everything(t) {
			require.NotContains(t, key, "stranger", "%v", damage)
			require.NotContains(t, key, "9.9.9", "%v", damage)
		}
	}
	require.NoError(t, store.Revoke(t.Context(), e.lease))
	e.keep(t.Context())
	require.Len(t, healthy(t), 1, "its lease had run out")
}

// A client that was there first has neither the name nor what he put below the id.
func TestTheNameOfServiceCenterIsTakenFromWhoHadIt(t *testing.T) {
	centertest.DrivesControllers(t)
	e := entered(t)
	e.leave(t.Context())
	for key, value := range map[string]string{
		servicePrefix + "squatter": `{"serviceId":"squatter","appId":"default","serviceName":"SERVICECENTER","version":"` + selfKey.Version + `"}`, selfIndex: "squatter",
		instancePrefix + selfID + "/mep-fedcba9876543210": `{"instanceId":"mep-fedcba9876543210","serviceId":"` + selfID + `","endpoints":["rest://10.9.9.9:1"]}`,
		tagPrefix + selfID: `{"a":"b"}`,
	} {
		_, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	_, err := store.client.Delete(t.Context(), markPrefix+selfID)
	require.NoError(t, err)
	e.keep(t.Context())
	require.Eventually(t, func() bool { got := healthy(t); return len(got) == 1 && got[0].InstanceId == e.instanceID() }, 5*time.Second, 10*time.Millisecond)
	require.NotContains(t, everything(t), tagPrefix+selfID)
	_, err = store.client.Delete(t.Context(), servicePrefix+"squatter")
	require.NoError(t, err)
}

// Nothing of it is a service of Mp1's, neither list nor watch nor tidying takes it for a
// stranger, and service-center's own API can neither change it nor take its name.
func TestTheRegistrationOfServiceCenterIsNobodysElse(t *testing.T) {
	centertest.DrivesControllers(t)
	e := entered(t)
	instance, _ := e.keys()
	mended(t)
	before := aboutSelf(t)
	all, _, err := store.List(t.Context())
	require.NoError(t, err)
	for _, l := range all {
		require.False(t, strings.HasPrefix(string(l.ID), selfID))
	}
	require.NoError(t, store.Tidy(t.Context(), 0, time.Now().UnixNano(), time.Hour))
	mended(t)
	require.Contains(t, everything(t), servicePrefix+selfID)
	require.Contains(t, everything(t), markPrefix+selfID)
	_, ok := seatIn(instance)
	require.False(t, ok, "the watch passes over it")

	const root = "/v4/default/registry/microservices"
	one := root + "/" + selfID
	for _, c := range [][3]string{
		{"POST", root, `{"service":{"appId":"default","serviceName":"SERVICECENTER","version":"` + selfKey.Version + `"},"instances":[{` + centertest.Instance + `}]}`},
		{"POST", root, `{"service":{"appId":"default","serviceName":"SERVICECENTER","version":"9.9.9"}}`},
		{"POST", root, `{"service":{"appId":"default","serviceName":"SERVICECENTER","version":"9.9.9","environment":"production"}}`},
		{"POST", root, `{"service":{"serviceName":"SERVICECENTER","version":"9.9.8"}}`},
		{"POST", root, `{"service":{"serviceName":"other","alias":"SERVICECENTER","version":"9.9.9"}}`},
		{"POST", root, `{"service":{"serviceName":"other2","serviceId":"` + selfID + `","version":"9.9.9"}}`},
		{"POST", one + "/instances", `{"instance":{` + centertest.Instance + `}}`},
		{"POST", one + "/instances", `{"instance":{"instanceId":"` + e.instanceID() + `",` + centertest.Instance + `}}`},
		{"PUT", one + "/instances/" + e.instanceID() + "/heartbeat", ""},
		{"PUT", one + "/instances/" + e.instanceID() + "/status?value=DOWN", ""},
		{"PUT", one + "/instances/" + e.instanceID() + "/properties", `{"properties":{"a":"b"}}`},
		{"PUT", one + "/properties", `{"properties":{"a":"b"}}`},
		{"DELETE", one + "/instances/" + e.instanceID(), ""},
		{"DELETE", one + "?force=true", ""},
		{"DELETE", root, `{"serviceIds":["` + selfID + `"],"force":true}`},
		{"POST", one + "/rules", `{"rules":[` + centertest.BlackRule + `]}`},
		{"POST", one + "/tags", `{"tags":{"a":"b"}}`},
		{"PUT", "/v4/default/registry/heartbeats", `{"instances":[{"serviceId":"` + selfID + `","instanceId":"` + e.instanceID() + `"}]}`},
		{"POST", "/v4/default/registry/dependencies", `{"dependencies":[{"consumer":{"appId":"default","serviceName":"SERVICECENTER","version":"` + selfKey.Version + `"},"providers":[{"serviceName":"*"}]}]}`},
	} {
		status, _, body := web.Send(t, c[0], c[1], c[2])
		require.Equal(t, 403, status, "%v: %s", c, body)
	}
	require.Equal(t, before, aboutSelf(t))
}

// The microservice stays when the last replica has gone for a while: another one's tidying
// or list may come before its instance is back.
func TestTheMicroserviceOfServiceCenterOutlivesItsInstances(t *testing.T) {
	e := entered(t)
	e.leave(t.Context())
	mended(t)
	require.NoError(t, store.Tidy(t.Context(), 0, time.Now().UnixNano(), time.Hour))
	require.Contains(t, everything(t), markPrefix+selfID)
	require.Contains(t, everything(t), servicePrefix+selfID)
}
