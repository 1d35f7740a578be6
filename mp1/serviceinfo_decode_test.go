package mp1

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fullService has every member that a client may send, and some that MEC 011 does not have.
const fullService = `{"serInstanceId":"mine","serName":"n","serCategory":{"href":"/c","id":"c1","name":"cat","version":"1","x":1},"version":"1","state":"ACTIVE",
	"transportInfo":{"id":"t","name":"T","description":"d","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://h:1/x"]},
	"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS","OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/token"},"y":{}},"implSpecificInfo":{"z":[1,{"a":null}]}},
	"serializer":"JSON","scopeOfLocality":"ZONE","consumedLocalOnly":false,"isLocal":false,"livenessInterval":10,"_links":{"self":{"liveness":""}},"unknown":{"n":[1,2]}}`

func with(change func(map[string]any)) []byte {
	var m map[string]any
	if err := json.Unmarshal([]byte(fullService), &m); err != nil {
		panic(err)
	}
	change(m)
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func set(path string, v any) []byte {
	return with(func(m map[string]any) {
		parts := strings.Split(path, ".")
		for _, p := range parts[:len(parts)-1] {
			m = m[p].(map[string]any)
		}
		m[parts[len(parts)-1]] = v
	})
}

func TestARegistrationWithEverythingIsRead(t *testing.T) {
	info, err := DecodeServiceInfo([]byte(fullService))
	require.NoError(t, err)
	require.Empty(t, info.SerInstanceID, "the platform assigns it")
	require.Nil(t, info.Links)
	require.Equal(t, "c1", info.SerCategory.ID)
	require.Equal(t, 10, *info.LivenessInterval)
	require.Equal(t, []string{"http://h:1/x"}, info.TransportInfo.Endpoint.URIs)
	require.Equal(t, "/token", info.TransportInfo.Security.OAuth2Info.TokenEndpoint)
	require.Nil(t, info.IsLocal, "it is the platform's to say")
	require.False(t, *info.Completed().ConsumedLocalOnly)
	b, err := json.Marshal(info)
	require.NoError(t, err)
	again, err := DecodeServiceInfo(b)
	require.NoError(t, err)
	require.Equal(t, info, again)
}

func TestExactlyOneKindOfEndpointIsKept(t *testing.T) {
	uris, fqdn, addresses := []string{"u"}, []string{"f"}, []any{map[string]any{"host": "h", "port": 1}}
	for _, c := range []struct {
		sent map[string]any
		want EndPointInfo
	}{
		{map[string]any{"uris": uris, "fqdn": []any{}, "addresses": []any{}}, EndPointInfo{URIs: uris}},
		{map[string]any{"uris": []any{}, "fqdn": fqdn, "addresses": []any{}}, EndPointInfo{FQDN: fqdn}},
		{map[string]any{"uris": []any{}, "fqdn": []any{}, "addresses": addresses}, EndPointInfo{Addresses: []Address{{"h", 1}}}},
		{map[string]any{"uris": []any{}, "fqdn": []any{}, "addresses": []any{}, "alternative": map[string]any{}}, EndPointInfo{Alternative: json.RawMessage("{}")}},
		{map[string]any{"uris": []any{}, "addresses": nil}, EndPointInfo{URIs: []string{}}},
	} {
		info, err := DecodeServiceInfo(set("transportInfo.endpoint", c.sent))
		require.NoError(t, err, c.sent)
		require.Equal(t, c.want, info.TransportInfo.Endpoint)
	}
}

func TestWhatTheAgentsInTheFieldSendIsAccepted(t *testing.T) {
	for name, body := range map[string][]byte{
		"null for an optional member":  set("serCategory", nil),
		"EdgeGallery's empty OAuth2":   set("transportInfo.security.oAuth2Info", map[string]any{"grantTypes": nil, "tokenEndpoint": ""}),
		"EdgeGallery's null addresses": set("transportInfo.endpoint", map[string]any{"uris": []string{"x"}, "addresses": nil, "alternative": nil}),
		"empty transportId":            set("transportId", ""),
		"both transports":              set("transportId", "whatever"),
		"a host with blanks":           set("transportInfo.endpoint", map[string]any{"addresses": []any{map[string]any{"host": "a b", "port": 80}}}),
		"fqdn":                         set("transportInfo.endpoint", map[string]any{"fqdn": []string{"a.example"}}),
		"alternative":                  set("transportInfo.endpoint", map[string]any{"alternative": map[string]any{"x": 1}}),
		"no uris at all":               set("transportInfo.endpoint", map[string]any{"uris": []string{}}),
		"empty arrays beside one":      set("transportInfo.endpoint", map[string]any{"uris": []string{}, "addresses": []string{}, "fqdn": []string{"a"}}),
		"256 characters of 3 bytes":    set("serName", strings.Repeat("名", 256)),
		"empty security":               set("transportInfo.security", map[string]any{}),
		"the platform's transport":     with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = DefaultTransports()[0].ID }),
		"the suite's transport":        with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = "transportId" }),
		"an escaped pair":              []byte(strings.Replace(fullService, `"n"`, `"\ud83d\ude00"`, 1)),
	} {
		info, err := DecodeServiceInfo(body)
		require.NoError(t, err, name)
		require.NotNil(t, info.TransportInfo, name)
		require.Empty(t, info.TransportID, name)
		b, err := json.Marshal(info)
		require.NoError(t, err, name)
		again, err := DecodeServiceInfo(b)
		require.NoError(t, err, "%s: what was made of it must be valid itself: %s", name, b)
		require.Equal(t, info, again, name)
	}
}

// A large number must not be rounded, and one beyond a double must not make a list
// unreadable, for us or for a consumer.
func TestWhatOnlyTheApplicationUnderstandsIsGivenBack(t *testing.T) {
	for _, inside := range []string{`{"z":1e308}`, `{"z":12345678901234567891}`, `{"z":[null,{"a":-0.10}]}`} {
		for _, where := range []string{"transportInfo.implSpecificInfo", "transportInfo.endpoint", "transportInfo.security"} {
			value, path := json.RawMessage(inside), where
			switch where {
			case "transportInfo.endpoint":
				value = json.RawMessage(`{"alternative":` + inside + `}`)
			case "transportInfo.security":
				value, path = json.RawMessage(`{"x-vendor":`+inside+`}`), where
			}
			info, err := DecodeServiceInfo(set(path, value))
			require.NoError(t, err, "%s in %s", inside, where)
			_, err = DecodeServiceInfo([]byte(strings.ReplaceAll(string(set(path, value)), inside, `{"z":[{"a":-1e400}]}`)))
			var bad *Invalid
			require.ErrorAs(t, err, &bad, where)
			require.True(t, strings.HasPrefix(bad.Attribute, where), bad.Attribute)
			stored, err := json.Marshal(info)
			require.NoError(t, err)
			var back ServiceInfo
			require.NoError(t, json.Unmarshal(stored, &back), "%s in %s", inside, where)
			require.Equal(t, info, back)
			shown, err := json.Marshal(back.Completed())
			require.NoError(t, err)
			require.Contains(t, string(shown), inside, where)
		}
	}
	both := SecurityInfo{OAuth2Info: &OAuth2Info{TokenEndpoint: "/t"}, Extensions: map[string]json.RawMessage{"x": json.RawMessage("1"), oauthMember: json.RawMessage("2")}}
	b, err := json.Marshal(both)
	require.NoError(t, err)
	require.JSONEq(t, `{"oAuth2Info":{"tokenEndpoint":"/t"},"x":1}`, string(b))
	require.Error(t, new(SecurityInfo).UnmarshalJSON([]byte(`{"oAuth2Info":1}`)))
	require.Error(t, new(SecurityInfo).UnmarshalJSON([]byte(`[]`)))
}

func TestAnUpdateMayLeaveItsTransportOutAndEchoSuspended(t *testing.T) {
	bare := with(func(m map[string]any) { delete(m, "transportInfo"); m["state"] = "SUSPENDED" })
	info, err := DecodeUpdate(bare)
	require.NoError(t, err)
	require.Equal(t, Suspended, info.State)
	require.Nil(t, info.TransportInfo)
	info, err = DecodeUpdate(with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = "rest-http" }))
	require.NoError(t, err)
	require.Equal(t, "rest-http", info.TransportInfo.ID)
	for attribute, body := range map[string][]byte{
		"version":          with(func(m map[string]any) { m["a_version"] = m["version"]; delete(m, "version") }),
		"transportId":      with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = "nobody's" }),
		"state":            set("state", nil),
		"livenessInterval": set("livenessInterval", -1),
	} {
		var bad *Invalid
		_, err := DecodeUpdate(body)
		require.ErrorAs(t, err, &bad)
		require.Equal(t, attribute, bad.Attribute)
	}
}

func TestEnumsAreCaseSensitiveAndClosed(t *testing.T) {
	require.True(t, Active.Valid() && Inactive.Valid() && Suspended.Valid() && DefaultLocality.Valid())
	require.True(t, Serializer("PROTOBUF3").Valid() && TransportType("REST_HTTP").Valid())
	require.False(t, State("active").Valid() || Locality("").Valid() || Serializer("YAML").Valid() || TransportType("HTTP").Valid())
}

func TestEveryFaultNamesItsAttributeAndRule(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	for _, c := range []struct {
		body      []byte
		attribute string
	}{
		{set("serName", nil), "serName"},
		{set("serName", ""), "serName"},
		{set("serName", 5), "serName"},
		{set("serName", "a\nb"), "serName"},
		{set("serName", strings.Repeat("x", 257)), "serName"},
		{set("serName", strings.Repeat("名", 257)), "serName"},
		{set("version", nil), "version"},
		{set("state", nil), "state"},
		{set("state", "SUSPENDED"), "state"},
		{set("state", "active"), "state"},
		{set("serializer", "YAML"), "serializer"},
		{set("scopeOfLocality", "NOWHERE"), "scopeOfLocality"},
		{set("isLocal", "true"), "isLocal"},
		{set("consumedLocalOnly", 1), "consumedLocalOnly"},
		{set("livenessInterval", -1), "livenessInterval"},
		{set("livenessInterval", 1.5), "livenessInterval"},
		{set("livenessInterval", "5"), "livenessInterval"},
		{set("livenessInterval", true), "livenessInterval"},
		{set("serCategory", map[string]any{"href": "x", "id": "x", "name": "x"}), "serCategory.version"},
		{set("serCategory", "x"), "serCategory"},
		{set("transportInfo", nil), "transportInfo"},
		{set("transportInfo", []int{}), "transportInfo"},
		{set("transportInfo.type", "SMOKE"), "transportInfo.type"},
		{set("transportInfo.id", nil), "transportInfo.id"},
		{set("transportInfo.security", "none"), "transportInfo.security"},
		{set("transportInfo.security", []any{}), "transportInfo.security"},
		{set("transportInfo.endpoint", map[string]any{}), "transportInfo.endpoint"},
		{set("transportInfo.endpoint", map[string]any{"uris": []string{"x"}, "fqdn": []string{"y"}}), "transportInfo.endpoint"},
		{set("transportInfo.endpoint", map[string]any{"uris": []string{}, "fqdn": []string{}}), "transportInfo.endpoint"},
		{set("transportInfo.endpoint", map[string]any{"uris": []string{"x"}, "alternative": map[string]any{}}), "transportInfo.endpoint"},
		{set("transportInfo.endpoint", map[string]any{"alternative": "x"}), "transportInfo.endpoint.alternative"},
		{set("transportInfo.endpoint", map[string]any{"uris": []string{""}}), "transportInfo.endpoint.uris"},
		{set("transportInfo.implSpecificInfo", 1), "transportInfo.implSpecificInfo"},
		{set("transportInfo.security.OAUTH2INFO", 1), "transportInfo.security.oAuth2Info"},
		{set("transportInfo.endpoint", map[string]any{"uris": []any{1}}), "transportInfo.endpoint.uris"},
		{set("transportInfo.endpoint", map[string]any{"addresses": []any{map[string]any{"host": "h", "port": 70000}}}), "transportInfo.endpoint.addresses.port"},
		{set("transportInfo.security.oAuth2Info", map[string]any{"grantTypes": []string{"MAGIC"}}), "transportInfo.security.oAuth2Info.grantTypes"},
		{with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = "nobody's" }), "transportId"},
		{with(func(m map[string]any) { m["SerName"] = "x" }), "serName"},
		{set("transportInfo.Endpoint", map[string]any{}), "transportInfo.endpoint"},
		{[]byte(strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":1e-1`, 1)), "livenessInterval"},
		{[]byte(strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":10.5`, 1)), "livenessInterval"},
		{[]byte(strings.Replace(fullService, `"id":"c1"`, `"id":"c1","id":"c2"`, 1)), "serCategory.id"},
		{[]byte(fullService + fullService), ""},
		{[]byte(fullService + " x"), ""},
		{[]byte("null"), ""}, {[]byte("[]"), ""}, {[]byte(`"x"`), ""}, {[]byte(""), ""}, {[]byte(" "), ""}, {[]byte("{"), ""},
		{[]byte("\xef\xbb\xbf" + fullService), ""},
		{[]byte(strings.Replace(fullService, `"n"`, "\"n\xff\"", 1)), ""},
		{[]byte(strings.Replace(fullService, `"n"`, `"\ud800"`, 1)), ""},
		{[]byte(strings.Replace(fullService, `"n"`, `"\udc00x"`, 1)), ""},
		{[]byte(strings.Replace(fullService, `"unknown":{"n":[1,2]}`, `"unknown":`+deep, 1)), ""},
	} {
		_, err := DecodeServiceInfo(c.body)
		var bad *Invalid
		require.ErrorAs(t, err, &bad, "%.200s", c.body)
		require.Equal(t, c.attribute, bad.Attribute, "%.200s", c.body)
		require.NotEmpty(t, bad.Rule)
	}
	info, err := DecodeServiceInfo([]byte(strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":99999999999999999999`, 1)))
	require.NoError(t, err, "large proposals are clamped, never refused")
	require.Positive(t, *info.LivenessInterval)
}

// An error repeats no value, and a name only if it is one word.
func TestAnErrorNeverRepeatsWhatWasSent(t *testing.T) {
	for _, body := range []string{`{"CANARY.":1,"CANARY.":2}`, `{"serName":["CANARY"]}`, `{"x":{"CANARY ":{"a":1,"a":1}}}`, `{"a":"CANARY","a":"CANARY"}`, `{"` + strings.Repeat("CANARY", 11) + `":1,"` + strings.Repeat("CANARY", 11) + `":1}`, `{"state":"CANARY"}`, "CANARY"} {
		_, err := DecodeServiceInfo([]byte(body))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "CANARY", body)
	}
}

func TestAMemberThatStandsTwiceIsNamed(t *testing.T) {
	for body, attribute := range map[string]string{
		`{"state":"ACTIVE","state":"ACTIVE"}`: "state", `{"state":null,"st\u0061te":1}`: "state", `{"vendor":1,"vendor":1}`: "vendor",
		`{"transportInfo":{"endpoint":{"uris":[],"uris":[]}}}`: "transportInfo.endpoint.uris", `{"x":[[1,{"y":{"z":1,"z":1}}]]}`: "x.y.z",
		`{"transportInfo":{"security":{"vendor":1,"vendor":2}}}`: "transportInfo.security.vendor",
		`{"a b":{"c":1,"c":1}}`:                                  "c", `{"a":{"b c":1,"b c":1}}`: "a", `{"b c":1,"b c":1}`: "", `{"":1,"":1}`: "",
	} {
		_, service := DecodeServiceInfo([]byte(body))
		_, subscription := DecodeSubscription([]byte(body))
		_, app := DecodeAppInfo([]byte(body))
		for _, err := range []error{service, subscription, app, CheckLivenessUpdate([]byte(body))} {
			var bad *Invalid
			require.ErrorAs(t, err, &bad, body)
			require.Equal(t, attribute, bad.Attribute, body)
			require.Contains(t, bad.Error(), "stands twice", body)
		}
	}
	_, err := DecodeServiceInfo(set("transportInfo.security.vendor", json.Number("1e999")))
	require.ErrorContains(t, err, "transportInfo.security.vendor: ", "so is a number that no consumer could read")
}

func TestAHeartbeatSaysActiveAndNothingElse(t *testing.T) {
	for _, ok := range []string{`{"state":"ACTIVE"}`, " {\n\"state\" : \"ACTIVE\" } ", `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`,
		`{"state":"ACTIVE","ServiceLivenessUpdate":{"state":"ACTIVE"}}`, `{"state":"ACTIVE","timeStamp":{"seconds":1}}`, `{"state":"ACTIVE","ServiceLivenessUpdate":null}`, `{"state":"ACTIV\u0045"}`} {
		require.NoError(t, CheckLivenessUpdate([]byte(ok)), ok)
	}
	for _, bad := range []string{``, `{}`, `null`, `[]`, `{"state":"INACTIVE"}`, `{"state":"SUSPENDED"}`, `{"state":1}`, `{"state":null}`, `{"State":"ACTIVE"}`,
		`{"state":"ACTIVE","STATE":"ACTIVE"}`, `{"state":"ACTIVE","state":"ACTIVE"}`, `{"state":"ACTIVE"}{}`, `{"ServiceLivenessUpdate":{}}`,
		`{"ServiceLivenessUpdate":{"state":"INACTIVE"}}`, `{"state":"ACTIVE","ServiceLivenessUpdate":{"state":"INACTIVE"}}`,
		`{"state":"INACTIVE","ServiceLivenessUpdate":{"state":"ACTIVE"}}`, `{"ServiceLivenessUpdate":"ACTIVE"}`, "{\"state\":\"ACTIVE\xff\"}", `{"state":"ACTIVE","x":"\ud800"}`} {
		var invalid *Invalid
		require.ErrorAs(t, CheckLivenessUpdate([]byte(bad)), &invalid, bad)
	}
	for _, usual := range []string{`{"state":"ACTIVE"}`, "{ \"state\": \"ACTIVE\" }\r\n", `{"ServiceLivenessUpdate": {"state": "ACTIVE"}}`} {
		body := []byte(usual)
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = CheckLivenessUpdate(body) }), usual)
	}
	for _, almost := range []string{`{"state":"ACTIVE"`, `{"state":"ACTIVE"}}`, `{"state":"ACTIVE",}`, `{"st ate":"ACTIVE"}`, `{"state":" ACTIVE"}`, "{\"state\":\v\"ACTIVE\"}", "\xef\xbb\xbf{\"state\":\"ACTIVE\"}", "\u00a0{\"state\":\"ACTIVE\"}"} {
		require.Error(t, CheckLivenessUpdate([]byte(almost)), almost)
	}
}
