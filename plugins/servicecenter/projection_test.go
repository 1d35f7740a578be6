package servicecenter

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// consumerOf registers a ServiceComb consumer and returns its serviceId.
func consumerOf(t *testing.T, app, name string) string {
	t.Helper()
	status, _, answer := send(t, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"`+app+`","serviceName":"`+name+`","version":"1.0.0"}}`)
	require.Equal(t, 200, status, answer)
	var made struct{ ServiceID string }
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	return made.ServiceID
}

// findAs asks as a consumer does: for the service of an appId and a name, by their latest
// version.
func findAs(t *testing.T, consumer string, k *discovery.MicroServiceKey) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", web.URL+"/v4/default/registry/instances?version=latest&appId="+k.AppId+"&serviceName="+k.ServiceName, nil)
	require.NoError(t, err)
	r.Header.Set("X-ConsumerId", consumer)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	var b strings.Builder
	_, err = copyTo(&b, res)
	require.NoError(t, err)
	return res.StatusCode, b.String()
}

// A ServiceComb consumer of another appId finds a service, and where it is called.
func TestAConsumerOfAnotherAppFindsAService(t *testing.T) {
	r, _ := registered(t, "app-cross")
	p, err := project(&r)
	require.NoError(t, err)
	consumer := consumerOf(t, "shop", "cross-cart")
	require.Eventually(t, func() bool {
		status, body := findAs(t, consumer, &p.key)
		return status == 200 && strings.Contains(body, `"endpoints":["http://10.0.0.5:80","rest://10.0.0.5:80"]`)
	}, 10*time.Second, 20*time.Millisecond)
}

// What the release before put is brought up to date by the next list: the microservice
// gets the property without which no consumer of another appId finds it, and keeps the
// others; the instance gets the endpoints that ServiceComb's clients call. Nobody had
// changed anything, so nothing is said of damage.
func TestWhatTheReleaseBeforePutIsBroughtUpToDate(t *testing.T) {
	r, _ := registered(t, "app-release")
	registered(t, "app-release")
	at := seatOf(r.ID, "")
	p, err := project(&r)
	require.NoError(t, err)
	mended(t)
	stored := func(key string) string {
		got, err := store.client.Get(t.Context(), key)
		require.NoError(t, err)
		require.Len(t, got.Kvs, 1, key)
		return string(got.Kvs[0].Value)
	}
	file, instance := stored(servicePrefix+at.service), stored(at.key())
	old, err := json.Marshal(forOwnApp(at.service, &p.key, r.Owner, p.info.SerName, p.info.Version, unix(r.RegisteredAt)))
	require.NoError(t, err)
	require.NotContains(t, string(old), crossAppProperty)
	_, err = store.client.Put(t.Context(), servicePrefix+at.service, string(old))
	require.NoError(t, err)
	_, err = store.client.Put(t.Context(), at.key(), strings.Replace(instance, `,"rest://10.0.0.5:80"`, "", 1))
	require.NoError(t, err)

	count := func(kind string) float64 { return testutil.ToFloat64(theGuard.repairs.WithLabelValues(kind)) }
	updated, damaged := count(mendRelease), count(mendService)
	mended(t)
	require.Equal(t, file, stored(servicePrefix+at.service))
	var is discovery.MicroService
	require.NoError(t, json.Unmarshal([]byte(file), &is))
	require.Equal(t, map[string]string{"allowCrossApp": "true", "mec.serName": "face recognition", "mec.version": "v2", ownerProperty: "app-release"}, is.Properties)
	require.Equal(t, updated+1, count(mendRelease))
	require.Equal(t, damaged, count(mendService))
	mended(t)
	require.Equal(t, updated+1, count(mendRelease), "once")
	got, err := store.client.Get(t.Context(), path.GenerateServiceIndexKey(&p.key))
	require.NoError(t, err)
	require.Equal(t, at.service, string(got.Kvs[0].Value))

	all, _, err := store.List(t.Context())
	require.NoError(t, err)
	differ := map[heartbeat.ID]bool{}
	for _, l := range all {
		differ[l.ID] = l.Projection.Differs
	}
	require.True(t, differ[r.ID], "the engine's sweep puts the instance anew")
}
