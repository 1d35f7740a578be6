package mp1

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// EdgeGallery's portal (mep-fe) reads serCategory.id, serCategory.name and _links.appInstanceId
// of every service; without serCategory its page fails, without the owner all services hang
// on one node.
func TestWhatEdgeGallerysClientsReadIsAlwaysThere(t *testing.T) {
	const bare = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"rest-http"}`
	info, err := DecodeServiceInfo([]byte(bare))
	require.NoError(t, err)
	info = info.Completed()
	info.SerInstanceID, info.Links = "id", &ServiceLinks{Self: SelfLink{Href: "/self"}}
	b, err := json.Marshal(info.ForEdgeGallery("app"))
	require.NoError(t, err)
	require.JSONEq(t, `{"serInstanceId":"id","serName":"n","serCategory":{"href":"","id":"","name":"","version":""},"version":"1","state":"ACTIVE","transportId":"",
		"transportInfo":{"id":"rest-http","name":"REST","description":"REST over HTTP, at the application's own endpoint","type":"REST_HTTP","protocol":"HTTP","version":"2.0",
			"endpoint":{"uris":null,"addresses":null,"alternative":{}},"security":{"oAuth2Info":{"grantTypes":[],"tokenEndpoint":""}}},
		"serializer":"JSON","scopeOfLocality":"MEC_HOST","consumedLocalOnly":true,"isLocal":true,"livenessInterval":0,
		"_links":{"self":{"href":"/self"},"appInstanceId":"app"}}`, string(b))
	nothing, err := json.Marshal(ServiceInfo{}.ForEdgeGallery(""))
	require.NoError(t, err)
	require.Contains(t, string(nothing), `"serCategory":{"href":"","id":"","name":"","version":""}`)
}

// Nothing that MEC 011's clients read is taken away, nor changed.
func TestMEC011sAnswerStandsInEdgeGallerys(t *testing.T) {
	interval := 60
	info := ServiceInfo{SerInstanceID: "id", SerName: "n", SerCategory: &CategoryRef{"h", "c", "cn", "1"}, Version: "1", State: Suspended, Serializer: "JSON", LivenessInterval: &interval,
		TransportInfo: &TransportInfo{ID: "t", Type: "REST_HTTP", Endpoint: EndPointInfo{FQDN: []string{"a.example"}}, ImplSpecificInfo: json.RawMessage(`{"a":1e99}`),
			Security: SecurityInfo{OAuth2Info: &OAuth2Info{GrantTypes: []string{grantTypes[0]}, TokenEndpoint: "http://t"}, Extensions: map[string]json.RawMessage{"x": []byte(`[1]`)}}},
		Links: &ServiceLinks{Self: SelfLink{Href: "/self", Liveness: "/mep/l"}, Liveness: &LinkType{"/l"}}}
	info = info.Completed()
	plain, err := json.Marshal(info)
	require.NoError(t, err)
	extended, err := json.Marshal(info.ForEdgeGallery("app"))
	require.NoError(t, err)
	var want, got map[string]any
	require.NoError(t, json.Unmarshal(plain, &want))
	require.NoError(t, json.Unmarshal(extended, &got))
	requireWithin(t, "", want, got)
	again, err := DecodeUpdate(CompleteUpdate(extended)) // what is shown may be sent back
	require.NoError(t, err)
	require.Equal(t, info.TransportInfo, again.TransportInfo)
	require.Equal(t, info.SerCategory, again.SerCategory)
}

// requireWithin fails unless everything of want stands in got.
func requireWithin(t *testing.T, at string, want, got any) {
	t.Helper()
	w, ok := want.(map[string]any)
	if !ok {
		require.Equal(t, want, got, at)
		return
	}
	g, ok := got.(map[string]any)
	require.True(t, ok, at)
	for name, v := range w {
		requireWithin(t, at+"/"+name, v, g[name])
	}
}

func TestEdgeGallerysTransportsSayWhereTokensAre(t *testing.T) {
	all := EdgeGalleryTransports()
	require.Len(t, all, len(DefaultTransports()))
	for i, one := range all {
		require.Equal(t, DefaultTransports()[i].ID, one.ID)
		b, err := json.Marshal(one)
		require.NoError(t, err)
		require.Contains(t, string(b), `"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/mep/token"}}`)
	}
}

// EdgeGallery's applications find their own label of a transport again.
func TestALabelOfATransportIsKept(t *testing.T) {
	for body, want := range map[string]string{`{"transportId":"Rest1"}`: "Rest1", `{"transportId":""}`: "", `{}`: "", `{"transportId":1}`: "", `{"transportId":"a","transportId":"b"}`: "", "x": ""} {
		require.Equal(t, want, TransportIDOf([]byte(body)), body)
	}
	require.Equal(t, "Rest1", ServiceInfo{TransportID: "Rest1"}.ForEdgeGallery("app").TransportID)
}

// EdgeGallery's parameter is ETSI's; what narrows a question is still never ignored.
func TestEdgeGallerysParametersAreETSIs(t *testing.T) {
	for raw, want := range map[string]Filter{
		"":                                {},
		"instance_id=a":                   {SerInstanceIDs: []string{"a"}},
		"instance_id=a&ser_instance_id=b": {SerInstanceIDs: []string{"b", "a"}},
		"ser_name=":                       {},
		"instance_id=&ser_name=n":         {SerNames: []string{"n"}},
	} {
		got, err := ParseQuery(CompleteQuery(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{"instance_id=a&ser_name=n", "x=1", "ser_name=a&ser_name=", "%", "version=1", "is_local=TRUE"} {
		_, err := ParseQuery(CompleteQuery(raw))
		require.Error(t, err, raw)
	}
	_, err := ParseQuery("instance_id=a")
	require.Error(t, err, "without compat nothing changes")
}
