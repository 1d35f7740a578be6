package mp1

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// full has every member that a client may send, and some that nobody knows.
const full = `{"serInstanceId":"mine","serName":"n","serCategory":{"href":"/c","id":"c1","name":"cat","version":"1","x":1},"version":"1","state":"ACTIVE",
	"transportInfo":{"id":"t","name":"T","description":"d","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://h:1/x"]},
	"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS","OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/token"},"y":{}},"implSpecificInfo":{"z":[1,{"a":null}]}},
	"serializer":"JSON","scopeOfLocality":"ZONE","consumedLocalOnly":false,"isLocal":false,"livenessInterval":10,"_links":{"self":{"liveness":""}},"unknown":{"n":[1,2]}}`

func with(change func(map[string]any)) []byte {
	var m map[string]any
	if err := json.Unmarshal([]byte(full), &m); err != nil {
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
	info, err := DecodeServiceInfo([]byte(full))
	require.NoError(t, err)
	require.Empty(t, info.SerInstanceID, "the platform assigns it")
	require.Nil(t, info.Links)
	require.Equal(t, "c1", info.SerCategory.ID)
	require.Equal(t, 10, *info.LivenessInterval)
	require.Equal(t, []string{"http://h:1/x"}, info.TransportInfo.Endpoint.URIs)
	require.Equal(t, "/token", info.TransportInfo.Security.OAuth2Info.TokenEndpoint)
	require.False(t, *info.IsLocal)
	require.False(t, *info.Completed().ConsumedLocalOnly)
	b, err := json.Marshal(info)
	require.NoError(t, err)
	again, err := DecodeServiceInfo(b)
	require.NoError(t, err)
	require.Equal(t, info, again)
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
		"empty security":               set("transportInfo.security", map[string]any{}),
		"the platform's transport":     with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = DefaultTransports()[0].ID }),
		"the suite's transport":        with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = "transportId" }),
		"an escaped pair":              []byte(strings.Replace(full, `"n"`, `"\ud83d\ude00"`, 1)),
	} {
		info, err := DecodeServiceInfo(body)
		require.NoError(t, err, name)
		require.NotNil(t, info.TransportInfo, name)
		require.Empty(t, info.TransportID, name)
	}
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
		{set("transportInfo.security", nil), "transportInfo.security"},
		{set("transportInfo.endpoint", map[string]any{}), "transportInfo.endpoint"},
		{set("transportInfo.endpoint", map[string]any{"uris": []string{"x"}, "fqdn": []string{"y"}}), "transportInfo.endpoint"},
		{set("transportInfo.endpoint", map[string]any{"uris": []any{1}}), "transportInfo.endpoint.uris"},
		{set("transportInfo.endpoint", map[string]any{"addresses": []any{map[string]any{"host": "h", "port": 70000}}}), "transportInfo.endpoint.addresses.port"},
		{set("transportInfo.security.oAuth2Info", map[string]any{"grantTypes": []string{"MAGIC"}}), "transportInfo.security.oAuth2Info.grantTypes"},
		{with(func(m map[string]any) { delete(m, "transportInfo"); m["transportId"] = "nobody's" }), "transportId"},
		{with(func(m map[string]any) { m["SerName"] = "x" }), "serName"},
		{set("transportInfo.Endpoint", map[string]any{}), "transportInfo.endpoint"},
		{[]byte(strings.Replace(full, `"livenessInterval":10`, `"livenessInterval":1e1`, 1)), "livenessInterval"},
		{[]byte(strings.Replace(full, `"livenessInterval":10`, `"livenessInterval":10.0`, 1)), "livenessInterval"},
		{[]byte(strings.Replace(full, `"id":"c1"`, `"id":"c1","id":"c2"`, 1)), "serCategory"},
		{[]byte(full + full), ""},
		{[]byte(full + " x"), ""},
		{[]byte("null"), ""}, {[]byte("[]"), ""}, {[]byte(`"x"`), ""}, {[]byte(""), ""}, {[]byte(" "), ""}, {[]byte("{"), ""},
		{[]byte("\xef\xbb\xbf" + full), ""},
		{[]byte(strings.Replace(full, `"n"`, "\"n\xff\"", 1)), ""},
		{[]byte(strings.Replace(full, `"n"`, `"\ud800"`, 1)), ""},
		{[]byte(strings.Replace(full, `"n"`, `"\udc00x"`, 1)), ""},
		{[]byte(strings.Replace(full, `"unknown":{"n":[1,2]}`, `"unknown":`+deep, 1)), ""},
	} {
		_, err := DecodeServiceInfo(c.body)
		var bad *Invalid
		require.ErrorAs(t, err, &bad, "%.200s", c.body)
		require.Equal(t, c.attribute, bad.Attribute, "%.200s", c.body)
		require.NotEmpty(t, bad.Rule)
	}
	info, err := DecodeServiceInfo([]byte(strings.Replace(full, `"livenessInterval":10`, `"livenessInterval":99999999999999999999`, 1)))
	require.NoError(t, err, "large proposals are clamped, never refused")
	require.Positive(t, *info.LivenessInterval)
}

func TestAnErrorNeverRepeatsWhatWasSent(t *testing.T) {
	for _, body := range []string{`{"CANARY":1,"CANARY":2}`, `{"serName":["CANARY"]}`, `{"x":{"CANARY":{"a":1,"a":1}}}`, `{"state":"CANARY"}`, "CANARY"} {
		_, err := DecodeServiceInfo([]byte(body))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "CANARY", body)
	}
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
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = CheckLivenessUpdate(usualBeat) }))
}

func TestIDs(t *testing.T) {
	for _, ok := range []string{"a", "0", "A.b_c-d", strings.Repeat("x", 128), "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"} {
		require.True(t, ValidID(ok), ok)
	}
	for _, bad := range []string{"", ".", "-a", "_a", "a/b", "a b", "..", "a\x00", "é", "１", strings.Repeat("x", 129), "a%2f", "a\n"} {
		require.False(t, ValidID(bad), bad)
	}
}

func TestQueries(t *testing.T) {
	yes := true
	for raw, want := range map[string]Filter{
		"":                           {},
		"ser_name=a&ser_name=b":      {SerNames: []string{"a", "b"}},
		"ser_instance_id=x":          {SerInstanceIDs: []string{"x"}},
		"ser_category_id=c":          {SerCategoryID: "c"},
		"scope_of_locality=ZONE":     {ScopeOfLocality: "ZONE"},
		"is_local=true&ser_name=%20": {SerNames: []string{" "}, IsLocal: &yes},
		"consumed_local_only=true":   {ConsumedLocalOnly: &yes},
	} {
		f, err := ParseQuery(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, f, raw)
	}
	for _, bad := range []string{"instance_id=5", "ser_name=a&ser_instance_id=b", "ser_name=a&ser_category_id=b", "ser_instance_id=a&ser_category_id=b",
		"is_local=1", "is_local=TRUE", "is_local=", "scope_of_locality=zone", "scope_of_locality=ZONE&scope_of_locality=ZONE", "ser_name=", "x=%zz", "a;b=1", "Ser_name=a"} {
		_, err := ParseQuery(bad)
		var invalid *Invalid
		require.ErrorAs(t, err, &invalid, bad)
	}
}

func TestAFilterMatchesWhatAbsenceMeans(t *testing.T) {
	yes, no := true, false
	plain := &ServiceInfo{SerInstanceID: "i", SerName: "n"}
	other := &ServiceInfo{SerInstanceID: "j", SerName: "m", SerCategory: &CategoryRef{ID: "c"}, ScopeOfLocality: "ZONE", ConsumedLocalOnly: &no, IsLocal: &no}
	for _, c := range []struct {
		f            Filter
		plain, other bool
	}{
		{Filter{}, true, true},
		{Filter{SerNames: []string{"n", "x"}}, true, false},
		{Filter{SerInstanceIDs: []string{"j"}}, false, true},
		{Filter{SerCategoryID: "c"}, false, true},
		{Filter{ScopeOfLocality: "MEC_HOST"}, true, false},
		{Filter{ScopeOfLocality: "ZONE"}, false, true},
		{Filter{IsLocal: &yes}, true, false},
		{Filter{IsLocal: &no}, false, true},
		{Filter{ConsumedLocalOnly: &yes}, true, false},
		{Filter{ConsumedLocalOnly: &no, SerNames: []string{"n"}}, false, false},
	} {
		require.Equal(t, c.plain, c.f.Match(plain), c.f)
		require.Equal(t, c.other, c.f.Match(other), c.f)
	}
}

func FuzzDecodeServiceInfo(f *testing.F) {
	for _, s := range []string{full, "{}", "null", `{"serName":"\ud800"}`, `{"a":1,"a":2}`, strings.Repeat("[", 50)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := DecodeServiceInfo(data)
		var bad *Invalid
		if err != nil {
			if !errors.As(err, &bad) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		b, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeServiceInfo(b); err != nil {
			t.Fatalf("%q was accepted, and what was made of it not: %q: %v", data, b, err)
		}
	})
}

func FuzzCheckLivenessUpdate(f *testing.F) {
	for _, s := range []string{`{"state":"ACTIVE"}`, `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`, `{"state":"\ud800"}`, "null", `{"state":1e309}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if CheckLivenessUpdate(data) == nil && !strings.Contains(strings.ToLower(string(data)), "state") && !strings.Contains(string(data), `\u`) {
			t.Fatalf("%q was taken for a heartbeat", data)
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("ser_name=a&is_local=true")
	f.Add("%zz;&==")
	f.Fuzz(func(t *testing.T, raw string) {
		if filter, err := ParseQuery(raw); err == nil {
			filter.Match(&ServiceInfo{})
		}
	})
}
