package chassis

import (
	"encoding/json"
	"testing"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/go-chassis/v2/pkg/util/tags"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// shown is a service as a platform shows it that has taken what describe makes.
func shown(t *testing.T, info mp1.ServiceInfo, app string) mp1.ServiceInfo {
	t.Helper()
	b, err := json.Marshal(info)
	require.NoError(t, err)
	out, err := mp1.DecodeServiceInfo(b)
	require.NoError(t, err, "the platform takes it")
	out.SerInstanceID = "id-1"
	out.Links = &mp1.ServiceLinks{Self: mp1.SelfLink{Href: mp1.Base + "/applications/" + app + "/services/id-1"}}
	return out
}

func TestWhatOneApplicationRegistersAnotherCalls(t *testing.T) {
	service := &registry.MicroService{AppID: "shop", ServiceName: "cart", Version: "1.2.0"}
	for _, c := range []struct {
		endpoints map[string]*registry.Endpoint
		uris      []string
		kind      mp1.TransportType
	}{
		{map[string]*registry.Endpoint{"rest": {Address: "10.0.0.5:8080"}}, []string{"http://10.0.0.5:8080"}, "REST_HTTP"},
		{map[string]*registry.Endpoint{"rest": {Address: "10.0.0.5:8443", SSLEnabled: true}}, []string{"https://10.0.0.5:8443"}, "REST_HTTP"},
		{map[string]*registry.Endpoint{"rest": {Address: "[2001:db8::1]:8080"}}, []string{"http://[2001:db8::1]:8080"}, "REST_HTTP"},
		{map[string]*registry.Endpoint{"grpc": {Address: "10.0.0.5:9000", SSLEnabled: true}}, []string{"grpc://10.0.0.5:9000?sslEnabled=true"}, "RPC"},
		{map[string]*registry.Endpoint{"grpc": {Address: "10.0.0.5:9000"}, "rest": {Address: "10.0.0.5:8080"}, "rest-admin": {Address: "10.0.0.5:8081"}},
			[]string{"http://10.0.0.5:8080", "rest-admin://10.0.0.5:8081", "grpc://10.0.0.5:9000"}, "REST_HTTP"},
		{map[string]*registry.Endpoint{"highway": {Address: "10.0.0.5:7070"}}, []string{"highway://10.0.0.5:7070"}, "RPC"},
	} {
		info, ok := describe(service, &registry.MicroServiceInstance{EndpointsMap: c.endpoints, HostName: "h", Status: "UP",
			Metadata: map[string]string{"canary": "true", "app": "liar", "version": "9", "nodeIP": ""}, DataCenterInfo: &registry.DataCenterInfo{Name: "dc", AvailableZone: "z"}}, 5)
		require.True(t, ok)
		require.Equal(t, c.uris, info.TransportInfo.Endpoint.URIs)
		require.Equal(t, c.kind, info.TransportInfo.Type)
		require.Equal(t, 5, *info.LivenessInterval)

		at := shown(t, info, "shop")
		i, ok := instanceOf(&at)
		require.True(t, ok)
		for name, want := range c.endpoints {
			require.Equal(t, want, i.EndpointsMap[name], name)
		}
		require.Equal(t, "shop", i.App)
		require.Equal(t, "h", i.HostName)
		require.Equal(t, "z", i.DataCenterInfo.AvailableZone)
		require.Equal(t, map[string]string{"canary": "true", "app": "shop", "version": "1.2.0", "mec.serInstanceId": "id-1", "mec.serName": "cart"}, i.Metadata,
			"what the application wrote does not stand in for what the platform says")
	}
}

func TestAnApplicationWithoutEndpointsOffersNothing(t *testing.T) {
	for _, e := range []map[string]*registry.Endpoint{nil, {}, {"rest": nil}, {"rest": {}}} {
		_, ok := describe(&registry.MicroService{}, &registry.MicroServiceInstance{EndpointsMap: e}, 0)
		require.False(t, ok)
	}
}

func TestStatusFollowsTheLivenessState(t *testing.T) {
	require.Equal(t, "UP", statusOf(mp1.Active))
	require.Equal(t, "DOWN", statusOf(mp1.Inactive))
	require.Equal(t, "OUTOFSERVICE", statusOf(mp1.Suspended))
	for status, want := range map[string]mp1.State{"": mp1.Active, "UP": mp1.Active, "DOWN": mp1.Inactive, "STARTING": mp1.Inactive, "OUTOFSERVICE": mp1.Inactive, "TESTING": mp1.Inactive} {
		require.Equal(t, want, stateOf(status), status)
	}
}

// An address of every interface is none that somebody could call.
func TestAnUnspecifiedAddressIsReplacedByOneOfTheHost(t *testing.T) {
	require.Equal(t, "10.0.0.5:80", reachable("10.0.0.5:80"))
	require.Equal(t, "name:80", reachable("name:80"))
	require.NotContains(t, reachable("0.0.0.0:80"), "0.0.0.0")
	require.Contains(t, reachable("0.0.0.0:80"), ":80")
}

// go-chassis would choose an instance without an address in its turn, and fail.
func TestAServiceWithoutAnAddressIsNotFound(t *testing.T) {
	for _, e := range []mp1.EndPointInfo{{Alternative: json.RawMessage("{}")}, {URIs: []string{}}, {URIs: []string{"/path"}}} {
		_, ok := instanceOf(&mp1.ServiceInfo{SerName: "s", TransportInfo: &mp1.TransportInfo{ID: "t", Type: "REST_HTTP", Protocol: "HTTP", Endpoint: e}})
		require.False(t, ok)
	}
	_, ok := instanceOf(&mp1.ServiceInfo{SerName: "s"})
	require.False(t, ok)
}

func TestTheApplicationIsReadFromLinks(t *testing.T) {
	for href, want := range map[string]string{
		"/mec_service_mgmt/v1/applications/app-1/services/x":                "app-1",
		"https://mep/mep/mec_service_mgmt/v1/applications/app-1/services/x": "app-1",
		"/mec_service_mgmt/v1/services/x":                                   "",
		"/mec_service_mgmt/v1/applications/app%201/services/x":              "",
		"/mec_service_mgmt/v1/applications/":                                "",
		"":                                                                  "",
	} {
		require.Equal(t, want, applicationOf(&mp1.ServiceInfo{Links: &mp1.ServiceLinks{Self: mp1.SelfLink{Href: href}}}), href)
		require.Equal(t, want, applicationOf(&mp1.ServiceInfo{Links: &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: href}}}), href)
	}
	require.Empty(t, applicationOf(&mp1.ServiceInfo{}))
}

func TestACallGetsTheVersionsAndTagsThatItNames(t *testing.T) {
	one := func(app, version, canary string) *registry.MicroServiceInstance {
		return &registry.MicroServiceInstance{Version: version, Metadata: map[string]string{"app": app, "version": version, "canary": canary}}
	}
	all := []*registry.MicroServiceInstance{one("a", "1.2.0", ""), one("b", "1.10", "yes"), one("a", "v1.9.9", ""), one("a", "beta", ""), one("a", "1.2", "")}
	for _, c := range []struct {
		tags map[string]string
		want []int
	}{
		{nil, []int{1}},
		{map[string]string{"version": "latest"}, []int{1}},
		{map[string]string{"version": "latest", "app": "a"}, []int{2}},
		{map[string]string{"app": "b"}, []int{1}},
		{map[string]string{"app": "c"}, nil},
		{map[string]string{"version": "0+"}, []int{0, 1, 2, 3, 4}},
		{map[string]string{"version": "0.0.0+"}, []int{0, 1, 2, 3, 4}},
		{map[string]string{"version": "1.9+"}, []int{1, 2}},
		{map[string]string{"version": "1.2-1.9.9"}, []int{0, 4}},
		{map[string]string{"version": "1.2.0"}, []int{0}},
		{map[string]string{"version": "beta"}, []int{3}},
		{map[string]string{"version": "7"}, nil},
		{map[string]string{"canary": "yes"}, []int{1}},
		{map[string]string{"canary": "no"}, nil},
	} {
		var want []*registry.MicroServiceInstance
		for _, n := range c.want {
			want = append(want, all[n])
		}
		require.Equal(t, want, choose(all, utiltags.Tags{KV: c.tags}), "%v", c.tags)
	}
	require.Empty(t, choose(nil, utiltags.Tags{}))
	require.Len(t, choose([]*registry.MicroServiceInstance{one("a", "x", ""), one("a", "x", "")}, utiltags.Tags{}), 2, "versions that are no numbers")
}
