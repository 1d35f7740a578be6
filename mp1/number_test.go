package mp1

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Clients whose language has no integers, and every Gson client that sends back the map
// that it read, write them with a fraction of nothing.
func TestANumberWithoutAFractionIsAnInteger(t *testing.T) {
	for text, want := range map[string]int{
		"60": 60, "60.0": 60, "6e1": 60, "6.0e1": 60, "0.6E+2": 60, "600e-1": 60, "60.000000000000000000000": 60, "6000e-2": 60, "8.08e3": 8080,
		"0": 0, "-0": 0, "-0.0": 0, "0e0": 0, "0.0e-99999999999999999999": 0, "0e99999999999999999999": 0, "-0E9": 0,
		"1e5": 100000, "1e18": math.MaxInt32, "1e400": math.MaxInt32, "1e99999999999999999999": math.MaxInt32, "2147483648.0": math.MaxInt32, "2147483647.0": math.MaxInt32,
		"1" + strings.Repeat("0", 5000): math.MaxInt32, "1" + strings.Repeat("0", 5000) + "e-5000": 1,
	} {
		info, err := DecodeServiceInfo([]byte(strings.Replace(full, `"livenessInterval":10`, `"livenessInterval":`+text, 1)))
		require.NoError(t, err, text)
		require.Equal(t, want, *info.LivenessInterval, text)
	}
	for _, text := range []string{"60.5", "0.1", "-1", "-1.0", "-60", "-1e400", "1e-1", "1e-400", "1e-99999999999999999999", "60.00000000000000000000001", "6.05e1", `"60"`, "true", "[60]"} {
		_, err := DecodeServiceInfo([]byte(strings.Replace(full, `"livenessInterval":10`, `"livenessInterval":`+text, 1)))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, text)
		require.Equal(t, "livenessInterval", bad.Attribute, text)
	}
	port := func(text string) []byte {
		return []byte(strings.Replace(full, `{"uris":["http://h:1/x"]}`, `{"addresses":[{"host":"h","port":`+text+`}]}`, 1))
	}
	for text, want := range map[string]int{"8080.0": 8080, "8.08e3": 8080, "65535.0": 65535, "1": 1} {
		info, err := DecodeServiceInfo(port(text))
		require.NoError(t, err, text)
		require.Equal(t, want, info.TransportInfo.Endpoint.Addresses[0].Port, text)
	}
	for _, text := range []string{"0.0", "-0.0", "65536.0", "1e400", "1e18", "80.5", "-80.0"} {
		_, err := DecodeServiceInfo(port(text))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, text)
		require.Equal(t, "transportInfo.endpoint.addresses.port", bad.Attribute, text)
	}
}

func TestIntegersOfOtherPlatformsAreWrittenAsGoReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		`{"interval":60.0,"a":[6e1,-5.0,-0.0,1.5,1e400,1e30],"s":"60.0 \"6e1\" \\"}`: `{"interval":60,"a":[60,-5,0,1.5,1e400,1e30],"s":"60.0 \"6e1\" \\"}`,
		`{"a":100000000000000000000.0,"b":1e17}`:                                     `{"a":100000000000000000000.0,"b":100000000000000000}`,
		``:                                                                           ``,
		`"60.0`:                                                                      `"60.0`,
		`1e`:                                                                         `1e`,
		`-`:                                                                          `-`,
		`"\`:                                                                         `"\`,
	} {
		require.Equal(t, want, string(PlainNumbers([]byte(text))))
	}
}

// MEC 011 §8.1.2.2 NOTE 4: isLocal is used in answers, subscriptions and notifications.
// AdvantEDGE's clients always send false.
func TestIsLocalIsThePlatformsToSay(t *testing.T) {
	for _, sent := range []any{false, true, nil} {
		for name, decode := range map[string]func([]byte) (ServiceInfo, error){"POST": DecodeServiceInfo, "PUT": DecodeUpdate} {
			info, err := decode(set("isLocal", sent))
			require.NoError(t, err, name)
			require.Nil(t, info.IsLocal, name)
			require.True(t, *info.Completed().IsLocal, name)
		}
	}
	old, err := ReadStored(`{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","isLocal":false}`)
	require.NoError(t, err, "a release before has stored what the application said")
	require.True(t, *old.IsLocal)
	yes, no := true, false
	require.True(t, (&FilteringCriteria{IsLocal: &yes}).Match(&old))
	require.False(t, (&FilteringCriteria{IsLocal: &no}).Match(&old))
	require.True(t, (&Filter{IsLocal: &yes}).Match(&old))
	require.False(t, (&Filter{IsLocal: &no}).Match(&old))
	_, err = ReadStored(`[]`)
	require.Error(t, err)
}

// What EdgeGallery's agent, AdvantEDGE's services and the MEC Sandbox's client leave out
// or send empty, where nothing is lost by it.
func TestWhatSaysNothingIsAbsent(t *testing.T) {
	nothing := map[string]any{"id": "", "name": "", "description": "", "type": "", "protocol": "", "version": "", "endpoint": map[string]any{"uris": nil, "addresses": nil, "alternative": nil},
		"security": map[string]any{"oAuth2Info": map[string]any{"grantTypes": nil, "tokenEndpoint": ""}}, "implSpecificInfo": map[string]any{}}
	plain := with(func(m map[string]any) {
		delete(m["transportInfo"].(map[string]any), "security")
		delete(m, "serCategory")
		delete(m, "scopeOfLocality")
	})
	want, err := DecodeServiceInfo(plain)
	require.NoError(t, err)
	require.Equal(t, SecurityInfo{}, want.TransportInfo.Security)
	b, err := json.Marshal(want)
	require.NoError(t, err)
	require.Contains(t, string(b), `"security":{}`, "§8.1.2.3 has it as mandatory, so the answer carries it")
	for name, change := range map[string]func(m, transport map[string]any){
		"security null":    func(_, tr map[string]any) { tr["security"] = nil },
		"security empty":   func(_, tr map[string]any) { tr["security"] = map[string]any{} },
		"oAuth2Info null":  func(_, tr map[string]any) { tr["security"] = map[string]any{"oAuth2Info": nil} },
		"oAuth2Info empty": func(_, tr map[string]any) { tr["security"] = map[string]any{"oAuth2Info": map[string]any{}} },
		"EdgeGallery's grants": func(_, tr map[string]any) {
			tr["security"] = map[string]any{"oAuth2Info": map[string]any{"grantTypes": []string{""}, "tokenEndpoint": nil}}
		},
		"a category in which nothing is": func(m, _ map[string]any) {
			m["serCategory"] = map[string]any{"href": "", "id": "", "name": "", "version": ""}
		},
		"a category of nulls":             func(m, _ map[string]any) { m["serCategory"] = map[string]any{"href": nil, "id": nil} },
		"no locality":                     func(m, _ map[string]any) { m["scopeOfLocality"] = "" },
		"null locality":                   func(m, _ map[string]any) { m["scopeOfLocality"] = nil },
		"transportId and ids of its own":  func(m, _ map[string]any) { m["transportId"], m["serInstanceId"], m["_links"] = "", 7, []any{"x"} },
		"null for what is for the answer": func(m, _ map[string]any) { m["transportId"], m["serInstanceId"], m["_links"] = nil, nil, nil },
	} {
		info, err := DecodeServiceInfo(with(func(m map[string]any) {
			tr := m["transportInfo"].(map[string]any)
			delete(tr, "security")
			delete(m, "serCategory")
			delete(m, "scopeOfLocality")
			change(m, tr)
		}))
		require.NoError(t, err, name)
		require.Equal(t, want, info, name)
	}
	for name, none := range map[string]any{"null": nil, "empty": map[string]any{}, "EdgeGallery's, without a value": nothing} {
		info, err := DecodeServiceInfo(with(func(m map[string]any) { m["transportInfo"], m["transportId"] = none, "rest-http" }))
		require.NoError(t, err, name)
		require.Equal(t, "rest-http", info.TransportInfo.ID, name)
		info, err = DecodeUpdate(set("transportInfo", none))
		require.NoError(t, err, name)
		require.Nil(t, info.TransportInfo, "%s: the stored one is kept", name)
		_, err = DecodeServiceInfo(set("transportInfo", none))
		require.ErrorContains(t, err, "one of transportInfo and transportId is mandatory", name)
	}
	app, err := DecodeAppInfo([]byte(`{"appName":"n","appCategory":{"href":"","id":"","name":"","version":""}}`))
	require.NoError(t, err)
	require.Nil(t, app.AppCategory)
}
