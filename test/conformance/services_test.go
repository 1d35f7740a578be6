package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	unknownApp     = "NON_EXISTENT_APP_INSTANCE_ID"
	unknownService = "NON_EXISTENT_SERVICE_ID"
)

func TestAPPSAQ_001_OK(t *testing.T) {
	p := begin(t, "8.2.6.3.1", "GET /applications/{a}/services: 200, an array")
	require.Empty(t, p.want(http.StatusOK, "GET", p.of("/services"), "").List(t))
	s := p.register("n", -1)
	l := p.want(http.StatusOK, "GET", p.of("/services"), "").List(t)
	require.Len(t, l, 1)
	require.Equal(t, s.id, l[0]["serInstanceId"])
}

func TestAPPSAQ_001_BR(t *testing.T) {
	p := begin(t, "8.2.6.3.1", "GET with the unknown parameter instance_id: 400")
	p.want(http.StatusBadRequest, "GET", p.of("/services?instance_id=5"), "")
}

func TestAPPSAQ_002_OK(t *testing.T) {
	p := begin(t, "8.2.6.3.4", "POST a ServiceInfo: 201, Location, the serName that was posted; subscribers are notified")
	c := newConsumer(t)
	p.want(http.StatusCreated, "POST", p.of("/subscriptions"), subscriptionTo(c.URL, `{"serNames":["APPSAQ_002_OK"]}`))
	r := p.want(http.StatusCreated, "POST", p.of("/services"), serviceInfo("APPSAQ_002_OK", ""))
	m := r.Object(t)
	require.Equal(t, "APPSAQ_002_OK", m["serName"])
	require.NotEqual(t, "of the client", m["serInstanceId"])
	require.Equal(t, r.Header.Get("Location"), m["_links"].(map[string]any)["self"].(map[string]any)["href"])
	require.Contains(t, r.Header.Get("Location"), fmt.Sprint(m["serInstanceId"]))
	wait.Until(t, "notified", func() bool { return len(c.Changes()) == 1 })
	require.Equal(t, []string{"APPSAQ_002_OK ADDED ACTIVE"}, c.Changes())
	p.want(http.StatusCreated, "POST", p.of("/services"), strings.Replace(serviceInfo("by id", ""), transport, `"transportId":"transportId"`, 1))
}

func TestAPPSAQ_002_BR(t *testing.T) {
	p := begin(t, "8.2.6.3.4", "POST with Name instead of serName: 400")
	p.want(http.StatusBadRequest, "POST", p.of("/services"), strings.Replace(serviceInfo("n", ""), `"serName"`, `"Name"`, 1))
}

func TestAPPSAQ_002_NF(t *testing.T) {
	p := begin(t, "8.2.6.3.4", "POST to an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "POST", mep.ServicesOf(unknownApp), serviceInfo("n", ""))
}

func TestAPPSAQ_003_OK(t *testing.T) {
	p := begin(t, "8.2.7.3.1", "GET one service: 200, the same serInstanceId")
	s := p.register("n", -1)
	require.Equal(t, s.id, p.want(http.StatusOK, "GET", p.of("/services/"+s.id), "").Object(t)["serInstanceId"])
}

func TestAPPSAQ_003_NF(t *testing.T) {
	p := begin(t, "8.2.7.3.1", "GET an unknown serviceId: 404")
	p.want(http.StatusNotFound, "GET", p.of("/services/"+unknownService), "")
}

func TestAPPSAQ_004_OK(t *testing.T) {
	p := begin(t, "8.2.7.3.2", "PUT with another version, without transportInfo and If-Match: 200 with that version")
	s := p.register("n", -1)
	body := strings.Replace(strings.Replace(serviceInfo("n", ""), `,`+transport, "", 1), `"version":"1.0"`, `"version":"v2.0"`, 1)
	m := p.want(http.StatusOK, "PUT", s.self, body).Object(t)
	require.Equal(t, "v2.0", m["version"])
	require.Equal(t, "t1", m["transportInfo"].(map[string]any)["id"])
	require.Equal(t, "v2.0", p.want(http.StatusOK, "GET", s.self, "").Object(t)["version"])
}

func TestAPPSAQ_004_BR(t *testing.T) {
	p := begin(t, "8.2.7.3.2", "PUT with a_version instead of version: 400")
	s := p.register("n", -1)
	p.want(http.StatusBadRequest, "PUT", s.self, strings.Replace(serviceInfo("n", ""), `"version":"1.0"`, `"a_version":"1.0"`, 1))
}

func TestAPPSAQ_004_NF(t *testing.T) {
	p := begin(t, "8.2.7.3.2", "PUT an unknown serviceId: 404")
	p.want(http.StatusNotFound, "PUT", p.of("/services/"+unknownService), serviceInfo("n", ""))
}

func TestAPPSAQ_004_PF(t *testing.T) {
	p := begin(t, "8.2.7.3.2", "PUT with If-Match: INVALID_ETAG: 412, and nothing changes")
	s := p.register("n", -1)
	before := p.want(http.StatusOK, "GET", s.self, "")
	p.want(http.StatusPreconditionFailed, "PUT", s.self, serviceInfo("m", ""), "If-Match", "INVALID_ETAG")
	require.Equal(t, before.Body, p.want(http.StatusOK, "GET", s.self, "").Body)
	p.want(http.StatusOK, "PUT", s.self, serviceInfo("m", ""), "If-Match", before.Header.Get("ETag"))
}

func TestAPPSAQ_005_OK(t *testing.T) {
	p := begin(t, "8.2.7.3.5", "DELETE a service: 204, and it is gone")
	s := p.register("n", -1)
	p.want(http.StatusNoContent, "DELETE", s.self, "")
	p.want(http.StatusNotFound, "GET", s.self, "")
}

func TestAPPSAQ_005_NF(t *testing.T) {
	p := begin(t, "8.2.7.3.5", "DELETE an unknown serviceId: 404")
	p.want(http.StatusNotFound, "DELETE", p.of("/services/"+unknownService), "")
}

func TestSAQ_001_OK(t *testing.T) {
	p := begin(t, "8.2.3.3.1", "GET /services: 200, an array")
	s := p.register("SAQ_001_OK", -1)
	found := false
	for _, m := range p.want(http.StatusOK, "GET", mp1.Base+"/services", "").List(t) {
		found = found || m["serInstanceId"] == s.id
	}
	require.True(t, found)
}

func TestSAQ_001_BR(t *testing.T) {
	p := begin(t, "8.2.3.3.1", "GET with the unknown parameter instance_id: 400")
	p.want(http.StatusBadRequest, "GET", mp1.Base+"/services?instance_id=x", "")
}

func TestSAQ_002_OK(t *testing.T) {
	p := begin(t, "8.2.4.3.1", "GET /services/{id}: 200, the same serInstanceId")
	s := p.register("n", -1)
	m := p.want(http.StatusOK, "GET", mp1.Base+"/services/"+s.id, "").Object(t)
	require.Equal(t, s.id, m["serInstanceId"])
	for _, member := range []string{"serName", "version", "state", "serializer", "transportInfo", "_links"} {
		require.Contains(t, m, member)
	}
}

func TestSAQ_002_NF(t *testing.T) {
	p := begin(t, "8.2.4.3.1", "GET /services/{unknown}: 404")
	p.want(http.StatusNotFound, "GET", mp1.Base+"/services/"+unknownService, "")
}

func TestTRANS_001_OK(t *testing.T) {
	p := begin(t, "8.2.5.3.1", "GET /transports: 200, an array of TransportInfo")
	l := p.want(http.StatusOK, "GET", mp1.Base+"/transports", "").List(t)
	require.NotEmpty(t, l)
	for _, tr := range l {
		for _, member := range []string{"id", "name", "type", "protocol", "version", "endpoint", "security"} {
			require.Contains(t, tr, member)
		}
	}
}
