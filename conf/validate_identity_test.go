package conf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFaultsOfIdentities(t *testing.T) {
	const jwt = "identity:\n  jwt:\n    issuer: i\n    audience: a\n"
	const tls = "server: {tls: {certFile: c, keyFile: k, clientCAFile: ca}}\n"
	for doc, want := range map[string]string{
		"identity: {certificate: {enabled: true}}\n":                                                                               "m.yaml:1: identity.certificate.enabled: needs server.tls.clientCAFile",
		"identity: {certificate: {roles: {a: [reader]}}}\n":                                                                        "m.yaml:1: identity.certificate.roles: is of no use without identity.certificate.enabled",
		tls + "identity: {certificate: {enabled: true, roles: {a: [reader, host]}}}\n":                                             `m.yaml:2: identity.certificate.roles: must not give "a" the role host`,
		"identity: {certificate: {pattern: 'urn:mec:app:'}}\n":                                                                     "m.yaml:1: identity.certificate.pattern: must be a URI with {appInstanceId} in it once, such as urn:mec:app:{appInstanceId} or",
		"identity: {certificate: {pattern: '{appInstanceId}'}}\n":                                                                  "m.yaml:1: identity.certificate.pattern: must be a URI",
		"identity: {certificate: {pattern: 'urn:{appInstanceId}'}}\n":                                                              "m.yaml:1: identity.certificate.pattern: must be a URI",
		"identity: {certificate: {pattern: 'urn:a:{appInstanceId}{appInstanceId}'}}\n":                                             "m.yaml:1: identity.certificate.pattern: must be a URI",
		"identity: {certificate: {pattern: 'urn:a b:{appInstanceId}'}}\n":                                                          "m.yaml:1: identity.certificate.pattern: must be a URI",
		jwt + "    keyFile: k\n    jwksURL: 'https://x'\n":                                                                         "m.yaml:6: identity.jwt.jwksURL: must be empty when keys come from identity.jwt.keyFile (m.yaml:5)",
		jwt + "    jwksURL: 'https://x'\n    discoveryURL: 'https://x'\n":                                                          "m.yaml:6: identity.jwt.discoveryURL: must be empty when keys come from identity.jwt.jwksURL",
		"identity: {jwt: {issuer: i}}\n":                                                                                           "m.yaml:1: identity.jwt.issuer: is of no use without keys",
		"identity: {jwt: {audience: a}}\n":                                                                                         "m.yaml:1: identity.jwt.audience: is of no use without keys",
		"identity: {jwt: {keyFile: k, audience: a}}\n":                                                                             "m.yaml:1: identity.jwt.issuer: must be given",
		"identity: {jwt: {keyFile: k, issuer: i}}\n":                                                                               "m.yaml:1: identity.jwt.audience: must be given: what aud of a token must contain",
		"identity: {jwt: {keyFile: k, issuer: i, audience: a, claim: ''}}\n":                                                       "m.yaml:1: identity.jwt.claim: must be given",
		"identity: {jwt: {keyFile: k, issuer: i, audience: a, rolesClaim: ''}}\n":                                                  "m.yaml:1: identity.jwt.rolesClaim: must be given",
		"identity: {jwt: {keyFile: k, issuer: i, audience: a, rolesClaim: sub}}\n":                                                 `m.yaml:1: identity.jwt.rolesClaim: must be another claim than identity.jwt.claim, not "sub" too`,
		"identity: {jwt: {keyFile: k, issuer: i, audience: a, caFile: c}}\n":                                                       "m.yaml:1: identity.jwt.caFile: is of no use without identity.jwt.jwksURL",
		jwt + "    keyFile: k\n    algorithms: []\n":                                                                               "m.yaml:6: identity.jwt.algorithms: must name at least one algorithm",
		jwt + "    keyFile: k\n    algorithms: [ES256, HS256]\n":                                                                   `m.yaml:6: identity.jwt.algorithms: must not have "HS256"`,
		jwt + "    keyFile: k\n    algorithms: [none]\n":                                                                           `m.yaml:6: identity.jwt.algorithms: must not have "none"`,
		jwt + "    keyFile: k\n    algorithms: [es256]\n":                                                                          `m.yaml:6: identity.jwt.algorithms: must be of ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512, not "es256"`,
		jwt + "    keyFile: k\n    algorithms: [ES256, ES256]\n":                                                                   `m.yaml:6: identity.jwt.algorithms: must name "ES256" once`,
		jwt + "    jwksURL: 'http://idp.example/keys'\n":                                                                           "m.yaml:5: identity.jwt.jwksURL: must be an https URL without user or fragment (http only on loopback)",
		jwt + "    jwksURL: 'https://user:sesame@idp.example/keys'\n":                                                              "m.yaml:5: identity.jwt.jwksURL: must be an https URL",
		jwt + "    jwksURL: 'file:///etc/keys'\n":                                                                                  "m.yaml:5: identity.jwt.jwksURL: must be an https URL",
		jwt + "    jwksURL: idp.example\n":                                                                                         "m.yaml:5: identity.jwt.jwksURL: must be an https URL",
		jwt + "    discoveryURL: 'https://idp.example/?a=b'\n":                                                                     "m.yaml:5: identity.jwt.discoveryURL: must be an https URL without user or fragment (http only on loopback), nor query",
		"identity: {jwt: {keyFile: k, issuer: mepserver, audience: a}, issuer: {enabled: true, keyFile: k}}\n":                     "m.yaml:1: identity.jwt.issuer: must not be mepserver: that is this server's own issuer",
		"identity: {proxy: {from: [10.0.0.0/8]}}\n":                                                                                "m.yaml:1: identity.proxy.from: is of no use without identity.proxy.header",
		"identity: {proxy: {san: p}}\n":                                                                                            "m.yaml:1: identity.proxy.san: is of no use without identity.proxy.header",
		"identity: {proxy: {header: X-App}}\n":                                                                                     "m.yaml:1: identity.proxy.from: must list the networks",
		"identity: {proxy: {header: Authorization, from: [10.0.0.0/8]}}\n":                                                         `m.yaml:1: identity.proxy.header: must be the name of a header that nobody else has a use for, such as X-App-Instance-Id, not "Authorization"`,
		"identity: {proxy: {header: 'X App', from: [10.0.0.0/8]}}\n":                                                               "m.yaml:1: identity.proxy.header: must be the name",
		"identity: {proxy: {header: Content-Type, from: [10.0.0.0/8]}}\n":                                                          "m.yaml:1: identity.proxy.header: must be the name",
		"identity: {proxy: {header: Mep-Agent, from: [10.0.0.0/8]}}\n":                                                             "m.yaml:1: identity.proxy.header: must be the name",
		"identity: {proxy: {header: X-App, from: [0.0.0.0/0]}}\n":                                                                  "m.yaml:1: identity.proxy.from: must not be every address without TLS",
		"identity: {proxy: {header: X-App, from: [10.0.0.0/8], san: p}}\n":                                                         "m.yaml:1: identity.proxy.san: is of no use without server.tls.certFile",
		tls + "identity: {proxy: {header: X-App, from: [10.0.0.0/8]}}\n":                                                           "m.yaml:2: identity.proxy.san: must be given with TLS (m.yaml:1)",
		"server: {tls: {certFile: c, keyFile: k}}\nidentity: {proxy: {header: X-App, from: [10.0.0.0/8], san: p}}\n":               "m.yaml:2: identity.proxy.san: needs server.tls.clientCAFile",
		"identity: {proxy: {header: X-App, from: [0.0.0.0/1, 128.0.0.0/1]}}\n":                                                     "m.yaml:1: identity.proxy.from: must not be every address without TLS",
		"identity: {proxy: {header: X-App, from: ['8000::/1', 10.0.0.0/8, '::/1']}}\n":                                             "m.yaml:1: identity.proxy.from: must not be every address without TLS",
		"identity: {proxy: {header: X-App, from: [192.0.0.0/3, 0.0.0.0/1, 128.0.0.0/3, 160.0.0.0/3]}}\n":                           "m.yaml:1: identity.proxy.from: must not be every address without TLS",
		"identity: {proxy: {header: X-App, from: ['2000::/3']}}\n":                                                                 "m.yaml:1: identity.proxy.from: must not be every address without TLS",
		tls + "identity: {certificate: {enabled: true}, proxy: {header: X-App, from: [10.0.0.0/8], san: 'urn:mec:app:gateway'}}\n": `m.yaml:2: identity.proxy.san: must not be "urn:mec:app:gateway": a certificate with that name is an application's by identity.certificate.pattern`,
		tls + "identity: {certificate: {enabled: true, pattern: 'spiffe://d/{appInstanceId}/x'}, proxy: {header: X-App, from: [10.0.0.0/8], san: 'spiffe://d/a/b/x'}}\n": `m.yaml:2: identity.proxy.san: must not be "spiffe://d/a/b/x"`,
		tls + "identity: {certificate: {enabled: true, roles: {gateway.edge: [reader]}}, proxy: {header: X-App, from: [10.0.0.0/8], san: gateway.edge}}\n":               `m.yaml:2: identity.proxy.san: must not be "gateway.edge": a certificate with that name is somebody's with roles of its own by identity.certificate.roles (m.yaml:2)`,
		"identity: {issuer: {enabled: true}}\n":                            "m.yaml:1: identity.issuer.keyFile: must be given with identity.issuer.enabled (m.yaml:1)",
		"identity: {issuer: {keyFile: k}}\n":                               "m.yaml:1: identity.issuer.keyFile: is of no use without identity.issuer.enabled",
		"identity: {issuer: {enabled: true, keyFile: k, lifetime: 25h}}\n": "m.yaml:1: identity.issuer.lifetime: must be from 1s to 24h0m0s, not 25h0m0s",
	} {
		_, err := Load(Sources{File: "m.yaml", Data: []byte(doc)})
		require.Error(t, err, doc)
		require.True(t, strings.HasPrefix(err.Error(), want), "%s\nwant %s\ngot  %s", doc, want, err)
		require.NotContains(t, err.Error(), "\n", "one fault, once: %s", doc)
		require.NotContains(t, err.Error(), "sesame")
	}
	for _, doc := range []string{
		tls + "identity: {certificate: {enabled: true, pattern: 'spiffe://d/app/{appInstanceId}', roles: {'urn:console': [reader]}}, proxy: {header: X-App, from: [0.0.0.0/0], san: p}}\n",
		tls + "identity: {certificate: {pattern: 'urn:gw:{appInstanceId}'}, proxy: {header: X-App, from: [10.0.0.0/8], san: 'urn:gw:a'}}\n",
		tls + "identity: {certificate: {enabled: true, pattern: 'urn:gw:{appInstanceId}:gw:'}, proxy: {header: X-App, from: [10.0.0.0/8], san: 'urn:gw:'}}\n",
		"identity: {proxy: {header: X-App, from: [0.0.0.0/1, 128.0.0.0/2, 'fd00::/8']}}\n",
		jwt + "    jwksURL: 'http://127.0.0.1:1/keys?a=b'\n    caFile: c\n",
		jwt + "    discoveryURL: 'https://idp.example/realms/edge'\n    algorithms: [RS512]\n",
		"identity: {proxy: {header: X-AppinstanceID, from: [127.0.0.0/8]}, issuer: {enabled: true, keyFile: k, lifetime: 1m}}\n",
	} {
		_, err := Load(Sources{File: "m.yaml", Data: []byte(doc)})
		require.NoError(t, err, doc)
	}
}
