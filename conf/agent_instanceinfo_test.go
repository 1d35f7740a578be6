package conf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/edgegallery"
)

// What is registered is what EdgeGallery's agent sends, completed to what MEC 011 wants.
func TestEveryFormThatEdgeGallerysAgentTakesIsRead(t *testing.T) {
	want := map[string][]string{
		"first-releases": {
			`{"serName":"old","version":"v1","state":"ACTIVE","transportInfo":{"id":"Rest1","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://old:30005"]},"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/token"}}},"serializer":"JSON","scopeOfLocality":"MEC_SYSTEM","consumedLocalOnly":false,"livenessInterval":60}`,
		},
		"links": {
			`{"serName":"linked","version":"v1","state":"INACTIVE","transportInfo":{"id":"t","name":"n","type":"WEBSOCKET","protocol":"WS","version":"1","endpoint":{"addresses":[{"host":"h","port":1}]},"security":{}},"serializer":"XML","consumedLocalOnly":false,"livenessInterval":60}`,
		},
		"merges": {
			`{"serName":"left","version":"v3","state":"ACTIVE","transportInfo":{"id":"t","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"addresses":[{"host":"left.default","port":80}]},"security":{}},"serializer":"JSON","consumedLocalOnly":false,"livenessInterval":60}`,
			`{"serName":"right","version":"v3","state":"ACTIVE","transportInfo":{"id":"t","name":"INTO-THE-MERGED","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"addresses":[{"host":"left.default","port":80},{"host":"left.default","port":81}]},"security":{}},"serializer":"JSON","consumedLocalOnly":false,"livenessInterval":60}`,
			`{"serName":"third","version":"v3","state":"ACTIVE","transportInfo":{"id":"of-the-first","name":"","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"addresses":[{"host":"third.default","port":82}]},"security":{}},"serializer":"JSON","consumedLocalOnly":false}`,
		},
		"no-list": {},
		"no-transport": {
			`{"serName":"bare","version":"v1","state":"ACTIVE","transportInfo":{"id":"","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"alternative":{}},"security":{}},"serializer":"JSON","consumedLocalOnly":false,"livenessInterval":60}`,
			`{"serName":"labelled","version":"v1","state":"ACTIVE","transportInfo":{"id":"Rest1","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"alternative":{}},"security":{}},"serializer":"JSON","consumedLocalOnly":false}`,
		},
		"nothing": {},
		"sample": {
			`{"serName":"weather","serCategory":{"href":"/catalogue/weather","id":"weather1","name":"WEATHER","version":"version1"},"version":"v1","state":"ACTIVE","transportInfo":{"id":"7d2f0f6e-6f0b-4f2a-9f0a-3b9f6f0f4b11","name":"REST","description":"REST API","type":"REST_HTTP","protocol":"http","version":"2.0","endpoint":{"addresses":[{"host":"weather.default","port":31500}]},"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/token"}},"implSpecificInfo":{}},"serializer":"JSON","scopeOfLocality":"MEC_SYSTEM","consumedLocalOnly":false,"livenessInterval":10}`,
		},
		"template": {
			`{"serName":"face-finder","serCategory":{"href":"/example/catalogue1","id":"id12345","name":"face-finder","version":"1.0"},"version":"1.0","state":"ACTIVE","transportInfo":{"id":"0b5f4d52-3b8e-4a57-8b63-1a1a43a2c1d0","name":"REST","description":"REST API","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"addresses":[{"host":"face-finder.apps","port":9999}]},"security":{},"implSpecificInfo":{}},"serializer":"JSON","scopeOfLocality":"MEC_SYSTEM","consumedLocalOnly":false}`,
			`{"serName":"plate-finder","version":"2","state":"ACTIVE","transportInfo":{"id":"t2","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"addresses":[{"host":"plate-finder.apps","port":9998}]},"security":{}},"serializer":"JSON","consumedLocalOnly":false,"livenessInterval":30}`,
		},
		"template-empty": {},
		"yaml-1-1": {
			`{"serName":"on","version":"1.10","state":"ACTIVE","transportInfo":{"id":"yes","name":"5","type":"REST_HTTP","protocol":"HTTP","version":"2021-03-04","endpoint":{"addresses":[{"host":"10.0.0.5","port":8080},{"host":"0.5","port":1080},{"host":"h","port":8080}]},"security":{}},"serializer":"JSON","consumedLocalOnly":true,"livenessInterval":60}`,
			`{"serName":"second","version":"True","state":"ACTIVE","transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2","endpoint":{"addresses":[{"host":"h","port":8}]},"security":{}},"serializer":"JSON","consumedLocalOnly":false,"livenessInterval":30}`,
		},
		"zero-values": {
			`{"serName":"zero","version":"v1","state":"ACTIVE","transportInfo":{"id":"","name":"","type":"REST_HTTP","protocol":"","version":"","endpoint":{"addresses":[{"host":"zero.default","port":80}]},"security":{}},"serializer":"JSON","consumedLocalOnly":false}`,
			`{"serName":"category-in-part","serCategory":{"href":"","id":"c1","name":"","version":""},"version":"v1","state":"ACTIVE","transportInfo":{"id":"","name":"REST","type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"alternative":{}},"security":{}},"serializer":"JSON","consumedLocalOnly":false}`,
		},
	}
	for name, text := range edgegallery.Configurations() {
		c, err := LoadAgent(Sources{File: name, Data: []byte(text), Environ: []string{"APPINSTID=app"}})
		require.NoError(t, err, name)
		require.Contains(t, want, name)
		require.Len(t, c.Services, len(want[name]), name)
		for i, s := range c.Services {
			assert.JSONEq(t, want[name][i], string(s.Info), name)
		}
		if len(c.Services) == 0 {
			assert.Contains(t, c.Warnings.Error(), name+": services: are none", "said aloud")
		}
	}
}

// A file of ours stays strict: no alias, merge, second document or word of YAML 1.1.
func TestEdgeGallerysFormsAreItsOwn(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{"services:\n- {serName: s, isLocal: yes}\n", `m.yaml:2: services[0].isLocal: must be true or false, not the text "yes"`},
		{"services:\n- {serName: 5}\n", `m.yaml:2: services[0].serName: must be text, not the number "5"`},
		{"services:\n- &a {serName: s}\n- *a\n", "m.yaml:3: services[1]: must be a set of keys, not an alias (*a), which is not supported"},
		{"services:\n- {<<: {serName: s}}\n", "m.yaml:2: services[0].\"<<\": is not a key of a service"},
		{"services:\n- {links: {}}\n", "m.yaml:2: services[0].links: is not a key of a service"},
		{"services: []\n---\nservices: []\n", "m.yaml:2: must be one YAML document; a second one starts here"},
	} {
		src := fromYAML(tt.doc)
		src.Environ = []string{"MEP_APPLICATION_ID=a"}
		lines := agentFaults(t, src, acceptAll)
		require.Len(t, lines, 1, "%q", lines)
		assert.True(t, strings.HasPrefix(lines[0], tt.want), "got  %s\nwant %s", lines[0], tt.want)
	}
}

// What EdgeGallery's agent refuses, or cannot use, is refused with its line.
func TestFaultsOfEdgeGallerysFileNameLineKeyAndRule(t *testing.T) {
	const one = "serviceInfoPosts:\n- serName: s\n  version: v\n"
	for _, tt := range []struct{ doc, want string }{
		{one + "  livenessInterval: '10'\n", `m.yaml:4: serviceInfoPosts[0].livenessInterval: must be a whole number, not the text "10"`},
		{one + "  livenessInterval: -1\n", `m.yaml:4: serviceInfoPosts[0].livenessInterval: must be a whole number, 0 or greater`},
		{one + "  livenessInterval: .inf\n", `m.yaml:4: serviceInfoPosts[0].livenessInterval: must be a whole number, not the number ".inf"`},
		{one + "  isLocal: 'true'\n", `m.yaml:4: serviceInfoPosts[0].isLocal: must be true or false, not the text "true"`},
		{one + "  serName: t\n", `m.yaml:4: serviceInfoPosts[0].serName: must stand once; it stands in line 2 already`},
		{one + "  name: t\n", `m.yaml:4: serviceInfoPosts[0].name: is not a key of a service`},
		{one + "  state: [ACTIVE]\n", `m.yaml:4: serviceInfoPosts[0].state: must be text, not a list`},
		{one + "  state: RUNNING\n", `m.yaml:4: serviceInfoPosts[0].state: must be one of ACTIVE`},
		{one + "  transportInfo: {endpoint: {addresses: [{host: h, port: 70000}]}}\n", `m.yaml:4: serviceInfoPosts[0].transportInfo.endpoint.addresses.port: must be a number from 1 to 65535`},
		{"serviceInfoPosts:\n- serName: s\n  version:\n", `m.yaml:3: serviceInfoPosts[0].version: is mandatory`},
		{"serviceInfoPosts: {serName: s}\n", `m.yaml:1: serviceInfoPosts: must be a list of services, not a set of keys`},
		{"serviceInfoPosts: [~]\n", `m.yaml:1: serviceInfoPosts[0]: must be a set of keys, not empty`},
		{"serviceInfoPosts: [5]\n", `m.yaml:1: serviceInfoPosts[0]: must be a set of keys, not the number "5"`},
		{"appInstanceId: [x]\n", `m.yaml:1: appInstanceId: must be text, not a list`},
		{"serviceInfoPosts:\n- &a {serName: s, version: v, <<: *a}\n", `m.yaml:2: serviceInfoPosts[0]: must not merge a set of keys into itself`},
		{"serviceInfoPosts:\n- {serName: s, version: v, <<: 5}\n", `m.yaml:2: serviceInfoPosts[0]: must merge sets of keys, not the number "5"`},
	} {
		src := fromYAML(tt.doc)
		src.Environ = []string{"MEP_APPLICATION_ID=a"}
		_, err := LoadAgent(src)
		var lines Faults
		require.ErrorAs(t, err, &lines, tt.doc)
		require.Len(t, lines, 1, "%q", lines)
		assert.True(t, strings.HasPrefix(lines[0].String(), tt.want), "got  %s\nwant %s", lines[0], tt.want)
	}
}

// Nested aliases stand for more than any machine can hold.
func TestAliasesCannotFillTheMemory(t *testing.T) {
	var b strings.Builder
	b.WriteString("serviceInfoPosts:\n- {serName: s, version: v, transportInfo: &m00 {id: x}}\n")
	for i := 1; i < 40; i++ {
		b.WriteString("- {serName: s, version: v, transportInfo: &m" + digits(i) + " {<<: [*m" + digits(i-1) + ", *m" + digits(i-1) + "]}}\n")
	}
	b.WriteString("appInstanceId: a\n")
	_, err := LoadAgent(fromYAML(b.String()))
	require.ErrorContains(t, err, "must not have aliases that stand for more than 100000 values")
	require.Equal(t, 1, strings.Count(err.Error(), "\n")+1, "%s", err)
}

func digits(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }
