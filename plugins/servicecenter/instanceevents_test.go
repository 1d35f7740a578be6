package servicecenter

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	etcdutil "github.com/apache/servicecomb-service-center/datasource/etcd/util"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/apache/servicecomb-service-center/server/notify"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// depends has a consumer find a provider by the rule "latest", and waits until
// service-center has noted it.
func depends(t *testing.T, consumer, app, name, provider string) {
	t.Helper()
	status, _, text := send(t, "POST", registryV4+"microservices", `{"service":{"serviceId":"`+consumer+`","appId":"consumers","serviceName":"`+consumer+`","version":"1.0.0"}}`)
	require.Equal(t, http.StatusOK, status, text)
	require.Eventually(t, func() bool {
		res, err := http.DefaultClient.Do(request(t, "GET", registryV4+"instances?appId="+app+"&serviceName="+name+"&version=latest", "", "X-ConsumerId", consumer))
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		_, _, text := send(t, "GET", registryV4+"microservices/"+provider+"/consumers", "")
		return res.StatusCode == http.StatusOK && strings.Contains(text, consumer)
	}, 20*time.Second, 50*time.Millisecond)
}

// A registration writes microservice and instance together. Of ten services that were
// registered again, a consumer was told of one, and of a new version of a service seldom.
func TestAConsumerHearsOfEveryRegistration(t *testing.T) {
	drivesControllers(t)
	registered := func(version string) heartbeat.Record {
		info := infoOf(t)
		info.Version = version
		id, err := store.NewID(t.Context(), "heard", info)
		require.NoError(t, err)
		return heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: "heard", Attributes: strings.Replace(attributes, `"v2"`, `"`+version+`"`, 1),
			State: heartbeat.Active, RegisteredAt: 1e18, Seq: 1}
	}
	register := func(version string) func() {
		r := registered(version)
		at, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added})
		require.NoError(t, err)
		return func() {
			_, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, Record: r, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Change: heartbeat.Removed})
			require.NoError(t, err)
		}
	}
	remove := register("1.0.0")
	id, _, _ := split(registered("1.0.0").ID)
	depends(t, "hearer", "heard", "face_recognition", id)

	w := notify.NewInstanceEventListWatcher("hearer", domainProject, nil)
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
			id, err := etcdutil.GetServiceID(util.WithCacheOnly(t.Context()), &discovery.MicroServiceKey{Tenant: domainProject, AppId: "heard", ServiceName: "face_recognition", Version: version})
			return err == nil && id == ""
		}, time.Minute, time.Millisecond)
	}
	require.Empty(t, w.Job)
}

func happened(what discovery.EventType, key string, at int64) sd.KvEvent {
	return sd.KvEvent{Type: what, Revision: at, KV: &sd.KeyValue{Key: []byte(key)}}
}

// The events of one instance keep their order, those of others do not wait for it, and
// nothing waits for ever.
func TestAnInstancesEventsWaitForItsMicroservice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		known := map[string]bool{"b": true}
		o := &instanceEvents{known: func(key []byte) bool { return known[string(key)] },
			next: func(e sd.KvEvent) { got = append(got, fmt.Sprint(e.Type, string(e.KV.Key), e.Revision)) }}
		said := func() string {
			o.mu.Lock()
			defer o.mu.Unlock()
			defer func() { got = nil }()
			return strings.Join(got, " ")
		}
		o.OnEvent(happened(discovery.EVT_CREATE, "a", 1))
		o.OnEvent(happened(discovery.EVT_CREATE, "b", 2))
		o.OnEvent(happened(discovery.EVT_UPDATE, "a", 3))
		o.OnEvent(happened(discovery.EVT_DELETE, "a", 4))
		o.OnEvent(happened(discovery.EVT_CREATE, "a", 5))
		o.OnEvent(happened(discovery.EVT_INIT, "c", 6))
		o.OnEvent(happened(discovery.EVT_DELETE, "c", 7))
		time.Sleep(10 * unknownPause)
		require.Equal(t, "CREATEb2 INITc6 DELETEc7", said())
		o.mu.Lock()
		known["a"] = true
		o.mu.Unlock()
		time.Sleep(2 * unknownPause)
		require.Equal(t, "CREATEa1 UPDATEa3 DELETEa4 CREATEa5", said())
		o.OnEvent(happened(discovery.EVT_UPDATE, "a", 8))
		require.Equal(t, "UPDATEa8", said(), "at once from now on")

		began := time.Now()
		for i := range mostHeld + 1 {
			o.OnEvent(happened(discovery.EVT_CREATE, "nobody", int64(10+i)))
		}
		require.InDelta(t, mostUnknown, time.Since(began), float64(2*unknownPause), "more than may be held wait")
		require.Len(t, strings.Fields(said()), mostHeld)
		time.Sleep(mostUnknown + 2*unknownPause)
		require.Len(t, strings.Fields(said()), 1)
		o.mu.Lock()
		defer o.mu.Unlock()
		require.Empty(t, o.held)
		require.Zero(t, o.count)
	})
}
