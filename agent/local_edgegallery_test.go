package agent

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const here = "127.0.0.1:8080"

func TestTheLocalAPIShowsTheTokenAsEdgeGallerysAgentDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(newFakePlatform(10), 1)
		anonymous, err := New(o)
		require.NoError(t, err)
		w := page(anonymous.Local(LocalOptions{EdgeGallery: true}), "GET", "/mep-agent/v1/token", here)
		require.Equal(t, 412, w.Code)
		require.Empty(t, w.Body.String())

		var asked atomic.Int32
		var down atomic.Bool
		o.Token = countedTokens(time.Hour, &asked, &down)
		a, err := New(o)
		require.NoError(t, err)
		h := a.Local(LocalOptions{EdgeGallery: true})
		w = page(h, "GET", "/mep-agent/v1/token", here)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
		require.JSONEq(t, `{"access_token":"token1","token_type":"Bearer","expires_in":3600}`, w.Body.String())
		time.Sleep(10 * time.Minute)
		require.JSONEq(t, `{"access_token":"token1","token_type":"Bearer","expires_in":3000}`,
			page(h, "GET", "/mep-agent/v1/token", here).Body.String(), "what is left of it")
	})
}

func TestTheLocalAPIShowsAnEndpointThatIsAlive(t *testing.T) {
	at := func(state mp1.State, endpoint mp1.EndPointInfo) mp1.ServiceInfo {
		return mp1.ServiceInfo{SerName: "n", State: state, TransportInfo: &mp1.TransportInfo{Protocol: "HTTP", Endpoint: endpoint}}
	}
	uri := func(s string) mp1.EndPointInfo { return mp1.EndPointInfo{URIs: []string{s}} }
	for _, tt := range []struct {
		name   string
		found  response
		status int
		body   string
	}{
		{"none", respond(200, []mp1.ServiceInfo{}), 400, `"Service does not exist."`},
		{"an error of EdgeGallery's", respond(400, map[string]string{"errorCode": "400012"}), 400, `"Service does not exist."`},
		{"no transport", respond(200, []mp1.ServiceInfo{{SerName: "n", State: mp1.Active}}), 400, `"Service does not exist."`},
		{"no platform", response{err: refusedDial()}, 503, `"The platform does not answer."`},
		{"ACTIVE first", respond(200, []mp1.ServiceInfo{at(mp1.Suspended, uri("http://a")), at(mp1.Inactive, uri("http://b")), at(mp1.Active, uri("http://c")), at(mp1.Active, uri("http://d"))}),
			200, `{"uris":["http://c"],"addresses":null,"alternative":null}`},
		{"none ACTIVE", respond(200, []mp1.ServiceInfo{at(mp1.Inactive, uri("http://b")), at(mp1.Suspended, uri("http://a"))}), 200, `{"uris":["http://a"],"addresses":null,"alternative":null}`},
		{"addresses", respond(200, []mp1.ServiceInfo{at(mp1.Active, mp1.EndPointInfo{Addresses: []mp1.Address{{Host: "h", Port: 1}, {Host: "::1", Port: 2}}})}),
			200, `{"uris":["http://h:1/","http://[::1]:2/"],"addresses":[{"host":"h","port":1},{"host":"::1","port":2}],"alternative":null}`},
		{"another protocol", respond(200, []mp1.ServiceInfo{{State: mp1.Active, TransportInfo: &mp1.TransportInfo{Protocol: "WS", Endpoint: mp1.EndPointInfo{FQDN: []string{"h"}}}}}),
			200, `{"uris":["ws://h/"],"fqdn":["h"],"addresses":null,"alternative":null}`},
		{"no protocol", respond(200, []mp1.ServiceInfo{{State: mp1.Active, TransportInfo: &mp1.TransportInfo{Protocol: "über TLS", Endpoint: mp1.EndPointInfo{FQDN: []string{"h"}}}}}),
			200, `{"uris":["http://h/"],"fqdn":["h"],"addresses":null,"alternative":null}`},
		{"a name", respond(200, []mp1.ServiceInfo{at(mp1.Active, mp1.EndPointInfo{FQDN: []string{"h.example"}})}), 200, `{"uris":["http://h.example/"],"fqdn":["h.example"],"addresses":null,"alternative":null}`},
		{"what only applications know", respond(200, []mp1.ServiceInfo{at(mp1.Active, mp1.EndPointInfo{Alternative: json.RawMessage(`{"a":1}`)})}), 200, `{"uris":null,"addresses":null,"alternative":{"a":1}}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			a, err := New(options(f, 1))
			require.NoError(t, err)
			f.respondWith(func(r *http.Request, _ int) response {
				require.True(t, strings.HasSuffix(r.URL.Path, "/services"))
				return tt.found
			})
			w := page(a.Local(LocalOptions{EdgeGallery: true}), "GET", "/mep-agent/v1/endpoint/n", here)
			require.Equal(t, tt.status, w.Code, tt.name)
			require.JSONEq(t, tt.body, w.Body.String(), tt.name)
		})
	}
}
