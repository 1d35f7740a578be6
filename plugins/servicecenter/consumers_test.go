package servicecenter

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	etcdutil "github.com/apache/servicecomb-service-center/datasource/etcd/util"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/apache/servicecomb-service-center/server/notify"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

const registryV4 = "/v4/default/registry/"

// consumerOf registers a ServiceComb consumer and returns its serviceId.
func consumerOf(t *testing.T, app, name string) string {
	t.Helper()
	status, _, answer := web.Send(t, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"`+app+`","serviceName":"`+name+`","version":"1.0.0"}}`)
	require.Equal(t, 200, status, answer)
	var made struct{ ServiceID string }
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	return made.ServiceID
}

// findAs asks as a consumer does: for the service of an appId and a name, by their latest
// version.
func findAs(t *testing.T, consumer string, k *discovery.MicroServiceKey) (int, string) {
	t.Helper()
	status, _, body := web.Do(t, web.Request(t, "GET", "/v4/default/registry/instances?version=latest&appId="+k.AppId+"&serviceName="+k.ServiceName, "", "X-ConsumerId", consumer))
	return status, body
}

// keyOfOwner is the microservice of an application's service.
func keyOfOwner(owner string) *discovery.MicroServiceKey {
	return &discovery.MicroServiceKey{Tenant: keys.Tenant, AppId: owner, ServiceName: "face_recognition", Version: "1.0.0"}
}

// A ServiceComb consumer of another appId finds a service, and where it is called.
func TestAConsumerOfAnotherAppFindsAService(t *testing.T) {
	centertest.DrivesControllers(t)
	r, _ := storetest.Register(t, records, "app-cross")
	consumer := consumerOf(t, "shop", "cross-cart")
	require.Eventually(t, func() bool {
		status, body := findAs(t, consumer, keyOfOwner("app-cross"))
		return status == 200 && strings.Contains(body, `"endpoints":["http://10.0.0.5:80","rest://10.0.0.5:80"]`)
	}, 10*time.Second, 20*time.Millisecond)
	// now that it has a provider, a change of its tags is told it
	require.Eventually(t, func() bool {
		_, _, body := web.Send(t, "GET", "/v4/default/registry/microservices/"+consumer+"/providers", "")
		return strings.Contains(body, keys.InstanceOf(r.ID, "").ServiceID)
	}, 20*time.Second, 20*time.Millisecond)
	before := strings.Count(logged.String(), "service-center panicked")
	status, _, body := web.Send(t, "POST", "/v4/default/registry/microservices/"+consumer+"/tags", `{"tags":{"a":"b"}}`)
	require.Equal(t, 200, status, body)
	require.Never(t, func() bool { return strings.Count(logged.String(), "service-center panicked") > before }, 500*time.Millisecond, 50*time.Millisecond,
		"the task that tells it runs on its own")
}

// A microservice that the previous release put is found by nobody of another appId, until a
// list has brought it up to date; and nobody remembers then that it could not be found.
func TestAConsumerFindsAServiceOnceItIsBroughtUpToDate(t *testing.T) {
	centertest.DrivesControllers(t)
	r, _ := storetest.Register(t, records, "app-found")
	at := keys.InstanceOf(r.ID, "")
	storetest.Repaired(t, records)
	now := storetest.Value(t, db, keys.ServicePrefix+at.ServiceID)
	before := strings.Replace(now, `"allowCrossApp":"true",`, "", 1)
	require.NotEqual(t, now, before)
	_, err := db.Put(t.Context(), keys.ServicePrefix+at.ServiceID, before)
	require.NoError(t, err)
	consumer := consumerOf(t, "shop", "found-cart")
	found := func() bool {
		status, body := findAs(t, consumer, keyOfOwner("app-found"))
		return status == 200 && strings.Contains(body, at.InstanceID)
	}
	require.Eventually(t, func() bool { return !found() }, 10*time.Second, 20*time.Millisecond)
	storetest.Repaired(t, records)
	require.Equal(t, now, storetest.Value(t, db, keys.ServicePrefix+at.ServiceID))
	require.Eventually(t, found, 10*time.Second, 20*time.Millisecond)
}

func TestServiceCenterShowsTheProjection(t *testing.T) {
	r, _ := storetest.Register(t, records, "app-show")
	service, instance, _ := keys.Split(r.ID)
	require.Eventually(t, func() bool {
		status, b := web.Get(t, "/v4/default/registry/microservices/"+service+"/instances/"+instance)
		return status == 200 && strings.Contains(b, `"status":"UP"`) && strings.Contains(b, `"hostName":"app-show"`)
	}, 10*time.Second, 20*time.Millisecond)
	status, b := web.Get(t, "/v4/default/govern/microservices?options=instances")
	require.Equal(t, 200, status)
	require.Contains(t, b, `"serviceName":"face_recognition"`)
	require.Contains(t, b, `"version":"1.0.0"`, "v2 is no version for service-center")
}

// depends has a consumer find a provider by the rule "latest", and waits until
// service-center has noted it.
func depends(t *testing.T, consumer, app, name, provider string) {
	t.Helper()
	status, _, text := web.Send(t, "POST", registryV4+"microservices", `{"service":{"serviceId":"`+consumer+`","appId":"consumers","serviceName":"`+consumer+`","version":"1.0.0"}}`)
	require.Equal(t, http.StatusOK, status, text)
	require.Eventually(t, func() bool {
		res, err := http.DefaultClient.Do(web.Request(t, "GET", registryV4+"instances?appId="+app+"&serviceName="+name+"&version=latest", "", "X-ConsumerId", consumer))
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		_, _, text := web.Send(t, "GET", registryV4+"microservices/"+provider+"/consumers", "")
		return res.StatusCode == http.StatusOK && strings.Contains(text, consumer)
	}, 20*time.Second, 50*time.Millisecond)
}

// A registration writes microservice and instance together. Of ten services that were
// registered again, a consumer was told of one, and of a new version of a service seldom.
func TestAConsumerHearsOfEveryRegistration(t *testing.T) {
	centertest.DrivesControllers(t)
	registered := func(version string) heartbeat.Record {
		info := storetest.Info(t)
		info.Version = version
		id, err := records.NewID(t.Context(), "heard", info, true)
		require.NoError(t, err)
		return heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: "heard", Attributes: strings.Replace(storetest.Attributes, `"v2"`, `"`+version+`"`, 1),
			State: heartbeat.Active, RegisteredAt: 1e18, Seq: 1}
	}
	register := func(version string) func() {
		r := registered(version)
		at, err := records.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added})
		require.NoError(t, err)
		return func() {
			_, err := records.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, Record: r, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Change: heartbeat.Removed})
			require.NoError(t, err)
		}
	}
	remove := register("1.0.0")
	id, _, _ := keys.Split(registered("1.0.0").ID)
	depends(t, "hearer", "heard", "face_recognition", id)

	w := notify.NewInstanceEventListWatcher("hearer", keys.Tenant, nil)
	require.NoError(t, notify.Center().AddSubscriber(w))
	defer notify.Center().RemoveSubscriber(w)
	hears := func(action discovery.EventType, version string) {
		t.Helper()
		select {
		case got := <-w.Job:
			require.Equal(t, string(action)+" "+version, got.Response.Action+" "+got.Response.Key.Version)
		case <-time.After(time.Minute):
			require.Fail(t, "nothing is heard of a "+string(action)+" of "+version)
		}
	}
	remove()
	for heard := ""; heard != string(discovery.EVT_DELETE); { // the first CREATE may be late
		select {
		case got := <-w.Job:
			heard = got.Response.Action
		case <-time.After(time.Minute):
			require.Fail(t, "nothing is heard")
		}
	}
	remove = register("1.0.0")
	hears(discovery.EVT_CREATE, "1.0.0")
	for i := range 20 {
		remove()
		hears(discovery.EVT_DELETE, "1.0.0")
		remove = register("1.0.0")
		hears(discovery.EVT_CREATE, "1.0.0")
		version := fmt.Sprintf("2.0.%d", i)
		later := register(version)
		hears(discovery.EVT_CREATE, version)
		later()
		hears(discovery.EVT_DELETE, version)
		require.Eventually(t, func() bool { // else it is the latest still
			id, err := etcdutil.GetServiceID(util.WithCacheOnly(t.Context()), &discovery.MicroServiceKey{Tenant: keys.Tenant, AppId: "heard", ServiceName: "face_recognition", Version: version})
			return err == nil && id == ""
		}, time.Minute, time.Millisecond)
	}
	require.Empty(t, w.Job)
}
