package mp1

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const kongEntry = `{"latencies":{"request":5,"kong":1,"proxy":4},"service":{"host":"10.0.0.2","name":"mepserver","port":8088},"request":{"querystring":{},"size":"399","uri":"/mep/mec_service_mgmt/v1/services",
"url":"https://mep:8443/mep/mec_service_mgmt/v1/services","headers":{"host":"mep","authorization":"Bearer a.b.c"},"method":"GET"},"tries":[{"ip":"10.0.0.2"}],"client_ip":"10.1.0.4",
"upstream_uri":"/mep/mec_service_mgmt/v1/services?ser_name=x","response":{"headers":{},"status":200,"size":"2"},"route":{"paths":["/mep/mec_service_mgmt"]},"started_at":1669543200123}`

func TestAnEntryOfTheGatewaysLogIsACall(t *testing.T) {
	c, err := DecodeGatewayCall([]byte(kongEntry))
	require.NoError(t, err)
	require.Equal(t, GatewayCall{Service: "mepserver", Method: "GET", Path: "/mep/mec_service_mgmt/v1/services", Began: 1669543200123}, c)
}

func TestWhatCannotBeReadOfACallIsAbsent(t *testing.T) {
	for body, want := range map[string]GatewayCall{
		`{}`: {},
		`{"service":[],"request":null,"upstream_uri":1,"started_at":"now"}`:                       {},
		`{"service":{"name":"a` + "\xff" + `"},"request":{"headers":{"x":"` + "\xfe" + `"}}}`:     {Service: "a?"},
		`{"service":{"name":"` + strings.Repeat("a", maxLogText+1) + `"},"started_at":-1}`:        {},
		`{"service":{"name":"a\u0000"},"request":{"method":"GET\n"},"started_at":1e300}`:          {},
		`{"service":{"name":"a"},"request":{"method":"GET"},"upstream_uri":"?","started_at":1.5}`: {Service: "a", Method: "GET", Began: 1},
	} {
		c, err := DecodeGatewayCall([]byte(body))
		require.NoError(t, err, body)
		require.Equal(t, want, c, body)
	}
	for _, body := range []string{"", "null", "[]", `{"a":1,"a":2}`, `{} {}`} {
		_, err := DecodeGatewayCall([]byte(body))
		_, is := errors.AsType[*Invalid](err)
		require.True(t, is, "%s: %v", body, err)
	}
}

func FuzzDecodeGatewayCall(f *testing.F) {
	for _, s := range []string{kongEntry, "{}", "null", `{"service":{"name":"\ud800"}}`, `{"started_at":9.3e18}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeGatewayCall(data)
		if err != nil {
			if _, is := errors.AsType[*Invalid](err); !is {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if c.Began < 0 || len(c.Service+c.Method+c.Path) > 3*4*maxLogText || strings.ContainsAny(c.Service+c.Method+c.Path, "\n\x00\x1b") {
			t.Fatalf("%q: %+v", data, c)
		}
	})
}
