package mp1

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// valid is a description that breaks no rule.
func valid(t *testing.T) ServiceInfo {
	t.Helper()
	var out ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(fullService), &out))
	return out
}

// attributes are those that an error of this package blames, in its order.
func attributes(t *testing.T, err error) (out []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	var all Faults
	var one *Invalid
	if errors.As(err, &all) {
		for _, f := range all {
			require.NotEmpty(t, f.Rule)
			out = append(out, f.Attribute)
		}
		return out
	}
	require.ErrorAs(t, err, &one)
	return []string{one.Attribute}
}

func TestEveryFaultOfADescriptionIsSaidAtOnce(t *testing.T) {
	for body, want := range map[string][]string{
		fullService: nil,
		`{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"the-platforms-own"}`: nil,
		`{}`: {"serName", "version", "state", "serializer", "transportInfo"},
		`[]`: {""},
		`{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"","transportInfo":null}`: {"transportInfo"},
		`{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON","transportId":7}`:                       {"transportId"},
		`{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON","transportInfo":"http"}`:                {"transportInfo"},
		`{"serName":"","Version":"1","version":5,"state":"RUNNING","serializer":"YAML","scopeOfLocality":"MARS","consumedLocalOnly":"yes","livenessInterval":-1,
			"transportInfo":{"id":"t","type":"PIGEON","protocol":"HTTP","version":"1","implSpecificInfo":[],"endpoint":{},"security":{}}}`: {
			"version", "serName", "version", "state", "serializer", "scopeOfLocality", "consumedLocalOnly", "livenessInterval",
			"transportInfo.name", "transportInfo.type", "transportInfo.implSpecificInfo", "transportInfo.endpoint"},
		`{"serName":"s","version":"1","state":"SUSPENDED","serializer":"JSON","serCategory":{"href":"h"},"transportInfo":{"id":"t","name":"n","type":"RPC","protocol":"p","version":"1",
			"endpoint":{"uris":[""],"addresses":[{"host":"h"},{"host":""}]},"security":{"oAuth2Info":{"grantTypes":["MAGIC"],"tokenEndpoint":9}}}}`: {
			"serCategory.id", "serCategory.name", "serCategory.version", "transportInfo.endpoint.uris", "transportInfo.endpoint.addresses.port",
			"transportInfo.security.oAuth2Info.grantTypes", "transportInfo.security.oAuth2Info.tokenEndpoint", "state"},
	} {
		require.Equal(t, want, attributes(t, CheckServiceInfo([]byte(body))), body)
	}
	_, err := DecodeServiceInfo([]byte(`{"serName":"s","version":"1","state":"SUSPENDED","serializer":"JSON","transportId":"unknown"}`))
	require.Equal(t, []string{"transportId", "state"}, attributes(t, err), "the platform's decoder has the same rules, and knows its transports")
	require.EqualError(t, err, "transportId: must be the id of a transport that GET /transports offers; state: must be ACTIVE or INACTIVE; only the platform suspends")
	_, err = DecodeUpdate([]byte(`{"serName":"s","version":"1","state":"SUSPENDED","serializer":"JSON"}`))
	require.NoError(t, err)
}

func TestADescriptionIsValidatedBeforeItIsSent(t *testing.T) {
	require.NoError(t, valid(t).Validate(), "what the platform sets is not looked at")
	require.Equal(t, []string{"serName", "version", "state", "serializer", "transportInfo"}, attributes(t, ServiceInfo{}.Validate()))
	require.NoError(t, ServiceInfo{SerName: "s", Version: "1", State: Active, Serializer: "JSON", TransportID: "the-platforms-own"}.Validate())
	negative := -1
	for name, c := range map[string]struct {
		change func(*ServiceInfo)
		want   []string
	}{
		"a proposal below 0":        {func(i *ServiceInfo) { i.LivenessInterval = &negative }, []string{"livenessInterval"}},
		"SUSPENDED":                 {func(i *ServiceInfo) { i.State = Suspended }, []string{"state"}},
		"no transport, an endpoint": {func(i *ServiceInfo) { i.TransportInfo = &TransportInfo{Endpoint: EndPointInfo{URIs: []string{"u"}}} }, []string{"transportInfo.type"}},
		"two endpoints":             {func(i *ServiceInfo) { i.TransportInfo.Endpoint.FQDN = []string{"f"} }, []string{"transportInfo.endpoint"}},
		"a port of 0":               {func(i *ServiceInfo) { i.TransportInfo.Endpoint = EndPointInfo{Addresses: []Address{{"h", 0}}} }, []string{"transportInfo.endpoint.addresses.port"}},
		"strings that would change": {func(i *ServiceInfo) { i.SerName = "\xff"; i.TransportInfo.Endpoint.URIs = []string{"http://\xfe"} }, []string{"serName", "transportInfo.endpoint.uris"}},
		"text that is no JSON":      {func(i *ServiceInfo) { i.TransportInfo.ImplSpecificInfo = json.RawMessage("{") }, []string{"transportInfo.implSpecificInfo"}},
		"text that is no object":    {func(i *ServiceInfo) { i.TransportInfo.ImplSpecificInfo = json.RawMessage("7") }, []string{"transportInfo.implSpecificInfo"}},
		"an alternative and a state": {func(i *ServiceInfo) {
			i.TransportInfo.Endpoint = EndPointInfo{Alternative: json.RawMessage("x")}
			i.State = "X"
		}, []string{"transportInfo.endpoint.alternative", "state"}},
		"extensions": {func(i *ServiceInfo) {
			i.TransportInfo.Security.Extensions = map[string]json.RawMessage{"a": json.RawMessage("{"), "b c": {}, "d": json.RawMessage("1")}
		}, []string{"transportInfo.security.a", "transportInfo.security"}},
		"a member twice": {func(i *ServiceInfo) { i.TransportInfo.ImplSpecificInfo = json.RawMessage(`{"a":1,"a":2}`) }, []string{"transportInfo.implSpecificInfo.a"}},
		"a grant type":   {func(i *ServiceInfo) { i.TransportInfo.Security.OAuth2Info.GrantTypes = []string{"\xff"} }, []string{"transportInfo.security.oAuth2Info.grantTypes", "transportInfo.security.oAuth2Info.grantTypes"}},
	} {
		info := valid(t)
		c.change(&info)
		require.Equal(t, c.want, attributes(t, info.Validate()), name)
	}
}

func TestValidationChangesNothing(t *testing.T) {
	info := valid(t)
	info.TransportInfo.Security.Extensions["bad"] = json.RawMessage("{")
	info.TransportInfo.ImplSpecificInfo = json.RawMessage("{")
	require.Error(t, info.Validate())
	require.Len(t, info.TransportInfo.Security.Extensions, 2)
	require.NotNil(t, info.TransportInfo.ImplSpecificInfo)
	require.NotNil(t, info.IsLocal)
}

// A caller who asks for the first rule gets it, however many are broken.
func TestTheFirstFaultIsFoundInAll(t *testing.T) {
	var first *Invalid
	require.ErrorAs(t, ServiceInfo{}.Validate(), &first)
	require.Equal(t, "serName", first.Attribute)
	require.Nil(t, Faults(nil).err())
	long := ServiceInfo{SerName: strings.Repeat("x", maxText+1)}
	require.NotContains(t, long.Validate().Error(), "xx", "what was written is not repeated")
}
