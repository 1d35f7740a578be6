package endpoint

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// javaURI is what java.net.URI reads as a server with a host and a port (RFC 2396 and
// 2732): its parser throws on anything else, or finds neither.
var javaURI = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]+(/([A-Za-z0-9\-_.!~*'():@&=+$,;/]|%[0-9A-Fa-f]{2})*)?(\?([A-Za-z0-9\-_.!~*'():@&=+$,;/?]|%[0-9A-Fa-f]{2})*)?$`)

// callable fails on an endpoint that one of ServiceComb's clients could not parse.
func callable(t testing.TB, endpoint string) {
	t.Helper()
	u, err := url.Parse(endpoint)
	require.NoError(t, err, "%q", endpoint)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err, "%q", endpoint)
	require.True(t, port > 0 && port < 65536, "%q", endpoint)
	require.NotEmpty(t, u.Hostname(), "%q", endpoint)
	require.Nil(t, u.User, "%q", endpoint)
	require.Regexp(t, javaURI, endpoint)
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		for label := range strings.SplitSeq(u.Hostname(), ".") {
			require.True(t, labelOK(label), "%q", endpoint)
		}
	}
	if u.Scheme == restScheme { // go-chassis dials what stands between "://" and "?"
		require.Empty(t, u.Path, "%q", endpoint)
		require.Equal(t, u.Host, strings.Split(strings.TrimPrefix(endpoint, "rest://"), "?")[0])
	}
}

func transportOf(t testing.TB, kind, protocol, endpoint string) *mp1.TransportInfo {
	t.Helper()
	info, err := mp1.DecodeServiceInfo(fmt.Appendf(nil, `{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON",
		"transportInfo":{"id":"Bus_1","name":"n","type":%q,"protocol":%q,"version":"2","endpoint":%s,"security":{}}}`, kind, protocol, endpoint))
	require.NoError(t, err, endpoint)
	return info.TransportInfo
}

// Every form of EndPointInfo (MEC 011 §8.1.5.3) arrives as URLs that ServiceComb's
// clients parse and call; what has none arrives as one that says where to ask.
func TestEveryFormOfAnEndpointArrivesAsAURLThatClientsCall(t *testing.T) {
	const none = "mec-transport://bus-1.invalid:1"
	for _, c := range []struct{ kind, protocol, endpoint, want string }{
		// uris
		{"REST_HTTP", "HTTP", `{"uris":["http://10.0.0.5:8080"]}`, "http://10.0.0.5:8080 rest://10.0.0.5:8080"},
		{"REST_HTTP", "HTTP", `{"uris":["http://10.0.0.5"]}`, "http://10.0.0.5:80 rest://10.0.0.5:80"},
		{"REST_HTTP", "HTTP", `{"uris":["http://10.0.0.5/"]}`, "http://10.0.0.5:80 rest://10.0.0.5:80"},
		{"REST_HTTP", "HTTP", `{"uris":["https://face.example.com/rni/v2/"]}`,
			"https://face.example.com:443/rni/v2/ rest://face.example.com:443?sslEnabled=true&urlPrefix=%2Frni%2Fv2"},
		{"REST_HTTP", "HTTP", `{"uris":["HTTP://Face.example:8080/a b/{id}?q=<x>#top"]}`,
			"http://Face.example:8080/a%20b/%7Bid%7D?q=%3Cx%3E rest://Face.example:8080?urlPrefix=%2Fa%2520b%2F%257Bid%257D"},
		{"REST_HTTP", "HTTP", `{"uris":["http://u:p@10.0.0.5:8080/100%"]}`, "http://10.0.0.5:8080/100%25 rest://10.0.0.5:8080?urlPrefix=%2F100%2525"},
		{"REST_HTTP", "HTTP", `{"uris":["http://[2001:db8::1]:8080/x"]}`, "http://[2001:db8::1]:8080/x rest://[2001:db8::1]:8080?urlPrefix=%2Fx"},
		{"REST_HTTP", "HTTP", `{"uris":["http://2001:db8::1/x"]}`, "http://[2001:db8::1]:80/x rest://[2001:db8::1]:80?urlPrefix=%2Fx"},
		{"REST_HTTP", "HTTP", `{"uris":["http://[fe80::1%25eth0]:80","http://[fe80::2%eth0]:80"]}`,
			"http://[fe80::1]:80 http://[fe80::2]:80 rest://[fe80::2]:80 rest://[fe80::1]:80"},
		{"REST_HTTP", "HTTP", `{"uris":["http://[::ffff:10.0.0.5]:80"]}`, "http://10.0.0.5:80 rest://10.0.0.5:80"},
		{"REST_HTTP", "HTTP", `{"uris":["http://bücher.example:80"]}`, "http://xn--bcher-kva.example:80 rest://xn--bcher-kva.example:80"},
		{"REST_HTTP", "HTTP", `{"uris":["http://face_1:80"]}`, "http://face_1:80 rest://face_1:80"},
		{"REST_HTTP", "HTTP", `{"uris":["10.0.0.5:8080/x","face:8080","localhost:80","face.example","2001:db8::1","//10.0.0.6:81"]}`,
			"http://10.0.0.5:8080/x http://face:8080 http://localhost:80 http://face.example:80 http://[2001:db8::1]:80 http://10.0.0.6:81 " +
				"rest://10.0.0.6:81 rest://[2001:db8::1]:80 rest://face.example:80 rest://localhost:80 rest://face:8080 rest://10.0.0.5:8080?urlPrefix=%2Fx"},
		{"REST_HTTP", "HTTPS", `{"uris":["10.0.0.5"]}`, "https://10.0.0.5:443 rest://10.0.0.5:443?sslEnabled=true"},
		{"REST_HTTP", "HTTP", `{"uris":["http://b:2","http://a:1","http://b:2"]}`, "http://b:2 http://a:1 rest://a:1 rest://b:2"},
		{"REST_HTTP", "HTTP", `{"uris":["rest://10.0.0.5:8080?sslEnabled=true","rest://10.0.0.6/base"]}`,
			"rest://10.0.0.6:80?urlPrefix=%2Fbase rest://10.0.0.5:8080?sslEnabled=true"},
		{"MB_PUBSUB", "MQTT", `{"uris":["mqtt://broker.example","amqps://broker:1"]}`, "mqtt://broker.example:1883 amqps://broker:1"},
		{"WEBSOCKET", "WSS", `{"uris":["wss://10.0.0.5/feed"]}`, "wss://10.0.0.5:443/feed"},
		{"REST_HTTP", "HTTP", `{"uris":["/v1/face","u","urn:x:y","mailto:a@b.example","http://","http://h:0","http://h:65536","http://a..b:1","http://300.1.1.1:1","unknown://h"]}`, none},
		{"REST_HTTP", "HTTP", `{"uris":[]}`, none},
		// addresses
		{"REST_HTTP", "HTTP", `{"addresses":[{"host":"10.0.0.5","port":8080}]}`, "http://10.0.0.5:8080 rest://10.0.0.5:8080"},
		{"REST_HTTP", "HTTP", `{"addresses":[{"host":"2001:db8::1","port":8080},{"host":"[2001:db8::2]","port":1}]}`,
			"http://[2001:db8::1]:8080 http://[2001:db8::2]:1 rest://[2001:db8::2]:1 rest://[2001:db8::1]:8080"},
		{"REST_HTTP", "HTTPS", `{"addresses":[{"host":"face","port":8443}]}`, "https://face:8443 rest://face:8443?sslEnabled=true"},
		{"REST_HTTP", "HTTP/2 over TLS", `{"addresses":[{"host":"face","port":8443}]}`, "https://face:8443 rest://face:8443?sslEnabled=true"},
		{"REST_HTTP", "TCP", `{"addresses":[{"host":"face","port":8080}]}`, "http://face:8080 rest://face:8080"},
		{"RPC", "gRPC", `{"addresses":[{"host":"face","port":50051}]}`, "grpc://face:50051"},
		{"MB_TOPIC_BASED", "AMQP 1.0", `{"addresses":[{"host":"10.0.0.9","port":5672}]}`, "amqp://10.0.0.9:5672"},
		{"WEBSOCKET", "HTTP", `{"addresses":[{"host":"face","port":80}]}`, "ws://face:80"},
		{"MB_ROUTING", "总线", `{"addresses":[{"host":"10.0.0.9","port":7}]}`, "mec-transport://10.0.0.9:7"},
		{"REST_HTTP", "HTTP", `{"addresses":[{"host":"a b","port":80}]}`, none},
		{"REST_HTTP", "HTTP", `{"addresses":[{"host":"a/b?c","port":80},{"host":"10.0.0.5","port":80}]}`, "http://10.0.0.5:80 rest://10.0.0.5:80"},
		// fqdn
		{"REST_HTTP", "HTTP", `{"fqdn":["face.example.com","face","face.example.com.","face.example.com:8080"]}`,
			"http://face.example.com:80 http://face:80 http://face.example.com:8080 rest://face.example.com:8080 rest://face:80 rest://face.example.com:80"},
		{"REST_HTTP", "HTTPS", `{"fqdn":["face.example.com"]}`, "https://face.example.com:443 rest://face.example.com:443?sslEnabled=true"},
		{"MB_PUBSUB", "MQTT", `{"fqdn":["broker.example"]}`, "mqtt://broker.example:1883"},
		{"RPC", "custom", `{"fqdn":["no-port-known.example"]}`, none},
		{"REST_HTTP", "HTTP", `{"fqdn":["-bad.example","*.example","a b"]}`, none},
		{"REST_HTTP", "HTTP", `{"fqdn":["http://face","https://face.example/x","face/x"]}`, "http://face:80 https://face.example:443/x http://face:80/x " +
			"rest://face:80?urlPrefix=%2Fx rest://face.example:443?sslEnabled=true&urlPrefix=%2Fx rest://face:80"},
		{"REST_HTTP", "HTTP", `{"fqdn":["face:80:90","http://face:80:90","http:/face","http:face","http:///x","/x"]}`, none},
		{"REST_HTTP", "HTTP", `{"uris":["face.example:/x"],"fqdn":[]}`, none},
		// what a protocol's text says of TLS
		{"RPC", "HTTP over TLS", `{"fqdn":["face"]}`, "https://face:443 rest://face:443?sslEnabled=true"},
		{"MB_ROUTING", "HTTP/2 (SSL)", `{"addresses":[{"host":"face","port":8443}]}`, "https://face:8443 rest://face:8443?sslEnabled=true"},
		{"RPC", "REST over TLS", `{"fqdn":["face"]}`, "https://face:443 rest://face:443?sslEnabled=true"},
		{"MB_PUBSUB", "MQTT over TLS", `{"fqdn":["face"]}`, "mqtts://face:8883"},
		{"RPC", "HTTP", `{"fqdn":["face"]}`, "http://face:80 rest://face:80"},
		// alternative
		{"MB_PUBSUB", "MQTT", `{"alternative":{"topic":"x"}}`, none},
	} {
		got := URLs(transportOf(t, c.kind, c.protocol, c.endpoint))
		require.Equal(t, c.want, strings.Join(got, " "), "%s %s %s", c.kind, c.protocol, c.endpoint)
		for _, one := range got {
			callable(t, one)
		}
	}
	require.Equal(t, []string{"mec-transport://none.invalid:1"}, URLs(nil))
}

// Of several the first that the application named is the one that go-chassis calls: it
// keeps the last of a scheme.
func TestTheFirstAddressIsTheOneThatGoChassisCalls(t *testing.T) {
	got := URLs(transportOf(t, "REST_HTTP", "HTTP", `{"uris":["http://first:1","http://second:2","http://third:3"]}`))
	require.Equal(t, "rest://first:1", got[len(got)-1])
	require.Equal(t, "http://first:1", got[0])
}

// Whatever Mp1 accepts, what arrives at ServiceComb parses, and has a host and a port.
func FuzzURLs(f *testing.F) {
	for _, s := range []string{"http://10.0.0.5:8080/x?y=z", "https://[fe80::1%25eth0]/%", "a..b", "face.example.", "::1", "[::1]:80", "rest://h?urlPrefix=a", "mqtt://ü",
		"http://%00:1", "x://@:1", "http://a_b:1//", "１０.0.0.1", "ａ。ｂ", "http://h:1/?sslEnabled=true&%zz", "tel:555", "-", "xn--", strings.Repeat("a", 250) + ".b"} {
		f.Add(s, "HTTP", uint8(0), uint8(0), 80)
		f.Add(s, "gRPC/1", uint8(4), uint8(1), 1)
		f.Add(s, "", uint8(6), uint8(2), 65535)
	}
	f.Fuzz(func(t *testing.T, text, protocol string, kind, form uint8, port int) {
		kinds := []string{"REST_HTTP", "MB_TOPIC_BASED", "MB_ROUTING", "MB_PUBSUB", "RPC", "RPC_STREAMING", "WEBSOCKET"}
		endpoint := map[string]any{}
		switch form % 3 {
		case 0:
			endpoint["uris"] = []string{text, protocol + "://" + text}
		case 1:
			endpoint["addresses"] = []any{map[string]any{"host": text, "port": port}}
		default:
			endpoint["fqdn"] = []string{text}
		}
		body, err := json.Marshal(map[string]any{"serName": "s", "version": "1", "state": "ACTIVE", "serializer": "JSON", "transportInfo": map[string]any{
			"id": text, "name": "n", "type": kinds[int(kind)%len(kinds)], "protocol": protocol, "version": "1", "endpoint": endpoint, "security": map[string]any{}}})
		if err != nil {
			return
		}
		info, err := mp1.DecodeServiceInfo(body)
		if err != nil {
			return
		}
		got := URLs(info.TransportInfo)
		require.NotEmpty(t, got)
		for _, one := range got {
			callable(t, one)
		}
	})
}
