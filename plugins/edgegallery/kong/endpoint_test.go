package kong

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func mapsValues(m map[string]string) iter.Seq[string] { return maps.Values(m) }

func everywhere(string, int) bool { return true }

func TestOnlyWhatKongCanLeadToIsPublished(t *testing.T) {
	for uri, want := range map[string]string{
		"http://10.0.0.5:8080/":         "http://10.0.0.5:8080/",
		"HTTP://10.0.0.5:8080/":         "http://10.0.0.5:8080/",
		"https://face.example/v1/a%20b": "https://face.example/v1/a%20b",
		"http://face.example":           "http://face.example",
		"http://face.example/a?b=c#d":   "http://face.example/a",
		"http://[2001:db8::1]:80/":      "http://[2001:db8::1]:80/",
		"http://[2001:db8::1]/":         "http://[2001:db8::1]/",
		"http://my_host-1.ns.svc:1/x/y": "http://my_host-1.ns.svc:1/x/y",
		"mqtt://10.0.0.5:1883/":         "", "ftp://h/": "", "": "", "/path": "", "http:opaque": "", "http://": "", "http:///x": "",
		"http://user@h/": "", "http://u:p@h/": "", "http://h:0/": "", "http://h:65536/": "", "http://h:x/": "", "http://h//x": "", "http://h/a//b": "",
		"http://[fe80::1%25eth0]/": "", "http://h..x/": "", "http://-h/": "", "http://h\r\nx/": "", "http://h/\x00": "", "http://h\"/": "", "http://h/\"": "http://h/%22", "http://h/{a}": "http://h/%7Ba%7D",
		"http://h%2f@x/": "", "http://ü.example/": "", "http://h/ü": "http://h/%C3%BC", "http://" + strings.Repeat("a", 254) + "/": "", "http://h/a b": "http://h/a%20b",
	} {
		got, ok := kongURL(uri, everywhere)
		require.Equal(t, want != "", ok, uri)
		require.Equal(t, want, got, uri)
	}
}

// The gateway stands in the platform's pod and believes nobody who comes from there less.
func TestThePlatformItselfIsNotPublished(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("10.1.2.3")}
	hosts := "# made by kubelet\n127.0.0.1 localhost\n::1 six\n10.1.2.3\tMep-0.example mep-alias # ours\n10.9.9.9 other\nx y\n\n"
	names := namesOf(own, "mep-0.Local", hosts)
	require.Equal(t, []string{"mep-0.local", "mep-0", "localhost", "six", "mep-0.example", "mep-alias"}, names)
	public := partAt("https://mep-api-gw.mep:8443")
	parts := []hostPort{partAt("https://localhost:8444"), partAt("http://gw.example:9000"), partAt("tcp://0.0.0.0:30100")}
	g := newGuard(own, names, true, public, parts)
	for _, uri := range []string{
		"http://127.0.0.1:8001/", "https://localhost:8444/", "http://LOCALHOST.:8001/", "http://[::1]:8001/", "http://[::ffff:127.0.0.1]:8001/", "http://0.0.0.0:8001/", "http://[::]:8001/",
		"http://127.9.9.9:8088/mepcfg", "http://10.1.2.3:8088/", "http://10.1.2.3:30100/", "http://10.1.2.3:10443/", "http://gw.example:9000/", "http://GW.example.:9000/",
		"http://mep-mm5/", "http://mep-mm5.mep/", "http://mep-mm5.mep.svc.cluster.local:80/", "http://Mepauth.mep:10443/", "http://169.254.169.254/latest", "http://[fe80::1]/",
		"http://127.1:8001/", "http://2130706433:8001/", "http://0x7f000001:8001/", "http://0x7f.1:8001/", "http://0177.0.0.1:8001/", "http://224.0.0.1/", "http://a.localhost:8001/",
		"http://10-1-2-3.mep.pod.cluster.local:8080/", "http://10-1-2-3.mep.pod:8000/", "http://mep-0:8080/", "http://MEP-0.local:8080/", "http://mep-alias:8088/", "http://six:8080/",
		"http://ip6-localhost:8080/", "http://ip6-loopback:8080/", "http://localhost.localdomain:8080/", "http://localhost4:8001/",
		"http://any.example:8001/", "https://any.example:8444/", "https://any.example:10443/", "http://any.example:30100/", "http://any.example:9000/",
	} {
		_, ok := kongURL(uri, g.allows)
		require.False(t, ok, uri)
	}
	for _, uri := range []string{"http://127.0.0.1:32115/", "http://10.1.2.3:32115/", "http://10.1.2.4:8088/", "http://mep-mm5.example/", "http://face.mep/", "http://gw.example:80/", "http://localhost:9999/",
		"http://10.1.2.4:8001/", "https://any.example:8443/", "http://any.example:8080/", "http://10-1-2-3.mep.pod:9999/"} {
		_, ok := kongURL(uri, g.allows)
		require.True(t, ok, uri)
	}
	g = newGuard(nil, []string{"here"}, false, public, []hostPort{partAt("http://127.0.0.1:8001")})
	require.False(t, g.allows("here", 8001), "by its name, too")
	require.True(t, g.allows("any.example", 8001), "outside of the pod names are those of applications")
	require.False(t, g.allows("localhost", 8001), "what is configured")
	require.True(t, g.allows("localhost", 8080), "outside of the pod an application may have a port of the chart's")
}

func TestNamesAreMadeOfPlainCharacters(t *testing.T) {
	a := nameFor("1", "face", "http://a/")
	require.Regexp(t, `^face[0-9a-f]{20}$`, a)
	require.Equal(t, a, nameFor("1", "face", "http://a/"))
	require.NotEqual(t, a, nameFor("2", "face", "http://a/"))
	require.NotEqual(t, a, nameFor("1", "face", "http://b/"))
	require.Regexp(t, `^abc-_2fD[0-9a-f]{20}$`, nameFor("1", "../a?b#c-_\r\n%2f D ü", "x"))
	require.True(t, validName(nameFor("1", strings.Repeat("a", 256), "x")))
	for _, name := range []string{"", "mepserver", "mepauth", "face", "map0123456789abcdef012", "map0123456789ABCDEF0123", "a/b0123456789abcdef0123", "face0123456789abcdef0123\n", "../0123456789abcdef0123"} {
		require.False(t, validName(name), name)
	}
}

// Consumers see the gateway where it leads to the service, and else what was registered.
func TestConsumersSeeTheGatewayWhereItLeads(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		g, stop := p.start()
		defer stop()
		at := func(e mp1.EndPointInfo) *mp1.EndPointInfo {
			return g.Endpoint(&mp1.ServiceInfo{SerInstanceID: "1", SerName: "s", TransportInfo: &mp1.TransportInfo{Protocol: "http", Endpoint: e}})
		}
		name := func(uri string) string { return "https://mep-api-gw.mep:8443/" + nameFor("1", "s", uri) }
		require.Equal(t, []string{name("http://a/"), "mqtt://b/", name("https://c/")}, at(mp1.EndPointInfo{URIs: []string{"http://a/", "mqtt://b/", "https://c/", "http://a/"}}).URIs)
		addresses := at(mp1.EndPointInfo{Addresses: []mp1.Address{{Host: "10.0.0.1", Port: 80}, {Host: "2001:db8::1", Port: 81}}})
		require.Equal(t, []string{name("http://10.0.0.1:80/"), name("http://[2001:db8::1]:81/")}, addresses.URIs)
		require.Nil(t, addresses.Addresses)
		require.Nil(t, at(mp1.EndPointInfo{URIs: []string{"mqtt://b/"}}))
		require.Nil(t, at(mp1.EndPointInfo{FQDN: []string{"a.example"}}))
		require.Nil(t, at(mp1.EndPointInfo{Alternative: json.RawMessage(`{}`)}))
		require.Nil(t, g.Endpoint(&mp1.ServiceInfo{SerInstanceID: "1", SerName: "s"}))
		many := make([]string, maxEndpoints+5)
		for i := range many {
			many[i] = fmt.Sprintf("http://h%d/", i)
		}
		got := at(mp1.EndPointInfo{URIs: many}).URIs
		require.Len(t, got, len(many))
		require.Equal(t, many[maxEndpoints:], got[maxEndpoints:], "the bound")
	})
}

// Whatever an application calls itself and its endpoints, nothing else reaches Kong.
func FuzzEndpoints(f *testing.F) {
	for _, s := range []string{"http://10.0.0.5:8080/", "HTTP://[::1]:80/a%2fb", "http://h/../x", "http://h/?a#b", "http://h\r\n", "http://h:99999/", "//h", "http://a@b/"} {
		f.Add("face", s)
		f.Add("../\"x", s)
	}
	f.Fuzz(func(t *testing.T, serName, uri string) {
		name := nameFor(heartbeat.ID("1"), serName, uri)
		if !validName(name) {
			t.Fatalf("%q is no name", name)
		}
		link, ok := kongURL(uri, everywhere)
		if !ok {
			return
		}
		again, ok := kongURL(link, everywhere)
		if !ok || again != link {
			t.Fatalf("%q became %q, and that %q", uri, link, again)
		}
		for _, c := range link {
			if c <= ' ' || c > '~' || strings.ContainsRune("\"\\<>{}?#|^`", c) {
				t.Fatalf("%q became %q", uri, link)
			}
		}
	})
}
