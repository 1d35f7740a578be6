package server

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// changes are the requests that concern the agents of a service.
var changes = []struct{ method, path, body string }{
	{"POST", mp1.Base + "/applications/app/services", registration},
	{"PUT", servicePath, registration},
	{"DELETE", servicePath, ""},
}

func TestAChangeNamesItsAgentAndIsAnsweredWithIt(t *testing.T) {
	for _, c := range changes {
		d := newFakeRegistry()
		w := request(d, c.method, c.path, strings.NewReader(c.body), "Mep-Agent", "node-1_a.R2d2")
		require.Less(t, w.Code, 300, c.method)
		require.Equal(t, Caller{App: "app", Agent: "node-1_a.R2d2"}, d.by, c.method)
		require.Equal(t, []string{"node-1_a.R2d2"}, w.Header().Values("Mep-Agent"), c.method)

		w = request(d, c.method, c.path, strings.NewReader(c.body))
		require.Less(t, w.Code, 300, c.method)
		require.Equal(t, Caller{App: "app"}, d.by, c.method)
		require.NotContains(t, w.Header(), "Mep-Agent", c.method)
	}
}

func TestEveryAnswerRepeatsTheAgentAlsoARefusal(t *testing.T) {
	d := newFakeRegistry()
	for _, path := range []string{mp1.Base + "/services", servicePath, servicePath + "/liveness", mp1.Base + "/nothing", "/mep" + servicePath} {
		require.Equal(t, "a.b", request(d, "GET", path, nil, "Mep-Agent", "a.b").Header().Get("Mep-Agent"), path)
	}
	require.Equal(t, "a.b", request(d, "PATCH", servicePath+"/liveness", strings.NewReader(usual), "mep-agent", "a.b").Header().Get("Mep-Agent"))
	d.err = heartbeat.ErrKept
	w := request(d, "DELETE", servicePath, nil, "Mep-Agent", "a.b")
	require.Equal(t, 409, w.Code)
	require.Equal(t, "a.b", w.Header().Get("Mep-Agent"))
	require.Contains(t, w.Body.String(), "Another agent keeps the service instance alive")
	d.unready = true
	require.Equal(t, "a.b", request(d, "GET", servicePath, nil, "Mep-Agent", "a.b").Header().Get("Mep-Agent"))
}

func TestADeleteMayBeOfAPlaceOnly(t *testing.T) {
	d := newFakeRegistry()
	require.Equal(t, 204, request(d, "DELETE", servicePath, nil, "Mep-Agent", "a.b", "Mep-Agent-Scope", "place").Code)
	require.Equal(t, Caller{App: "app", Agent: "a.b", AtPlace: true}, d.by)
	for _, bad := range [][]string{{"Mep-Agent-Scope", "place"}, {"Mep-Agent", "a.b", "Mep-Agent-Scope", ""}, {"Mep-Agent", "a.b", "Mep-Agent-Scope", "all"}} {
		d := newFakeRegistry()
		w := request(d, "DELETE", servicePath, nil, bad...)
		require.Equal(t, 400, w.Code, bad)
		require.Contains(t, w.Body.String(), "Mep-Agent-Scope: must be")
		require.Zero(t, d.by)
	}
}

func TestAMalformedAgentIsRefusedOnlyWhereItWouldCount(t *testing.T) {
	for _, bad := range []string{"", "a", "a.", ".b", "a.b.c", "a b.c", "a.b,c.d", "a/b.c", strings.Repeat("x", 65) + ".b", "a.\u00e4"} {
		for _, c := range changes {
			d := newFakeRegistry()
			w := request(d, c.method, c.path, strings.NewReader(c.body), "Mep-Agent", bad)
			require.Equal(t, 400, w.Code, "%s %q", c.method, bad)
			require.Contains(t, w.Body.String(), "Mep-Agent: must be")
			require.NotContains(t, w.Header(), "Mep-Agent")
			require.Zero(t, d.by)
		}
		w := request(newFakeRegistry(), "PATCH", servicePath+"/liveness", strings.NewReader(usual), "Mep-Agent", bad)
		require.Equal(t, 204, w.Code, bad)
		require.NotContains(t, w.Header(), "Mep-Agent")
	}
	r := httptest.NewRequest("DELETE", servicePath, nil)
	r.Header["Mep-Agent"] = []string{"a.b", "c.d"}
	w := httptest.NewRecorder()
	mux(newFakeRegistry()).ServeHTTP(w, r)
	require.Equal(t, 400, w.Code, "two of them")
}
