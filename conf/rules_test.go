package conf

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRulesOfDNSAreReadFromTheFile(t *testing.T) {
	for doc, want := range map[string]DNSRules{
		"":               {Driver: DNSNone},
		"{driver: none}": {Driver: DNSNone},
		"{driver: hosts, hostsFile: /var/lib/mep/hosts}":                                     {Driver: DNSHosts, HostsFile: "/var/lib/mep/hosts"},
		"{driver: hosts, hostsFile: h, zone: Edge.example.}":                                 {Driver: DNSHosts, HostsFile: "h", Zone: "Edge.example."},
		"{driver: rfc2136, server: '10.0.0.53:53', zone: apps.edge.example, tsigKeyFile: k}": {Driver: DNSUpdate, Server: "10.0.0.53:53", Zone: "apps.edge.example", TSIGKeyFile: "k"},
		"{driver: rfc2136, server: 'ns1.edge.example:5353', zone: _x.a-b, tsigKeyFile: k}":   {Driver: DNSUpdate, Server: "ns1.edge.example:5353", Zone: "_x.a-b", TSIGKeyFile: "k"},
		"{driver: rfc2136, server: '[fd00::53]:53', zone: example, tsigKeyFile: k}":          {Driver: DNSUpdate, Server: "[fd00::53]:53", Zone: "example", TSIGKeyFile: "k"},
		"{driver: rfc2136, server: '[::1]:5353', zone: 9.example}":                           {Driver: DNSUpdate, Server: "[::1]:5353", Zone: "9.example"},
		"{driver: edgegallery, url: 'http://127.0.0.1:8080'}":                                {Driver: DNSEdgeGallery, URL: "http://127.0.0.1:8080"},
		"{driver: edgegallery, url: 'http://localhost:8080/', zone: mec.local}":              {Driver: DNSEdgeGallery, URL: "http://localhost:8080/", Zone: "mec.local"},
		"{driver: edgegallery, url: 'https://dns.example'}":                                  {Driver: DNSEdgeGallery, URL: "https://dns.example"},
	} {
		c, err := Load(fromYAML("rules:\n  dns: " + doc + "\n"))
		require.NoError(t, err, doc)
		assert.Equal(t, want, c.Rules.DNS, doc)
	}
	c, err := Load(Sources{Environ: []string{"MEP_RULES_DNS_DRIVER=rfc2136", "MEP_RULES_DNS_SERVER=127.0.0.1:53", "MEP_RULES_DNS_ZONE=e", "MEP_RULES_DNS_TSIG_KEY_FILE=k"}})
	require.NoError(t, err)
	assert.Equal(t, DNSRules{Driver: DNSUpdate, Server: "127.0.0.1:53", Zone: "e", TSIGKeyFile: "k"}, c.Rules.DNS)
}

func TestASettingOfDNSNeedsTheDriverThatUsesItAndADriverItsSettings(t *testing.T) {
	const key = "m.yaml:2: rules.dns."
	for doc, want := range map[string][]string{
		"{driver: bind}":                           {key + `driver: must be none or hosts or rfc2136 or edgegallery, not "bind"`},
		"{hostsFile: h}":                           {key + "hostsFile: is of no use without rules.dns.driver: hosts"},
		"{zone: example}":                          {key + "zone: is of no use without a driver: rules.dns.driver is none"},
		"{driver: hosts}":                          {key + "hostsFile: must be given for rules.dns.driver hosts (m.yaml:2): the file that is written"},
		"{driver: hosts, hostsFile: \"a\\0b\"}":    {key + `hostsFile: must be the path of a file, not "a\x00b"`},
		"{driver: hosts, hostsFile: h, server: s}": {key + "server: is of no use without rules.dns.driver: rfc2136"},
		"{driver: rfc2136}": {key + "zone: must be given for rules.dns.driver rfc2136 (m.yaml:2): the zone that is updated",
			key + "server: must be given for rules.dns.driver rfc2136 (m.yaml:2): HOST:PORT of the zone's primary server"},
		"{driver: rfc2136, server: ns, zone: e}":                     {key + `server: must be HOST:PORT with an IP address or a name and a port from 1 to 65535, not "ns"`},
		"{driver: rfc2136, server: '0.0.0.0:53', zone: e}":           {key + `server: must be HOST:PORT with an IP address or a name and a port from 1 to 65535, not "0.0.0.0:53"`},
		"{driver: rfc2136, server: '10.0.0.1:0', zone: e}":           {key + `server: must be HOST:PORT with an IP address or a name and a port from 1 to 65535, not "10.0.0.1:0"`},
		"{driver: rfc2136, server: '10.0.0.1:53', zone: e}":          {key + `tsigKeyFile: must be given for rules.dns.server "10.0.0.1:53" (m.yaml:2): without TSIG anybody on the way can change updates and their answers; only a server on loopback may do without`},
		"{driver: rfc2136, server: '127.0.0.1:53', zone: e, url: u}": {key + "url: is of no use without rules.dns.driver: edgegallery"},
		"{driver: rfc2136, server: '127.0.0.1:53', zone: '.'}":       {key + `zone: must be a domain name such as apps.edge.example, not "."`},
		"{driver: rfc2136, server: '127.0.0.1:53', zone: 'a..b'}":    {key + `zone: must be a domain name such as apps.edge.example, not "a..b"`},
		"{driver: rfc2136, server: '127.0.0.1:53', zone: '*.b'}":     {key + `zone: must be a domain name such as apps.edge.example, not "*.b"`},
		"{driver: rfc2136, server: '127.0.0.1:53', zone: 'a b'}":     {key + `zone: must be a domain name such as apps.edge.example, not "a b"`},
		"{driver: rfc2136, server: '127.0.0.1:53', zone: 'a\\b'}":    {key + `zone: must be a domain name such as apps.edge.example, not "a\\b"`},
		"{driver: edgegallery}":                                      {key + "url: must be given for rules.dns.driver edgegallery (m.yaml:2): where dns-server's management interface is, such as http://127.0.0.1:8080"},
	} {
		assert.Equal(t, want, faultLines(t, fromYAML("rules:\n  dns: "+doc+"\n")), doc)
	}
	for _, bad := range []string{"http://10.0.0.1:8080", "https://u:p@h", "https://h/path", "https://h?q", "https://h?", "https://h#f", "ftp://127.0.0.1", "127.0.0.1:8080", "https://", "http://localhost.example"} {
		lines := faultLines(t, fromYAML("rules: {dns: {driver: edgegallery, url: '"+bad+"'}}\n"))
		require.Len(t, lines, 1, bad)
		assert.Contains(t, lines[0], "rules.dns.url: must be scheme://host:port of https (http only on loopback)", bad)
		assert.NotContains(t, lines[0], bad, "a URL may hold a password")
	}
}
