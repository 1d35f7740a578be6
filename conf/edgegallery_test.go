package conf

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePartsOfEdgeGallerysPlatformAreNamedInFull(t *testing.T) {
	const head = "compat: edgegallery\nedgegallery:\n  "
	for doc, want := range map[string]string{
		"edgegallery: {mepauth: 'https://m:10443'}\n":                                "m.yaml:1: edgegallery.mepauth: is of no use without compat: edgegallery",
		head + "gateway: {admin: 'https://k:8444'}\n":                                "m.yaml:3: edgegallery.gateway.public: must be given together with edgegallery.gateway.admin",
		head + "gateway: {public: 'https://k:8443'}\n":                               "m.yaml:3: edgegallery.gateway.admin: must be given together with edgegallery.gateway.public",
		head + "gateway: {admin: 'http://k:8001', public: 'http://k:8000'}\n":        "m.yaml:3: edgegallery.gateway.admin: must be https, or http on loopback: whoever can change what is sent there leads consumers anywhere; or accept the risk with server.insecure: true",
		head + "gateway: {admin: 'ftp://k:8001', public: 'http://k:8000'}\n":         "m.yaml:3: edgegallery.gateway.admin: must be scheme://host:port of http or https, without user, path or query",
		head + "gateway: {admin: 'http://127.0.0.1:8001', public: 'http://u:p@k'}\n": "m.yaml:3: edgegallery.gateway.public: must be scheme://host:port of http or https, without user, path or query",
		head + "mepauth: 'http://10.0.0.9:10443'\n":                                  "m.yaml:3: edgegallery.mepauth: must be https, or http on loopback: whoever can change what comes from there decides who discovers what; or accept the risk with server.insecure: true",
		head + "mepauth: 'https://m:70000'\n":                                        "m.yaml:3: edgegallery.mepauth: must be scheme://host:port of http or https, without user, path or query",
		head + "mepauth: 'https://m/x'\n":                                            "m.yaml:3: edgegallery.mepauth: must be scheme://host:port of http or https, without user, path or query",
		head + "mepauth: 'https://:1'\n":                                             "m.yaml:3: edgegallery.mepauth: must be scheme://host:port of http or https, without user, path or query",
		head + "caFile: ca.pem\n":                                                    "m.yaml:3: edgegallery.caFile: is of no use without https:// in edgegallery.gateway.admin or edgegallery.mepauth",
		head + "mepauth: 'https://m:1'\n  commonName: edgegallery\n":                 "m.yaml:4: edgegallery.caFile: must be given with edgegallery.commonName (m.yaml:4): of all authorities that the system trusts, any may give anybody that name",
		head + "importFrom: \"a\\0\"\n":                                              `m.yaml:3: edgegallery.importFrom: must be text without control characters, not "a\x00"`,
	} {
		assert.Equal(t, []string{want}, faultLines(t, fromYAML(doc)), doc)
	}
	c, err := Load(fromYAML(head + `gateway: {admin: 'https://localhost:8444', public: 'https://mep-api-gw.mep:8443'}
  mepauth: https://10.0.0.9:10443
  tokenKeyFile: t
  caFile: ca
  commonName: edgegallery
  importFrom: /usr/mep/data
`))
	require.NoError(t, err)
	assert.Equal(t, EdgeGallery{Gateway: Gateway{"https://localhost:8444", "https://mep-api-gw.mep:8443"}, Mepauth: "https://10.0.0.9:10443",
		TokenKeyFile: "t", CAFile: "ca", CommonName: "edgegallery", ImportFrom: "/usr/mep/data"}, c.EdgeGallery)
	_, err = Load(fromYAML("server: {insecure: true}\n" + head + "mepauth: 'http://10.0.0.9:10443'\n"))
	require.NoError(t, err, "the risk is accepted")
}
