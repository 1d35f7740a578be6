package conf

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// acceptAll validates nothing.
func acceptAll([]byte) error { return nil }

const (
	head   = "application: {id: a}\n"
	oneOK  = "services:\n- {serName: s}\n"
	twoOK  = head + oneOK
	secret = "hush-hush"
)

func agentFaults(t *testing.T, src Sources, validate func([]byte) error) []string {
	t.Helper()
	c, err := loadAgent(src, validate)
	var f Faults
	require.ErrorAs(t, err, &f)
	require.Equal(t, Agent{}, c)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, len(f), "one line per fault:\n%s", err)
	return lines
}

func TestShippedAgentFileIsTheDefault(t *testing.T) {
	c, err := LoadAgent(Sources{File: "mep-agent.yaml"})
	require.NoError(t, err)
	require.Len(t, c.Services, 2)
	for _, s := range c.Services {
		var info map[string]any
		require.NoError(t, json.Unmarshal(s.Info, &info))
		assert.EqualValues(t, 0, info["livenessInterval"], "the platform's choice")
		assert.Nil(t, s.Probe)
	}
	want := DefaultAgent()
	want.Application.ID, want.Local.Listen, want.Services = "my-app", "127.0.0.1:30180", c.Services
	want.Identity.Scopes = c.Identity.Scopes
	assert.Empty(t, c.Identity.Scopes)
	assert.Equal(t, want, c)
}

func TestShippedAgentFileNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile("mep-agent.yaml")
	require.NoError(t, err)
	for _, s := range agentSettings(new(Agent)) {
		if s.isSecret() {
			assert.Contains(t, string(data), s.env())
			continue
		}
		part, key, _ := strings.Cut(s.path, ".")
		assert.Contains(t, string(data), "\n"+part+":\n")
		assert.Contains(t, string(data), "\n  "+key+":", s.path)
	}
}

func TestEveryAgentKeyIsRead(t *testing.T) {
	src := fromYAML(`
platform: {endpoints: ["https://a:1", "http://b"], prefix: /mep, timeout: 2s, caFile: ca, certFile: c, keyFile: k, serverName: n}
application: {id: app.1, onStop: leave, stateFile: s, confirmReady: true, onTermination: confirm}
identity: {kind: oauth2, tokenURL: "https://t/x", clientId: me, scopes: [a, b]}
local: {listen: "127.0.0.1:1", edgeGallery: true}
log: {level: DEBUG}
services:
- serName: s
  consumedLocalOnly: false
  livenessInterval: 7.0
  transportInfo: {endpoint: {addresses: [{host: h, port: 1}], alternative: {x: [1, {y: null}]}}, implSpecificInfo: {a: 1.5}}
  probe: {exec: [a, b c], interval: 2s, timeout: 500ms, failures: 1}
- {serName: t, probe: {tcp: "h:1"}}
`)
	src.Environ = []string{"MEP_IDENTITY_CLIENT_SECRET=" + secret, "MEP_PLATFORM_CA_FILE=other", "MEP_IP=ignored", "MEP_STORE_KIND=x"}
	c, err := loadAgent(src, acceptAll)
	require.NoError(t, err)
	assert.Equal(t, Platform{[]string{"https://a:1", "http://b"}, "/mep", 2 * time.Second, "other", "c", "k", "n"}, c.Platform)
	assert.Equal(t, Application{"app.1", "leave", "s", true, "confirm"}, c.Application)
	assert.Equal(t, Identity{Kind: OAuth2, TokenURL: "https://t/x", ClientID: "me", ClientSecret: secret, Scopes: []string{"a", "b"}}, c.Identity)
	assert.Equal(t, Local{"127.0.0.1:1", true}, c.Local)
	assert.JSONEq(t, `{"serName":"s","consumedLocalOnly":false,"livenessInterval":7,"transportInfo":{"endpoint":{"addresses":[{"host":"h","port":1}],
		"alternative":{"x":[1,{"y":null}]}},"implSpecificInfo":{"a":1.5}}}`, string(c.Services[0].Info))
	assert.Equal(t, &AgentProbe{Exec: []string{"a", "b c"}, Interval: 2 * time.Second, Timeout: 500 * time.Millisecond, Failures: 1}, c.Services[0].Probe)
	assert.Equal(t, &AgentProbe{TCP: "h:1", Interval: 5 * time.Second, Timeout: time.Second, Failures: 3}, c.Services[1].Probe)
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c), string(mustJSON(t, c))} {
		assert.NotContains(t, shown, secret)
	}
	assert.Equal(t, secret, c.Identity.ClientSecret.Reveal())
	for text, want := range map[string]Identity{
		"{kind: tokenFile, tokenFile: t}":                                         {Kind: TokenFile, TokenFile: "t"},
		"{kind: edgegallery, accessKeyFile: ak, secretKeyFile: sk}":               {Kind: AccessKey, AccessKeyFile: "ak", SecretKeyFile: "sk"},
		"{kind: oauth2, tokenURL: 'http://t', clientId: me, clientSecretFile: s}": {Kind: OAuth2, TokenURL: "http://t", ClientID: "me", ClientSecretFile: "s"},
	} {
		c, err := loadAgent(fromYAML(twoOK+"identity: "+text+"\n"), acceptAll)
		require.NoError(t, err)
		assert.Equal(t, want, c.Identity)
		assert.Empty(t, c.Warnings)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func TestAgentFaultsNameLineKeyAndRule(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{oneOK, "application.id: is mandatory, and must be 1 to 128"},
		{"application: {id: a/b}\n" + oneOK, `m.yaml:1: application.id: must be 1 to 128 letters, digits, dots, underscores and hyphens, the first a letter or digit, not "a/b"`},
		{"application: {id: a, onStop: die}\n" + oneOK, `m.yaml:1: application.onStop: must be deregister or leave, not "die"`},
		{twoOK + "server: {}\n", "m.yaml:4: server: is not a key of mep-agent; there are platform, application, identity, local, log, services"},
		{twoOK + "platform: {endpoint: x}\n", "m.yaml:4: platform.endpoint: is not a key of mep-agent; there are endpoints, prefix"},
		{twoOK + "platform: {endpoints: []}\n", "m.yaml:4: platform.endpoints: must name at least one URL"},
		{twoOK + "platform: {endpoints: ['http://u:" + secret + "@h']}\n", "m.yaml:4: platform.endpoints: must be URLs such as"},
		{twoOK + "platform: {prefix: mep/}\n", "m.yaml:4: platform.prefix: must begin with / and not end with it"},
		{twoOK + "platform: {timeout: 2m}\n", "m.yaml:4: platform.timeout: must be from 100ms to 1m0s, not 2m0s"},
		{twoOK + "platform: {endpoints: ['https://h'], certFile: x}\n", "m.yaml:4: platform.keyFile: must be given with platform.certFile"},
		{twoOK + "platform: {endpoints: ['https://h'], keyFile: x}\n", "m.yaml:4: platform.certFile: must be given with platform.keyFile"},
		{twoOK + "identity: {kind: password}\n", `m.yaml:4: identity.kind: must be none or tokenFile or oauth2 or edgegallery, not "password"`},
		{twoOK + "identity: {kind: tokenFile}\n", "m.yaml:4: identity.tokenFile: is mandatory for identity.kind tokenFile"},
		{twoOK + "identity: {clientSecret: " + secret + "}\n", "m.yaml:4: identity.clientSecret: must not stand in this file, which is not kept secret; give it as MEP_IDENTITY_CLIENT_SECRET, or the file that holds it as identity.clientSecretFile"},
		{twoOK + "identity: {kind: oauth2, tokenURL: 'ftp://x', clientId: a, clientSecretFile: b}\n", "m.yaml:4: identity.tokenURL: must be an http:// or https:// URL"},
		{twoOK + "local: {edgeGallery: true}\n", "m.yaml:4: local.edgeGallery: needs local.listen"},
		{twoOK + "local: {listen: ':1'}\n", "m.yaml:4: local.listen: must be HOST:PORT"},
		{twoOK + "local: {listen: '0.0.0.0:1', edgeGallery: true}\n", "m.yaml:4: local.listen: must be on loopback while local.edgeGallery is true"},
		{twoOK + "log: {level: LOUD}\n", "m.yaml:4: log.level: must be DEBUG or INFO or WARN or ERROR"},
		{twoOK + "services: []\n", "m.yaml:4: services: must stand once; it stands in line 2 already"},
		// services
		{head + "services: {}\n", "m.yaml:2: services: must be a list of services, not a set of keys"},
		{head + "services: [5]\n", `m.yaml:2: services[0]: must be a set of keys, not the number "5"`},
		{head + "services:\n- serName: s\n  name: x\n", "m.yaml:4: services[0].name: is not a key of a service; there are serName, serCategory"},
		{head + "services:\n- serName: s\n- serName: a\n  serName: b\n", "m.yaml:5: services[1].serName: must stand once; it stands in line 4 already"},
		{head + "services:\n- serName: 5\n", `m.yaml:3: services[0].serName: must be text, not the number "5"`},
		{head + "services:\n- livenessInterval: '5'\n", `m.yaml:3: services[0].livenessInterval: must be a whole number, not the text "5"`},
		{head + "services:\n- livenessInterval: 1.5\n", `m.yaml:3: services[0].livenessInterval: must be a whole number`},
		{head + "services:\n- isLocal: yes\n", `m.yaml:3: services[0].isLocal: must be true or false, not the text "yes"`},
		{head + "services:\n- transportInfo:\n    endpoint:\n      uris: http://x\n", `m.yaml:5: services[0].transportInfo.endpoint.uris: must be a list of text, not the text`},
		{head + "services:\n- transportInfo:\n    endpoint:\n      addresses: [{host: h, prot: 1}]\n", `m.yaml:5: services[0].transportInfo.endpoint.addresses.prot: is not a key of a service; there are host, port`},
		{head + "services:\n- transportInfo: &x {}\n- transportInfo: *x\n", "m.yaml:4: services[1].transportInfo: must be a set of keys, not an alias (*x), which is not supported"},
		{head + "services:\n- probe: {}\n", "m.yaml:3: services[0].probe: must have exactly one of tcp, http and exec"},
		{head + "services:\n- probe: {tcp: 'h:1', http: 'http://h'}\n", "m.yaml:3: services[0].probe: must have exactly one of"},
		{head + "services:\n- probe: {tcp: h}\n", "m.yaml:3: services[0].probe.tcp: must be HOST:PORT"},
		{head + "services:\n- probe: {http: 'http://u:" + secret + "@h'}\n", "m.yaml:3: services[0].probe.http: must be an http:// or https:// URL"},
		{head + "services:\n- probe:\n    tcp: h:1\n    interval: 5\n", "m.yaml:5: services[0].probe.interval: must be a Go duration with its unit"},
		{head + "services:\n- probe:\n    tcp: h:1\n    interval: soon\n", `m.yaml:5: services[0].probe.interval: must be a Go duration such as 500ms, 5s or 1m, not "soon"`},
		{head + "services:\n- probe:\n    tcp: h:1\n    timeout: 6s\n", "m.yaml:5: services[0].probe.timeout: must be from 100ms to probe.interval, which is 5s, not 6s"},
		{head + "services:\n- probe:\n    tcp: h:1\n    failures: 0\n", "m.yaml:5: services[0].probe.failures: must be from 1 to 1000, not 0"},
		{head + "services:\n- probe: {exec: ['']}\n", "m.yaml:3: services[0].probe.exec: must name a program first"},
	} {
		t.Run(tt.doc, func(t *testing.T) {
			lines := agentFaults(t, fromYAML(tt.doc), acceptAll)
			require.Len(t, lines, 1, "%q", lines)
			assert.True(t, strings.HasPrefix(lines[0], tt.want), "got  %s\nwant %s", lines[0], tt.want)
			assert.NotContains(t, lines[0], secret)
		})
	}
}

func TestSecretsComeOnceAndFromWhereTheyAreKept(t *testing.T) {
	doc := twoOK + "identity: {kind: edgegallery, accessKeyFile: a}\n"
	assert.Equal(t, []string{"m.yaml:4: identity.secretKeyFile: is mandatory for identity.kind edgegallery; or set MEP_IDENTITY_SECRET_KEY"},
		agentFaults(t, fromYAML(doc), acceptAll))
	for _, tt := range []struct {
		environ []string
		want    Identity
		warning string
	}{
		{[]string{"MEP_IDENTITY_ACCESS_KEY=" + secret, "MEP_IDENTITY_SECRET_KEY=" + secret}, Identity{Kind: AccessKey, AccessKey: secret, SecretKey: secret},
			"m.yaml:4: identity.accessKeyFile: is not used beside MEP_IDENTITY_ACCESS_KEY"},
		{[]string{"APPINSTID=a", "AK=" + secret, "SK=" + secret}, Identity{Kind: AccessKey, AccessKey: secret, SecretKey: secret},
			"m.yaml:4: identity.accessKeyFile: is not used beside AK"},
		{[]string{"APPINSTID=a", "AK=" + secret, "SK=" + secret, "MEP_IDENTITY_ACCESS_KEY_FILE=f"}, Identity{Kind: AccessKey, AccessKeyFile: "f", SecretKey: secret},
			"AK: identity.accessKey: is not used beside MEP_IDENTITY_ACCESS_KEY_FILE"},
	} {
		src := fromYAML(doc)
		src.Environ = tt.environ
		c, err := loadAgent(src, acceptAll)
		require.NoError(t, err)
		assert.Equal(t, tt.want, c.Identity)
		assert.Contains(t, c.Warnings.Error(), tt.warning)
		assert.NotContains(t, c.Warnings.Error(), secret)
	}
	src := fromYAML(twoOK)
	src.Environ = []string{"MEP_IDENTITY_KIND=edgegallery", "MEP_IDENTITY_ACCESS_KEY=" + secret, "MEP_IDENTITY_ACCESS_KEY_FILE=f", "MEP_IDENTITY_SECRET_KEY=" + secret}
	assert.Equal(t, []string{"MEP_IDENTITY_ACCESS_KEY_FILE: identity.accessKeyFile: must not be given beside MEP_IDENTITY_ACCESS_KEY"}, agentFaults(t, src, acceptAll))
	assert.ElementsMatch(t, []string{"AK", "SK", "MEP_IDENTITY_CLIENT_SECRET", "MEP_IDENTITY_ACCESS_KEY", "MEP_IDENTITY_SECRET_KEY"}, SecretVariables())
}

// A violation is a fault of the line of its attribute or of what that should be in. It is
// left out where the form was refused already.
func TestEveryViolationHasALine(t *testing.T) {
	validate := func([]byte) error {
		return mp1.Faults{{Attribute: "state", Rule: "must be known"}, {Attribute: "transportInfo.endpoint.uris", Rule: "must be there"},
			{Attribute: "serName", Rule: "is mandatory"}, {Attribute: "version", Rule: "is mandatory"}}
	}
	assert.Equal(t, []string{
		`m.yaml:4: services[0].serName: must be text, not the number "5"`,
		"m.yaml:5: services[0].state: must be known",
		"m.yaml:7: services[0].transportInfo.endpoint.uris: must be there",
		"m.yaml:3: services[0].version: is mandatory",
	}, agentFaults(t, fromYAML(head+"services:\n- isLocal: true\n  serName: 5\n  state: x\n  transportInfo:\n    endpoint: {fqdn: [a]}\n"), validate))
}

func TestAServiceIsHeldToEveryRuleOfMEC011(t *testing.T) {
	lines := agentFaults(t, fromYAML(head+"services:\n- serName: s\n  state: RUNNING\n  transportInfo:\n    endpoint: {fqdn: [a], uris: [b]}\n"), mp1.CheckServiceInfo)
	assert.Len(t, lines, 9, "%s", lines)
	assert.Contains(t, lines, "m.yaml:3: services[0].version: is mandatory")
	assert.Contains(t, lines, "m.yaml:4: services[0].state: must be one of ACTIVE, INACTIVE, SUSPENDED")
	assert.Contains(t, lines, "m.yaml:6: services[0].transportInfo.endpoint: must have exactly one of uris, fqdn, addresses and alternative")
	_, err := LoadAgent(fromYAML(twoOK))
	require.ErrorContains(t, err, "services[0].version: is mandatory")
}

func FuzzLoadAgent(f *testing.F) {
	f.Add([]byte(twoOK), "MEP_PLATFORM_ENDPOINTS=http://x")
	f.Add([]byte(head+"services:\n- probe: {exec: [a], interval: 1s}\n  transportInfo: {endpoint: {alternative: {a: &x [*x]}}}\n"), "APPINSTID=a")
	f.Add([]byte("serviceInfoPosts:\n- &a {serName: s, <<: [{state: on}, *a]}\n- {<<: *a, transportInfo: {id: yes}}\n"), "APPINSTID=a")
	f.Add([]byte("serviceInfoPosts: [{version: 1.0, _links: {? [a] : b}}]\nappInstanceId: [x]\n"), "AK=x")
	f.Fuzz(func(t *testing.T, data []byte, env string) {
		if strings.HasPrefix(env, "CA_CERT=") {
			return
		}
		c, err := loadAgent(Sources{File: "f.yaml", Data: data, Environ: []string{env}}, acceptAll)
		if err == nil {
			for _, s := range c.Services {
				if !json.Valid(s.Info) {
					t.Fatalf("not JSON: %q", s.Info)
				}
			}
			return
		}
		var faults Faults
		if !assert.ErrorAs(t, err, &faults) || len(faults) == 0 {
			t.Fatalf("no Faults but %v", err)
		}
		for _, one := range faults {
			if strings.ContainsAny(one.String(), "\x00\x1b\r\n\u2028\u202e") {
				t.Fatalf("unprintable: %q", one.String())
			}
		}
	})
}
