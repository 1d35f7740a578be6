package mp1

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

const bare = `"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON"`

// What EdgeGallery's server takes is registered; what stands for nothing there says nothing.
func TestWhatEdgeGallerysServerTakesIsCompleted(t *testing.T) {
	ours := `{"id":"","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"alternative":{}},"security":{}}`
	full := func(endpoint string) string {
		return `{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":` + endpoint + `,"security":{}}`
	}
	for _, tt := range []struct{ name, given, transport string }{
		{"no transport at all", `{` + bare + `}`, ours},
		{"all of it empty", `{` + bare + `,"transportId":"","transportInfo":{"id":"","type":"","endpoint":{"addresses":null},"security":{"oAuth2Info":{"grantTypes":null,"tokenEndpoint":""}},"implSpecificInfo":{}}}`, ours},
		{"an id that nobody offers", `{` + bare + `,"transportId":"Rest1"}`, `{"id":"Rest1","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"alternative":{}},"security":{}}`},
		{"an endpoint and nothing else", `{` + bare + `,"transportInfo":{"endpoint":{"uris":["http://h:1"]}}}`,
			`{"id":"","name":"","type":"REST_HTTP","protocol":"","version":"","endpoint":{"uris":["http://h:1"]},"security":{}}`},
		{"no endpoint", `{` + bare + `,"transportInfo":{"id":"t","name":"n","type":"","protocol":"HTTP","version":"2.0"}}`, full(`{"alternative":{}}`)},
		{"an empty endpoint", `{` + bare + `,"transportInfo":` + full(`{"uris":null,"addresses":[],"alternative":null}`) + `}`, full(`{"alternative":{}}`)},
		{"an address that says nothing", `{` + bare + `,"transportInfo":` + full(`{"addresses":[{"host":"","port":0},{"host":"h","port":1},{}]}`) + `}`, full(`{"addresses":[{"host":"h","port":1}]}`)},
		{"nothing but such addresses", `{` + bare + `,"transportInfo":` + full(`{"addresses":[{"host":"","port":0}]}`) + `}`, full(`{"alternative":{}}`)},
		{"two kinds of endpoint", `{` + bare + `,"transportInfo":` + full(`{"uris":["http://h:1"],"addresses":[{"host":"h","port":1}],"alternative":{"a":1}}`) + `}`, full(`{"uris":["http://h:1"]}`)},
		{"addresses and an alternative", `{` + bare + `,"transportInfo":` + full(`{"uris":[],"addresses":[{"host":"h","port":1}],"alternative":{"a":1}}`) + `}`, full(`{"addresses":[{"host":"h","port":1}]}`)},
		{"what only applications know, and no object", `{` + bare + `,"transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"fqdn":["h"]},"implSpecificInfo":"x"}}`, full(`{"fqdn":["h"]}`)},
		{"only an alternative", `{` + bare + `,"transportInfo":` + full(`{"alternative":{"a":1.50}}`) + `}`, full(`{"alternative":{"a":1.50}}`)},
		{"whole", `{` + bare + `,"transportInfo":` + full(`{"fqdn":["h"]}`) + `}`, full(`{"fqdn":["h"]}`)},
	} {
		info, err := DecodeServiceInfo(CompleteRegistration([]byte(tt.given)))
		require.NoError(t, err, tt.name)
		got, err := json.Marshal(info.TransportInfo)
		require.NoError(t, err)
		require.JSONEq(t, tt.transport, string(got), tt.name)
	}
	info, err := DecodeServiceInfo(CompleteRegistration([]byte(`{` + bare + `,"livenessInterval":0,"serCategory":{"id":"c","href":null},"scopeOfLocality":"","transportId":"rest-http"}`)))
	require.NoError(t, err)
	require.Nil(t, info.LivenessInterval, "0 is none there")
	require.Equal(t, &CategoryRef{ID: "c"}, info.SerCategory)
	require.Equal(t, DefaultTransports()[0], *info.TransportInfo, "one that this platform offers")
	info, err = DecodeServiceInfo(CompleteRegistration([]byte(`{` + bare + `,"livenessInterval":10}`)))
	require.NoError(t, err)
	require.Equal(t, 10, *info.LivenessInterval)
}

// An update without a transport keeps the stored one.
func TestAnUpdateForEdgeGallerysServerIsCompleted(t *testing.T) {
	for _, given := range []string{`{` + bare + `}`, `{` + bare + `,"transportId":"Rest1"}`, `{` + bare + `,"transportInfo":{"id":""}}`} {
		info, err := DecodeUpdate(CompleteUpdate([]byte(given)))
		require.NoError(t, err, given)
		require.Nil(t, info.TransportInfo, given)
	}
	info, err := DecodeUpdate(CompleteUpdate([]byte(`{` + bare + `,"transportInfo":{"id":"x"}}`)))
	require.NoError(t, err)
	require.EqualValues(t, "REST_HTTP", info.TransportInfo.Type)
}

// What no platform of EdgeGallery's takes stays refused, and so does what nobody can call.
func TestWhatEdgeGallerysServerRefusesStaysRefused(t *testing.T) {
	for _, given := range []string{``, `null`, `[]`, `{`, `{"serName":"s"}`,
		`{"serName":"s","version":"1","state":"","serializer":"JSON"}`, `{"serName":"s","version":"1","state":"ACTIVE","serializer":""}`,
		`{"serName":"","version":"1","state":"ACTIVE","serializer":"JSON"}`, `{` + bare + `,"serName":"t"}`,
		`{` + bare + `,"transportInfo":"x"}`, `{` + bare + `,"transportId":5}`, `{` + bare + `,"transportInfo":{"type":"X"}}`,
		`{` + bare + `,"transportInfo":{"endpoint":"x"}}`, `{` + bare + `,"transportInfo":{"endpoint":{"addresses":"x"}}}`,
		`{` + bare + `,"transportInfo":{"endpoint":{"addresses":[{"host":"h"}]}}}`, `{` + bare + `,"transportInfo":{"endpoint":{"addresses":[{"host":"h","port":70000}]}}}`,
		`{` + bare + `,"transportInfo":{"endpoint":{"addresses":[5]}}}`, `{` + bare + `,"serCategory":"x"}`, `{` + bare + `,"scopeOfLocality":"X"}`, `{` + bare + `,"livenessInterval":-1}`} {
		_, err := DecodeServiceInfo(CompleteRegistration([]byte(given)))
		require.Error(t, err, given)
	}
}

// A description that keeps MEC 011's rules stays what it is, but for 0, which means none; a
// completed one is complete.
func FuzzCompleteRegistration(f *testing.F) {
	f.Add([]byte(`{` + bare + `,"transportInfo":{"id":"","endpoint":{"addresses":[{"host":"","port":0},{"host":"h","port":1}],"alternative":{}}}}`))
	f.Add([]byte(`{` + bare + `,"transportId":"Rest1","serCategory":{"id":"x"},"livenessInterval":0e5}`))
	f.Add([]byte(`{` + bare + `,"transportId":"rest-http","livenessInterval":1e400,"transportInfo":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		once := CompleteRegistration(data)
		first, errFirst := readDocument(once)
		second, errSecond := readDocument(CompleteRegistration(once))
		require.Equal(t, errFirst == nil, errSecond == nil)
		require.Equal(t, first.members, second.members)
		whole, err := DecodeServiceInfo(data)
		if err != nil {
			return
		}
		if n := whole.LivenessInterval; n != nil && *n == 0 {
			whole.LivenessInterval = nil
		}
		completed, err := DecodeServiceInfo(once)
		require.NoError(t, err)
		require.Equal(t, whole, completed)
	})
}
