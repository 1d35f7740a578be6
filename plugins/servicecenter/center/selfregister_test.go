package center

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
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// entered registers this replica as service-center until the test ends.
func entered(t *testing.T) *Registration {
	t.Helper()
	e := NewRegistration(db, plugins.NewLog(logged, "INFO"), "0123456789abcdef", "rest://10.0.0.1:30100")
	e.Ensure(t.Context())
	require.False(t, e.warned)
	t.Cleanup(func() { e.Leave(t.Context()) })
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
	out := storetest.Everything(t, db)
	maps.DeleteFunc(out, func(key, value string) bool {
		return !strings.Contains(key+value, SelfServiceID) && !strings.Contains(key+value, selfKey.ServiceName)
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
	e.Leave(t.Context())
	got2, err := db.Get(t.Context(), keys.InstancePrefix+SelfServiceID, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, got2.Count)
}

// Its lease is renewed without a write, and goes with the replica.
func TestTheRegistrationOfServiceCenterIsRenewedWithoutAWrite(t *testing.T) {
	e := entered(t)
	ttl := func() int64 {
		res, err := db.TimeToLive(t.Context(), clientv3.LeaseID(e.lease))
		require.NoError(t, err)
		return res.TTL
	}
	require.Eventually(t, func() bool { return ttl() < selfTTL-1 }, 10*time.Second, 20*time.Millisecond)
	before := aboutSelf(t)
	e.Ensure(t.Context())
	require.Equal(t, before, aboutSelf(t))
	require.GreaterOrEqual(t, ttl(), int64(selfTTL-1))
	require.Contains(t, before, keys.MarkPrefix+SelfServiceID)
}

// Whatever is done to it past service-center's API, the next look puts it right.
func TestTheRegistrationOfServiceCenterIsPutRight(t *testing.T) {
	e := entered(t)
	instance, lease := e.keys()
	const gone = ""
	stranger := keys.InstancePrefix + SelfServiceID + "/stranger"
	for _, damage := range []map[string]string{
		{keys.MarkPrefix + SelfServiceID: gone}, {keys.MarkPrefix + SelfServiceID: "x"}, {keys.ServicePrefix + SelfServiceID: gone}, {keys.ServicePrefix + SelfServiceID: "{"},
		{selfIndex: gone}, {selfIndex: "somebody"}, {instance: gone}, {instance: "{}"}, {lease: gone}, {lease: "7"}, {instance: gone, lease: gone},
		{keys.MarkPrefix + SelfServiceID: gone, keys.ServicePrefix + SelfServiceID: gone, selfIndex: gone, instance: gone, lease: gone},
		{stranger: `{"instanceId":"stranger","serviceId":"` + SelfServiceID + `","endpoints":["rest://10.9.9.9:1"],"status":"UP"}`, keys.LeasePrefix + SelfServiceID + "/stranger": "7"},
		{keys.InstancePrefix + SelfServiceID + "/mep-0123456789abcde0": `{"instanceId":"mep-0123456789abcde0"}`},
		{selfNames + "9.9.9": "somebody"}, {selfAliases + "9.9.9": "somebody"},
	} {
		for key, value := range damage {
			var err error
			if value == gone {
				_, err = db.Delete(t.Context(), key)
			} else {
				_, err = db.Put(t.Context(), key, value)
			}
			require.NoError(t, err)
		}
		e.Ensure(t.Context())
		require.False(t, e.warned, "%v", damage)
		require.Eventually(t, func() bool {
			got := healthy(t)
			return len(got) == 1 && got[0].InstanceId == e.instanceID() && got[0].Endpoints[0] == "rest://10.0.0.1:30100"
		}, 5*time.Second, 10*time.Millisecond, "%v", damage)
		for key := range storetest.Everything(t, db) {
			require.NotContains(t, key, "stranger", "%v", damage)
			require.NotContains(t, key, "9.9.9", "%v", damage)
		}
	}
	require.NoError(t, db.RevokeLease(t.Context(), e.lease))
	e.Ensure(t.Context())
	require.Len(t, healthy(t), 1, "its lease had run out")
}

// A client that was there first has neither the name nor what he put below the id.
func TestTheNameOfServiceCenterIsTakenFromWhoHadIt(t *testing.T) {
	centertest.DrivesControllers(t)
	e := entered(t)
	e.Leave(t.Context())
	for key, value := range map[string]string{
		keys.ServicePrefix + "squatter": `{"serviceId":"squatter","appId":"default","serviceName":"SERVICECENTER","version":"` + selfKey.Version + `"}`, selfIndex: "squatter",
		keys.InstancePrefix + SelfServiceID + "/mep-fedcba9876543210": `{"instanceId":"mep-fedcba9876543210","serviceId":"` + SelfServiceID + `","endpoints":["rest://10.9.9.9:1"]}`,
		keys.TagPrefix + SelfServiceID:                                `{"a":"b"}`,
	} {
		_, err := db.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	_, err := db.Delete(t.Context(), keys.MarkPrefix+SelfServiceID)
	require.NoError(t, err)
	e.Ensure(t.Context())
	require.Eventually(t, func() bool { got := healthy(t); return len(got) == 1 && got[0].InstanceId == e.instanceID() }, 5*time.Second, 10*time.Millisecond)
	require.NotContains(t, storetest.Everything(t, db), keys.TagPrefix+SelfServiceID)
	_, err = db.Delete(t.Context(), keys.ServicePrefix+"squatter")
	require.NoError(t, err)
}

// service-center's own API can neither change it nor take its name.
func TestTheRegistrationOfServiceCenterIsNobodysElse(t *testing.T) {
	centertest.DrivesControllers(t)
	e := entered(t)
	before := aboutSelf(t)
	const root = "/v4/default/registry/microservices"
	one := root + "/" + SelfServiceID
	for _, c := range [][3]string{
		{"POST", root, `{"service":{"appId":"default","serviceName":"SERVICECENTER","version":"` + selfKey.Version + `"},"instances":[{` + centertest.Instance + `}]}`},
		{"POST", root, `{"service":{"appId":"default","serviceName":"SERVICECENTER","version":"9.9.9"}}`},
		{"POST", root, `{"service":{"appId":"default","serviceName":"SERVICECENTER","version":"9.9.9","environment":"production"}}`},
		{"POST", root, `{"service":{"serviceName":"SERVICECENTER","version":"9.9.8"}}`},
		{"POST", root, `{"service":{"serviceName":"other","alias":"SERVICECENTER","version":"9.9.9"}}`},
		{"POST", root, `{"service":{"serviceName":"other2","serviceId":"` + SelfServiceID + `","version":"9.9.9"}}`},
		{"POST", one + "/instances", `{"instance":{` + centertest.Instance + `}}`},
		{"POST", one + "/instances", `{"instance":{"instanceId":"` + e.instanceID() + `",` + centertest.Instance + `}}`},
		{"PUT", one + "/instances/" + e.instanceID() + "/heartbeat", ""},
		{"PUT", one + "/instances/" + e.instanceID() + "/status?value=DOWN", ""},
		{"PUT", one + "/instances/" + e.instanceID() + "/properties", `{"properties":{"a":"b"}}`},
		{"PUT", one + "/properties", `{"properties":{"a":"b"}}`},
		{"DELETE", one + "/instances/" + e.instanceID(), ""},
		{"DELETE", one + "?force=true", ""},
		{"DELETE", root, `{"serviceIds":["` + SelfServiceID + `"],"force":true}`},
		{"POST", one + "/rules", `{"rules":[` + centertest.BlackRule + `]}`},
		{"POST", one + "/tags", `{"tags":{"a":"b"}}`},
		{"PUT", "/v4/default/registry/heartbeats", `{"instances":[{"serviceId":"` + SelfServiceID + `","instanceId":"` + e.instanceID() + `"}]}`},
		{"POST", "/v4/default/registry/dependencies", `{"dependencies":[{"consumer":{"appId":"default","serviceName":"SERVICECENTER","version":"` + selfKey.Version + `"},"providers":[{"serviceName":"*"}]}]}`},
	} {
		status, _, body := web.Send(t, c[0], c[1], c[2])
		require.Equal(t, 403, status, "%v: %s", c, body)
	}
	require.Equal(t, before, aboutSelf(t))
}
