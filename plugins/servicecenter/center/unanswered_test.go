package center

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/cache"
	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
)

// forgetReads has everything be asked of the store that is asked next.
func forgetReads() {
	for _, a := range []sd.Adaptor{kv.Store().Service(), kv.Store().ServiceIndex(), kv.Store().Instance(), kv.Store().Lease()} {
		d := a.(*direct)
		d.recent.clear()
		d.answers.changed()
	}
}

// A client that is told that its service or instance does not exist registers anew, and a consumer
// forgets a provider: service-center said so also where the store did not answer.
func TestAStoreThatDoesNotAnswerIsNoAbsence(t *testing.T) {
	centertest.DrivesControllers(t) // each 500 is an alarm of theirs, which their end races with
	status, _, b := web.Send(t, "POST", registryPath+"microservices", `{"service":{"serviceId":"hung","appId":"hung","serviceName":"hung","version":"1.0.0"}}`)
	require.Equal(t, http.StatusOK, status, b)
	hung, cancel := context.WithCancel(t.Context())
	cancel() // no read of such a request is answered
	ask := func(ctx context.Context, method, path, body string) *httptest.ResponseRecorder {
		forgetReads()
		forgetFinds()
		w := httptest.NewRecorder()
		center.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, registryPath+path, strings.NewReader(body)))
		return w
	}
	const its = "microservices/hung"
	for _, c := range []struct{ method, path, body string }{
		{"GET", its, ""},
		{"GET", its + "/instances", ""},
		{"GET", its + "/instances/i", ""},
		{"GET", its + "/tags", ""},
		{"GET", its + "/rules", ""},
		{"GET", its + "/schemas", ""},
		{"GET", its + "/schemas/s", ""},
		{"GET", its + "/providers", ""},
		{"GET", "existence?type=schema&serviceId=hung&schemaId=s", ""},
		{"GET", "existence?type=microservice&appId=hung&serviceName=hung&version=1.0.0", ""},
		{"GET", "instances?appId=hung&serviceName=hung&version=1.0.0", ""},
		{"GET", "microservices", ""},
		{"PUT", "heartbeats", `{"Instances":[{"serviceId":"hung","instanceId":"i"}]}`},
		{"PUT", its + "/instances/i/heartbeat", ""},
		{"POST", its + "/instances", `{"instance":{"hostName":"h","endpoints":["rest://127.0.0.1:1"]}}`},
		{"POST", its + "/tags", `{"tags":{"a":"b"}}`},
		{"DELETE", its + "/instances/i", ""},
	} {
		w := ask(hung, c.method, c.path, c.body)
		require.GreaterOrEqual(t, w.Code, 500, "%s %s: %s", c.method, c.path, w.Body)
		require.NotContains(t, w.Body.String(), "not exist", "%s %s", c.method, c.path)
		if w.Code == http.StatusServiceUnavailable {
			require.Equal(t, "1", w.Header().Get("Retry-After"))
			require.Contains(t, w.Body.String(), `"errorCode":"500011"`)
		}
		w = ask(t.Context(), c.method, c.path, c.body)
		require.Less(t, w.Code, 500, "%s %s: %s", c.method, c.path, w.Body)
	}
}

// What a consumer may not see is left out of what is found for it, and so was what could not be
// read: and that was remembered for minutes.
func TestAFindThatCouldNotReadAllIsNotRemembered(t *testing.T) {
	provider(t, "unread")
	status, _, b := web.Send(t, "POST", registryPath+"microservices", `{"service":{"serviceId":"reader","appId":"finds","serviceName":"reader","version":"1.0.0"}}`)
	require.Equal(t, http.StatusOK, status, b)
	ctx := util.SetTargetDomainProject(util.SetDomainProject(context.Background(), "default", "default"), "default", "default")
	key := discovery.MicroServiceKey{Tenant: "default/default", AppId: "finds", ServiceName: "unread", Version: "1.0.0"}
	find := func(ctx context.Context, consumer string) (int, error) {
		item, err := cache.FindInstances.Get(ctx, &discovery.MicroService{ServiceId: consumer}, &key, nil, "")
		if item == nil {
			return 0, err
		}
		return len(item.Instances), err
	}
	n, err := find(ctx, "") // of which all is remembered but what is a consumer's
	require.NoError(t, err)
	require.Equal(t, 1, n)
	forgetReads()
	hung, cancel := context.WithCancel(ctx)
	cancel()
	_, err = find(hung, "reader")
	require.Error(t, err, "that it is not known is no answer")
	n, err = find(ctx, "reader")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// A cache cannot say that it could not read: a dump would be of a store in which there is nothing.
func TestACacheThatCannotReadIsNotTakenForEmpty(t *testing.T) {
	d := directly(t, "/direct/unread/", nil)
	d.read = func(context.Context, string, ...clientv3.OpOption) (*clientv3.GetResponse, error) {
		return nil, errors.New("hung")
	}
	c := d.Cache()
	for name, read := range map[string]func(){
		"a key":  func() { require.Nil(t, c.Get("/direct/unread/a")) },
		"a root": func() { require.Zero(t, c.GetAll(nil)) },
		"each":   func() { c.ForEach(func(string, *sd.KeyValue) bool { return true }) },
	} {
		call, _ := newCall(httptest.NewRequest("GET", "/v4/default/admin/dump", nil))
		require.False(t, call.misled(http.StatusOK))
		read()
		require.True(t, call.misled(http.StatusOK), name)
	}
	for _, c := range []struct {
		method, path string
		status       int
		misled       bool
	}{
		{"GET", registryPath + "microservices", 200, true}, {"GET", registryPath + "instances", 304, true},
		{"POST", registryPath + "instances/action", 200, true}, {"POST", registryPath + "instances/action/", 400, true},
		{"PUT", registryPath + "heartbeats", 400, true}, {"GET", registryPath + "microservices", 500, false},
		{"PUT", registryPath + "heartbeats", 200, false}, // it was carried out
	} {
		call, r := newCall(httptest.NewRequest(c.method, c.path, nil))
		require.False(t, call.misled(c.status), "all was answered")
		part, _ := withReads(r.Context()) // as a find is of a batch
		unanswered(part)
		require.Equal(t, c.misled, call.misled(c.status), "%s %s %d", c.method, c.path, c.status)
	}
}
