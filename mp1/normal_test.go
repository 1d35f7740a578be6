package mp1

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func normalText(t *testing.T, doc string) string {
	t.Helper()
	var i ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(doc), &i))
	b, err := json.Marshal(i.Normal())
	require.NoError(t, err)
	return string(b)
}

func TestDescriptionsOfOneMeaningAreEqual(t *testing.T) {
	const head = `{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"1","endpoint":`
	for name, pair := range map[string][2]string{
		"an empty array beside a filled one": {head + `{"uris":["http://h"]},"security":{}}}`, head + `{"uris":["http://h"],"fqdn":[],"addresses":[]},"security":{}}}`},
		"the order of members":               {head + `{"alternative":{"a":1,"b":{"c":2,"d":3}}},"security":{}}}`, head + `{"alternative":{"b":{"d":3.0, "c":2},"a":1}},"security":{}}}`},
		"case, port and path of a URI":       {head + `{"uris":["HTTP://Host:80/"]},"security":{}}}`, head + `{"uris":["http://host"]},"security":{}}}`},
		"the order of URIs":                  {head + `{"uris":["http://b","http://a"]},"security":{}}}`, head + `{"uris":["http://a","http://b","http://a"]},"security":{}}}`},
		"a name":                             {head + `{"fqdn":["Host.example."]},"security":{}}}`, head + `{"fqdn":["host.example"]},"security":{}}}`},
		"an address":                         {head + `{"addresses":[{"host":"2001:DB8:0:0::1","port":1}]},"security":{}}}`, head + `{"addresses":[{"host":"2001:db8::1","port":1}]},"security":{}}}`},
		"the order of addresses":             {head + `{"addresses":[{"host":"b","port":1},{"host":"a","port":2},{"host":"a","port":1}]}}}`, head + `{"addresses":[{"host":"a","port":1},{"host":"a","port":2},{"host":"b","port":1}]}}}`},
		"EdgeGallery's empty security":       {head + `{"uris":["http://h"]},"security":{}}}`, head + `{"uris":["http://h"]},"security":{"oAuth2Info":{"grantTypes":[""],"tokenEndpoint":""}}}}`},
		"extensions of the security":         {head + `{"uris":["http://h"]},"security":{"x":{"a":1,"b":2}}}}`, head + `{"uris":["http://h"]},"security":{"x":{"b":2,"a":1}}}}`},
		"what the platform assigns":          {head + `{"uris":["http://h"]}}}`, head + `{"uris":["http://h"]}},"serInstanceId":"i","isLocal":true,"_links":{"self":{"href":"/x"}}}`},
		"defaults":                           {head + `{"uris":["http://h"]}}}`, head + `{"uris":["http://h"]},"implSpecificInfo":{}},"scopeOfLocality":"MEC_HOST","consumedLocalOnly":true,"serCategory":{"href":"","id":"","name":"","version":""}}`},
	} {
		require.Equal(t, normalText(t, pair[0]), normalText(t, pair[1]), name)
	}
	for name, pair := range map[string][2]string{
		"a port":       {head + `{"uris":["http://h:81"]}}}`, head + `{"uris":["http://h"]}}}`},
		"a port of s":  {head + `{"uris":["https://h:80"]}}}`, head + `{"uris":["https://h"]}}}`},
		"a path":       {head + `{"uris":["http://h/a"]}}}`, head + `{"uris":["http://h/A"]}}}`},
		"a form":       {head + `{"uris":["h"]}}}`, head + `{"fqdn":["h"]}}}`},
		"a port alone": {head + `{"addresses":[{"host":"a","port":1}]}}}`, head + `{"addresses":[{"host":"a","port":2}]}}}`},
		"an extension": {head + `{"uris":["http://h"]},"security":{"x":1}}}`, head + `{"uris":["http://h"]},"security":{"x":2}}}`},
		"a state":      {head + `{"uris":["http://h"]}}}`, `{"serName":"s","version":"1","state":"INACTIVE","serializer":"JSON"}`},
	} {
		require.NotEqual(t, normalText(t, pair[0]), normalText(t, pair[1]), name)
	}
}

// What is given is not changed, and what is not valid is taken as it is.
func TestNormalLeavesWhatItIsGiven(t *testing.T) {
	i := ServiceInfo{TransportInfo: &TransportInfo{Endpoint: EndPointInfo{URIs: []string{"http://b", "HTTP://a", "%zz", "mqtt:topic", "http://[::1]:80/"}},
		Security: SecurityInfo{OAuth2Info: &OAuth2Info{GrantTypes: []string{"", "x"}}}, ImplSpecificInfo: json.RawMessage(`{"a"`)}}
	n := i.Normal()
	require.Equal(t, []string{"http://b", "HTTP://a", "%zz", "mqtt:topic", "http://[::1]:80/"}, i.TransportInfo.Endpoint.URIs)
	require.Equal(t, []string{"", "x"}, i.TransportInfo.Security.OAuth2Info.GrantTypes)
	require.Equal(t, []string{"%zz", "http://[::1]", "http://a", "http://b", "mqtt:topic"}, n.TransportInfo.Endpoint.URIs)
	require.Equal(t, `{"a"`, string(n.TransportInfo.ImplSpecificInfo))
}
