package conf

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFaultsNameLineKeyAndRule(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		// the form of the file
		{"server:\n  port: 1\n", "m.yaml:2: server.port: is not a key of mepserver; there are listen, insecure, advertise, adminSocket"},
		{"liveness:\n  mininterval: 1s\n", "m.yaml:2: liveness.mininterval: is not a key of mepserver; did you mean liveness.minInterval?"},
		{"\nlivness: {}\n", "m.yaml:2: livness: is not a key of mepserver; there are server, identity, store, applications, liveness, discovery, notify, rules, timing, limits, audit, board, compat, edgegallery"},
		{"server.listen: 127.0.0.1:1\n", "m.yaml:1: server.listen: is not a key of mepserver; keys are nested: server: {listen: ...}"},
		{"compat: none\n\ncompat: none\n", "m.yaml:3: compat: must stand once; it stands in line 1 already"},
		{"server: {}\nserver: {}\n", "m.yaml:2: server: must stand once; it stands in line 1 already"},
		{"store:\n  kind: embedded\n  kind: etcd\n", "m.yaml:3: store.kind: must stand once; it stands in line 2 already"},
		{"compat: none\n---\ncompat: none\n", "m.yaml:2: must be one YAML document; a second one starts here"},
		{"server: [\n", "m.yaml:2: must be valid YAML: did not find expected node content"},
		{"server:\n  listen: *x\n", "m.yaml:2: must be valid YAML: aliases are not supported"},
		{"\n\ncompat: \"none\n", "m.yaml:3: must be valid YAML: found unexpected end of stream"},
		{"server:\n\tlisten: x\n", "m.yaml:2: must be valid YAML: found character that cannot start any token"},
		{"a: 1\n# \xff\n", "m.yaml:2: must be UTF-8 text without control characters"},
		{"a: 1\n\n# \x1b\n", "m.yaml:3: must be UTF-8 text without control characters"},
		{"- a\n", "m.yaml:1: must hold keys, not a list"},
		{"server: 5\n", `m.yaml:1: server: must hold keys, not the number "5"`},
		{"a: &x {}\nserver: *x\n", "m.yaml:2: server: must hold keys, not an alias (*x), which is not supported"},
		{"server:\n  <<: {listen: x}\n", "m.yaml:2: server: must have plain words as keys, not a merge key (<<), which is not supported"},
		{"? [a]\n: b\n", "m.yaml:1: must have plain words as keys, not a list"},
		{"\"a\\nb\": 1\n", `m.yaml:1: "a\nb": is not a key of mepserver`},
		// types
		{"server:\n  listen: 30100\n", `m.yaml:2: server.listen: must be text, not the number "30100"`},
		{"server:\n  listen:\n", "m.yaml:2: server.listen: must be text, not nothing"},
		{"server:\n  listen: [::1]:1\n", "m.yaml:2: must be valid YAML"},
		{"server: {insecure: yes}\n", `m.yaml:1: server.insecure: must be true or false, not the text "yes"`},
		{"applications: {maxServices: '5'}\n", `m.yaml:1: applications.maxServices: must be a whole number, not the text "5"`},
		{"applications: {maxServices: 1.5}\n", `m.yaml:1: applications.maxServices: must be a whole number, not the number "1.5"`},
		{"applications: {maxServices: 0x10}\n", `m.yaml:1: applications.maxServices: must be a whole number up to 2147483647, not "0x10"`},
		{"applications: {known: app}\n", `m.yaml:1: applications.known: must be a list such as [] or [a, b], not the text "app"`},
		{"applications:\n  known:\n    - a\n    - 5\n", `m.yaml:4: applications.known: must be a list of text, not of the number "5"; quote it if it is text`},
		{"liveness: {hold: 1}\n", `m.yaml:1: liveness.hold: must be a Go duration with its unit such as 30s, 5m or 24h, not the number "1"`},
		{"liveness: {hold: soon}\n", `m.yaml:1: liveness.hold: must be a Go duration such as 30s, 5m or 24h, not "soon"`},
		{"compat: {}\n", "m.yaml:1: compat: must be text, not a set of keys"},
		// single values
		{"server: {listen: '127.0.0.1'}\n", "m.yaml:1: server.listen: must be HOST:PORT"},
		{"server: {listen: 'example.org:1'}\n", "m.yaml:1: server.listen: must be HOST:PORT with an IP address or localhost"},
		{"server: {listen: '127.0.0.1:http'}\n", "m.yaml:1: server.listen: must be HOST:PORT"},
		{"server: {advertise: 'mep.example'}\n", "m.yaml:1: server.advertise: must be HOST:PORT with a host that clients can reach and a port from 1 to 65535"},
		{"server: {advertise: '0.0.0.0:30100'}\n", "m.yaml:1: server.advertise: must be HOST:PORT"},
		{"server: {advertise: 'a b:1'}\n", "m.yaml:1: server.advertise: must be HOST:PORT"},
		{"server: {advertise: '[fe80::1%eth0]:1'}\n", "m.yaml:1: server.advertise: must be HOST:PORT"},
		{"server: {advertise: '10.0.0.5:0'}\n", "m.yaml:1: server.advertise: must be HOST:PORT"},
		{"server: {listen: '127.0.0.1:65536'}\n", "m.yaml:1: server.listen: must be HOST:PORT"},
		{"server: {listen: ':30100'}\n", "m.yaml:1: server.listen: must be HOST:PORT with an IP address or localhost as HOST and a number up to 65535 as PORT; for every address write 0.0.0.0:30100 or [::]:30100"},
		{"server:\n  tls:\n    certFile: c\n", "m.yaml:3: server.tls.keyFile: must be given together with server.tls.certFile"},
		{"server: {tls: {keyFile: k}}\n", "m.yaml:1: server.tls.certFile: must be given together with server.tls.keyFile"},
		{"server: {tls: {keyPasswordFile: p}}\n", "m.yaml:1: server.tls.keyPasswordFile: is of no use without server.tls.certFile"},
		{"server: {tls: {clientCAFile: ca}}\n", "m.yaml:1: server.tls.clientCAFile: is of no use without server.tls.certFile"},
		{"server: {tls: {certFile: \"a\\0\", keyFile: k}}\n", `m.yaml:1: server.tls.certFile: must be the path of a file, not "a\x00"`},
		{"notify:\n  certFile: c\n", "m.yaml:2: notify.keyFile: must be given together with notify.certFile"},
		{"store: {kind: redis}\n", `m.yaml:1: store.kind: must be embedded or etcd, not "redis"`},
		{"store: {dataDir: ''}\n", `m.yaml:1: store.dataDir: must name a directory for store.kind embedded, not ""`},
		{"store: {quotaBytes: 33554432}\n", `m.yaml:1: store.quotaBytes: must be a size with its unit such as 64KiB, 32MiB or 4GiB, not the number "33554432"`},
		{"limits: {writesPerSecond: -1}\n", "m.yaml:1: limits.writesPerSecond: must be from 0 to 2147483647, not -1; 0 turns the limit off"},
		{"limits: {writesBurst: 0}\n", "m.yaml:1: limits.writesBurst: must be at least 1 for limits.writesPerSecond 100: nothing would ever pass"},
		{"limits: {unreadBytes: 1KiB}\n", "m.yaml:1: limits.unreadBytes: must be at least 1MiB, not 1KiB; 0 turns the limit off"},
		{"limits: {bytesBurst: 65535B}\n", "m.yaml:1: limits.bytesBurst: must be at least 64KiB, the largest body there may be, not 65535B"},
		{"limits: {bytesPerSecond: 1MB}\n", `m.yaml:1: limits.bytesPerSecond: must be a size with its unit such as 64KiB, 32MiB or 4GiB, not "1MB"`},
		{"limits: {connections: 15}\n", "m.yaml:1: limits.connections: must be at least 16, not 15; 0 turns the limit off"},
		{"store: {quotaBytes: 4GB}\n", `m.yaml:1: store.quotaBytes: must be a size with its unit such as 64KiB, 32MiB or 4GiB, not "4GB"`},
		{"store: {quotaBytes: 0}\n", "m.yaml:1: store.quotaBytes: must be from 16MiB to 64GiB, not 0"},
		{"store: {quotaBytes: 16777215B}\n", "m.yaml:1: store.quotaBytes: must be from 16MiB to 64GiB, not 16777215B"},
		{"store: {quotaBytes: 1TiB}\n", "m.yaml:1: store.quotaBytes: must be from 16MiB to 64GiB, not 1TiB"},
		{"store: {kind: etcd}\n", "m.yaml:1: store.endpoints: must name at least one URL for store.kind etcd (m.yaml:1)"},
		{"store: {kind: embedded, caFile: x}\n", "m.yaml:1: store.caFile: must be empty for store.kind embedded (m.yaml:1); set store.kind to etcd"},
		{"store: {endpoints: ['http://e:1', 'https://f:1']}\n", "m.yaml:1: store.endpoints: must be all https or all http"},
		{"store: {endpoints: ['http://e:1'], caFile: x}\n", "m.yaml:1: store.caFile: is of no use without https:// in store.endpoints (m.yaml:1)"},
		{"store:\n  endpoints: ['https://e:1']\n  certFile: x\n", "m.yaml:3: store.keyFile: must be given together with store.certFile"},
		{"store:\n  endpoints: ['https://e:1']\n  keyFile: x\n", "m.yaml:3: store.certFile: must be given together with store.keyFile"},
		{"store:\n  endpoints: ['https://e:1']\n  username: x\n", "m.yaml:3: store.username: must be given together with store.passwordFile or MEP_STORE_PASSWORD"},
		{"store:\n  endpoints: ['https://e:1']\n  passwordFile: x\n", "m.yaml:3: store.username: must be given together with a password"},
		{"store:\n  endpoints: ['http://e:1']\n  username: x\n  passwordFile: x\n", "m.yaml:3: store.username: needs https:// in store.endpoints (m.yaml:2): over http the password"},
		{"store: {password: sesame}\n", "m.yaml:1: store.password: must not stand in this file, which is not kept secret; give it as MEP_STORE_PASSWORD, or the file that holds it as store.passwordFile"},
		{"applications: {admission: closed}\n", `m.yaml:1: applications.admission: must be open or registered, not "closed"`},
		{"applications: {known: [-a]}\n", "m.yaml:1: applications.known: must be ids of 1 to 128"},
		{"applications: {known: [" + strings.Repeat("a", 129) + "]}\n", "m.yaml:1: applications.known: must be ids of 1 to 128"},
		{"applications: {maxServices: 0}\n", "m.yaml:1: applications.maxServices: must be from 1 to 2147483647, not 0"},
		{"applications: {maxSubscriptions: -1}\n", "m.yaml:1: applications.maxSubscriptions: must be from 1 to"},
		{"notify: {allowedCallbackCIDRs: [10.0.0.1/8, x]}\n", `m.yaml:1: notify.allowedCallbackCIDRs: must be networks such as 10.0.0.0/8 or fd00::/8, not "10.0.0.1/8" (has host bits: did you mean 10.0.0.0/8?), "x"`},
		{"compat: edge\n", `m.yaml:1: compat: must be none or edgegallery, not "edge"`},
		// times, with both numbers
		{"liveness: {minInterval: 500ms}\n", "m.yaml:1: liveness.minInterval: must be from 1s to"},
		{"liveness: {minInterval: 1500ms}\n", "m.yaml:1: liveness.minInterval: must be whole seconds, as MEC 011 sends it, not 1.5s"},
		{"liveness: {minInterval: 1m}\n", "m.yaml:1: liveness.defaultInterval: 30s must be at least liveness.minInterval, which is 1m0s (m.yaml:1)"},
		{"liveness: {maxInterval: 20s}\n", "m.yaml:1: liveness.defaultInterval: 30s must be at most liveness.maxInterval, which is 20s (m.yaml:1)"},
		{"liveness:\n  minInterval: 10m\n", "m.yaml:2: liveness.minInterval: 10m0s must be at most liveness.maxInterval, which is 5m0s"},
		{"liveness: {allowedMisses: 0}\n", "m.yaml:1: liveness.allowedMisses: must be at least 1 unless liveness.minInterval is at least 10s; it is 5s"},
		{"liveness: {allowedMisses: -1}\n", "m.yaml:1: liveness.allowedMisses: must be from 0 to"},
		{"liveness: {allowedMisses: 7158279}\n", "m.yaml:1: liveness.allowedMisses: must be at most 7158277 while liveness.maxInterval is 5m0s"},
		{"liveness: {hold: 0s}\n", "m.yaml:1: liveness.hold: must be at least 100ms, not 0s"},
		{"liveness: {hold: 15s}\n", "m.yaml:1: liveness.hold: 15s must be shorter than the shortest window, liveness.minInterval × (liveness.allowedMisses + 1) = 5s × 3 = 15s"},
		{"liveness: {maxBeatsPerSecond: -1}\n", "m.yaml:1: liveness.maxBeatsPerSecond: must be from 0 to 1000000, not -1"},
		{"liveness: {maxBeatsPerSecond: 1000001}\n", "m.yaml:1: liveness.maxBeatsPerSecond: must be from 0 to 1000000, not 1000001"},
		{"liveness: {deregisterAfter: -1s}\n", "m.yaml:1: liveness.deregisterAfter: must be 0 (never) or at least 1s, not -1s"},
		{"liveness: {deregisterAfter: 2s, hold: 3s}\n", "m.yaml:1: liveness.deregisterAfter: 2s must be 0 (never) or at least liveness.hold, which is 3s (m.yaml:1)"},
		{"notify: {timeout: 0s}\n", "m.yaml:1: notify.timeout: must be at least 100ms, not 0s"},
		{"notify: {giveUpAfter: 5s}\n", "m.yaml:1: notify.giveUpAfter: 5s must be at least notify.timeout, which is 10s"},
		{"notify: {flap: {changes: -1}}\n", "m.yaml:1: notify.flap.changes: must be from 0, which tells every change at once, to 100, not -1"},
		{"notify: {flap: {changes: 101}}\n", "m.yaml:1: notify.flap.changes: must be from 0, which tells every change at once, to 100, not 101"},
		{"notify: {flap: {period: 999ms}}\n", "m.yaml:1: notify.flap.period: must be from 1s to 24h0m0s, not 999ms"},
		{"notify: {flap: {period: 25h}}\n", "m.yaml:1: notify.flap.period: must be from 1s to 24h0m0s, not 25h0m0s"},
		{"notify: {keptBytes: 255KiB}\n", "m.yaml:1: notify.keptBytes: must be at least 256KiB, room for a few of the largest events, not 255KiB"},
		{"notify: {keptBytes: 512MiB}\n", "m.yaml:1: notify.keptBytesInAll: 256MiB must be at least notify.keptBytes, which is 512MiB (m.yaml:1)"},
	} {
		t.Run(tt.doc, func(t *testing.T) {
			if strings.HasPrefix(tt.doc, "a: &x") {
				lines := faultLines(t, fromYAML(tt.doc))
				require.Len(t, lines, 2)
				assert.Equal(t, tt.want, lines[1])
				return
			}
			lines := faultLines(t, fromYAML(tt.doc))
			require.Len(t, lines, 1, "%q", lines)
			assert.True(t, strings.HasPrefix(lines[0], tt.want), "got  %s\nwant %s", lines[0], tt.want)
		})
	}
}

func TestAllFaultsOfAllSourcesAtOnce(t *testing.T) {
	src := fromYAML("server:\n  listen: 1\nnonsense: 2\nliveness:\n  hold: 0s\n  minInterval: x\n")
	src.Environ = []string{"MEP_APPLICATIONS_MAX_SERVICES=many", "MEP_COMPAT=all", "MEP_NOTIFY_ALLOWED_CALLBACK_CIDRS=10.0.0.0/8,y"}
	src.Flags = map[string]string{"etcd-endpoints": "http://user:secret@e:2379", "verbose": "1"}
	assert.Equal(t, []string{
		`m.yaml:2: server.listen: must be text, not the number "1"`,
		`m.yaml:3: nonsense: is not a key of mepserver; there are server, identity, store, applications, liveness, discovery, notify, rules, timing, limits, audit, board, compat, edgegallery`,
		`--verbose: is not a flag that sets anything`,
		`m.yaml:6: liveness.minInterval: must be a Go duration such as 30s, 5m or 24h, not "x"`,
		`MEP_APPLICATIONS_MAX_SERVICES: applications.maxServices: must be a whole number up to 2147483647, not "many"`,
		`MEP_NOTIFY_ALLOWED_CALLBACK_CIDRS: notify.allowedCallbackCIDRs: must be networks such as 10.0.0.0/8 or fd00::/8, not "y"`,
		`MEP_COMPAT: compat: must be none or edgegallery, not "all"`,
		`--etcd-endpoints: store.endpoints: must be URLs such as http://10.0.0.1:2379, without user, path or query; one of them is not`,
		`m.yaml:5: liveness.hold: must be at least 100ms, not 0s`,
	}, faultLines(t, src))
}

func TestThePasswordComesFromOnePlaceAndIsNeverPrinted(t *testing.T) {
	src := fromYAML("store: {endpoints: ['http://127.0.0.1:1', 'http://localhost:2'], username: mep}\n")
	src.Environ = []string{"MEP_STORE_PASSWORD=sesame"}
	c, err := Load(src)
	require.NoError(t, err, "loopback needs no TLS")
	assert.Equal(t, "sesame", string(c.Store.Password))
	inJSON, err := json.Marshal(c)
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(inJSON)} {
		assert.NotContains(t, text, "sesame")
		assert.Contains(t, text, "(secret)")
	}
	src.Environ = append(src.Environ, "MEP_STORE_PASSWORD_FILE=p")
	assert.Equal(t, []string{"MEP_STORE_PASSWORD_FILE: store.passwordFile: must be empty when the password itself is given (MEP_STORE_PASSWORD)"}, faultLines(t, src))
	src.Environ = []string{"MEP_STORE_PASSWORD=ses\name"}
	assert.Equal(t, []string{"MEP_STORE_PASSWORD: store.password: must be text without control characters"}, faultLines(t, src))
}

func TestABadValueIsAFaultEvenWhenOverridden(t *testing.T) {
	src := fromYAML("server: {listen: 5}\n")
	src.Flags = map[string]string{"listen": "127.0.0.1:1"}
	assert.Len(t, faultLines(t, src), 1)
}

func TestBeyondLoopbackNeedsInsecure(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:1", "[::]:1", "192.0.2.1:1"} {
		src := Sources{Flags: map[string]string{"listen": listen}}
		lines := faultLines(t, src)
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], "--listen: server.listen: ")
		assert.Contains(t, lines[0], "--insecure")
		assert.Contains(t, lines[0], "TLS")
		src.Flags["insecure"] = "true"
		_, err := Load(src)
		assert.NoError(t, err)
	}
}

func TestIntervalsAtTheirBounds(t *testing.T) {
	for _, doc := range []string{
		"liveness: {minInterval: 1s, allowedMisses: 1, defaultInterval: 1s}\n",
		"liveness: {minInterval: 10s, allowedMisses: 0}\n",
		"liveness: {minInterval: 30s, maxInterval: 30s}\n",
		"liveness: {allowedMisses: 7158277}\n",
		"liveness: {maxInterval: 2147483647s, minInterval: 10s, allowedMisses: 0}\n",
		"liveness: {hold: 14999ms}\n",
		"liveness: {deregisterAfter: 1s}\n",
	} {
		c, err := Load(fromYAML(doc))
		require.NoError(t, err, doc)
		assert.LessOrEqual(t, int64(c.Liveness.Window(c.Liveness.MaxInterval)/time.Second), int64(math.MaxInt32))
	}
}

func TestValidateFindsWhatLoadWould(t *testing.T) {
	c := Default()
	c.Store.Kind = "x"
	c.Applications.Admission = ""
	c.Liveness = Liveness{}
	c.Notify = Notify{}
	c.Server.Listen = ""
	c.Applications.MaxServices = math.MaxInt32 + 1
	c.Compat = "y"
	var f Faults
	require.ErrorAs(t, c.Validate(), &f)
	got := map[string]bool{}
	for _, one := range f {
		assert.Empty(t, one.Where)
		got[one.Path] = true
	}
	for _, path := range []string{"store.kind", "applications.admission", "liveness.minInterval", "liveness.allowedMisses",
		"notify.timeout", "server.listen", "applications.maxServices", "compat"} {
		assert.True(t, got[path], path)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("server: {listen: 127.0.0.1:1}\n"), "MEP_COMPAT=edgegallery", "http://e:2379")
	f.Add([]byte("liveness: {minInterval: 1s, allowedMisses: 1}\n---\n"), "MEP_LIVENESS_HOLD=2s", "")
	f.Add([]byte("a: &x [*x]\n? {}\n: !!binary x\n<<: *x\n"), "MEP_STORE_KIND=etcd", ",")
	f.Fuzz(func(t *testing.T, data []byte, env, endpoints string) {
		c, err := Load(Sources{File: "f.yaml", Data: data, Environ: []string{env}, Flags: map[string]string{"etcd-endpoints": endpoints}})
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Fatalf("Load accepts what Validate refuses: %v", err)
			}
			return
		}
		var faults Faults
		if c.Server.Listen != "" || !assert.ErrorAs(t, err, &faults) || len(faults) == 0 {
			t.Fatalf("a refused configuration must be empty and its error a Faults: %v", err)
		}
		if n := strings.Count(err.Error(), "\n"); n != len(faults)-1 {
			t.Fatalf("%d faults on %d lines:\n%s", len(faults), n+1, err)
		}
		for _, one := range faults {
			if strings.ContainsAny(one.String(), "\x00\x1b\r\u2028\u202e") {
				t.Fatalf("unprintable: %q", one.String())
			}
		}
	})
}

// Faults of files come with all others, at the line of their key; but none about a key whose
// value could not be read.
func TestRulesFromOutsideAreCheckedWithAllOthers(t *testing.T) {
	rule := func(c Config, fault func(path, format string, args ...any)) {
		fault("server.tls.certFile", "%q is bad", c.Server.TLS.CertFile)
		fault("notify.timeout", "is bad")
	}
	_, err := Load(Sources{File: "m.yaml", Data: []byte("compat: x\nserver:\n  tls:\n    certFile: c\n    keyFile: k\nnotify: {timeout: soon}\n"), Rules: []Rule{rule}})
	require.EqualError(t, err, `m.yaml:1: compat: must be none or edgegallery, not "x"
m.yaml:6: notify.timeout: must be a Go duration such as 30s, 5m or 24h, not "soon"
m.yaml:4: server.tls.certFile: "c" is bad`)
}
