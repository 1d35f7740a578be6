package conf

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever gives a credential or a file believes that it counts. An agent that ran without it
// would be another one than was asked for.
func TestWhatIsOfNoUseIsRefused(t *testing.T) {
	const tls = " is of no use without https:// in platform.endpoints"
	for _, tt := range []struct {
		doc  string
		want []string
	}{
		{"identity: {tokenFile: t}\n", []string{"m.yaml:4: identity.tokenFile: is of no use for identity.kind none; it belongs to tokenFile"}},
		{"identity: {kind: none, tokenFile: t}\n", []string{"m.yaml:4: identity.tokenFile: is of no use for identity.kind none (m.yaml:4); it belongs to tokenFile"}},
		{"identity: {kind: tokenFile, tokenFile: t, clientSecretFile: s, scopes: [a], tokenURL: 'http://t', clientId: c}\n", []string{
			"m.yaml:4: identity.tokenURL: is of no use for identity.kind tokenFile (m.yaml:4); it belongs to oauth2",
			"m.yaml:4: identity.clientId: is of no use for identity.kind tokenFile (m.yaml:4); it belongs to oauth2",
			"m.yaml:4: identity.clientSecretFile: is of no use for identity.kind tokenFile (m.yaml:4); it belongs to oauth2",
			"m.yaml:4: identity.scopes: is of no use for identity.kind tokenFile (m.yaml:4); it belongs to oauth2"}},
		{"identity: {accessKeyFile: a, secretKeyFile: b}\n", []string{
			"m.yaml:4: identity.accessKeyFile: is of no use for identity.kind none; it belongs to edgegallery",
			"m.yaml:4: identity.secretKeyFile: is of no use for identity.kind none; it belongs to edgegallery"}},
		{"platform: {caFile: c, serverName: n}\n", []string{"m.yaml:4: platform.caFile:" + tls, "m.yaml:4: platform.serverName:" + tls}},
		{"platform: {certFile: c, keyFile: k}\n", []string{"m.yaml:4: platform.certFile:" + tls, "m.yaml:4: platform.keyFile:" + tls}},
	} {
		assert.Equal(t, tt.want, agentFaults(t, fromYAML(twoOK+tt.doc), acceptAll))
	}
	for _, name := range []string{"MEP_IDENTITY_CLIENT_SECRET", "MEP_IDENTITY_ACCESS_KEY", "MEP_IDENTITY_SECRET_KEY", "MEP_IDENTITY_TOKEN_FILE"} {
		src := fromYAML(twoOK)
		src.Environ = []string{name + "=" + secret}
		lines := agentFaults(t, src, acceptAll)
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], name+": ")
		assert.NotContains(t, lines[0], secret)
	}
	for _, good := range []string{"platform: {endpoints: ['http://a', 'https://b'], caFile: c, serverName: n}\n",
		"platform: {caFile: c}\nidentity: {kind: oauth2, tokenURL: 'https://t', clientId: a, clientSecretFile: s}\n"} {
		_, err := loadAgent(fromYAML(twoOK+good), acceptAll)
		require.NoError(t, err)
	}
}

// A variable overrules a file, and leaves what belonged to it: that is said, and no fault.
func TestWhatAStrongerSourceOverrulesIsSaid(t *testing.T) {
	src := fromYAML(twoOK + "platform: {endpoints: ['https://b'], caFile: c}\nidentity: {kind: tokenFile, tokenFile: t}\n")
	src.Environ = []string{"MEP_IDENTITY_KIND=none", "MEP_PLATFORM_ENDPOINTS=http://127.0.0.1:1"}
	c, err := loadAgent(src, acceptAll)
	require.NoError(t, err)
	assert.Equal(t, "m.yaml:5: identity.tokenFile: is of no use for identity.kind none (MEP_IDENTITY_KIND); it belongs to tokenFile\n"+
		"m.yaml:4: platform.caFile: is of no use without https:// in platform.endpoints (MEP_PLATFORM_ENDPOINTS)", c.Warnings.Error())
}
