package conf

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chartEnvironment has exactly the variables of EdgeGallery's chart, with TLS, and exactly those
// that Kubernetes adds for the Services of its namespace.
func chartEnvironment() []string {
	return append([]string{
		"MEPSERVER_APIGW_HOST=localhost", "MEPSERVER_APIGW_PORT=8444", "HTTP_PROTOCOL=https", "MEPSERVER_CERT_DOMAIN_NAME=edgegallery", "SSL_ENABLED=true",
		"SSL_ROOT=/usr/mep/ssl", "ROOT_KEY=" + strings.Repeat("r", 256), "TLS_KEY=" + secret, "HOME=/usr/mep", "HOSTNAME=mep-0",
	}, kubernetesEnvironment()...)
}

// kubernetesEnvironment is what Kubernetes makes of the Services mepauth, mep-mm5, mep-api-gw,
// mep-ntp, mep-elasticsearch and pg-service, and of its own.
func kubernetesEnvironment() (env []string) {
	for _, s := range []struct{ name, port, protocol string }{
		{"MEPAUTH", "10443", "TCP"}, {"MEP_MM5", "80", "TCP"}, {"MEP_API_GW", "8443", "TCP"}, {"MEP_NTP", "123", "UDP"},
		{"MEP_ELASTICSEARCH", "9200", "TCP"}, {"PG_SERVICE", "5432", "TCP"}, {"KUBERNETES", "443", "TCP"}, {"DNS_LB", "53", "UDP"},
	} {
		const ip = "10.96.0.9"
		at, link := s.name+"_PORT_"+s.port+"_"+s.protocol, strings.ToLower(s.protocol)+"://"+ip+":"+s.port
		env = append(env, s.name+"_SERVICE_HOST="+ip, s.name+"_SERVICE_PORT="+s.port, s.name+"_PORT="+link, at+"="+link,
			at+"_PROTO="+strings.ToLower(s.protocol), at+"_PORT="+s.port, at+"_ADDR="+ip)
	}
	return append(env, "MEP_API_GW_SERVICE_PORT_API_GW=8443", "MEP_NTP_SERVICE_PORT_NTP=123", "DNS_LB_SERVICE_PORT_DNS=53")
}

const chartDNS = `# dns agent configuration
dnsAgent:
  # values: local, dataplane, all
  type: all
  # local dns server end point
  endPoint:
    address:
      host: localhost
      port: 8080

# data plane option to use in Mp2 interface
dataplane:
  # values: none
  type: none
`

// chartFiles makes what the chart mounts, but the files named, and returns the root of it.
func chartFiles(t *testing.T, without ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for path, text := range map[string]string{
		"/usr/mep/ssl_tmp/server.cer": "", "/usr/mep/ssl_tmp/server_key.pem": "", "/usr/mep/ssl_tmp/trust.cer": "",
		"/usr/mep/conf/mep/config.yaml": chartDNS, "/usr/mep/data/member/snap/db": "",
	} {
		if !slices.ContainsFunc(without, func(w string) bool { return strings.HasPrefix(path, w) }) {
			require.NoError(t, os.MkdirAll(filepath.Dir(root+path), 0o700))
			require.NoError(t, os.WriteFile(root+path, []byte(text), 0o600))
		}
	}
	return root
}

func TestTheChartsEnvironmentIsAllThatIsNeeded(t *testing.T) {
	root := chartFiles(t)
	c, err := Load(Sources{Environ: chartEnvironment(), root: root})
	require.NoError(t, err)
	want := defaults(CompatEdgeGallery)
	want.Server.Listen = "0.0.0.0:8088"
	want.Server.TLS = TLS{CertFile: root + "/usr/mep/ssl_tmp/server.cer", KeyFile: root + "/usr/mep/ssl_tmp/server_key.pem", KeyPassword: secret}
	want.Store.DataDir, want.Store.QuotaBytes = "/usr/mep/data/mepserver", 512*MiB
	want.Notify.AllowedCallbackCIDRs = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	want.Rules.DNS = DNSRules{Driver: DNSEdgeGallery, URL: "http://localhost:8080"}
	require.NoError(t, assignNTPServers(&want.Timing.NTPServers, []string{"mep-ntp minpoll 4 maxpoll 17"}))
	want.EdgeGallery = EdgeGallery{Gateway: Gateway{"https://localhost:8444", "https://mep-api-gw.mep:8443"}, Mepauth: "https://10.96.0.9:10443",
		CAFile: root + "/usr/mep/ssl_tmp/trust.cer", CommonName: "edgegallery", ImportFrom: "/usr/mep/data", Site: true}
	assert.Equal(t, want, c)
	assert.Empty(t, MisspeltServer(chartEnvironment()), "what Kubernetes makes is no mistake")
}

// Variables beside the chart's are settings: docs/edgegallery.md has these, for who wants silence
// found as early as EdgeGallery's mepserver finds it.
func TestSilenceCanBeFoundAsEarlyAsAtEdgeGallery(t *testing.T) {
	const interval = time.Minute
	for env, want := range map[string]time.Duration{
		"": 121 * time.Second,
		"MEP_LIVENESS_ALLOWED_MISSES=0 MEP_LIVENESS_MIN_INTERVAL=10s MEP_LIVENESS_HOLD=4s": 64 * time.Second,
	} {
		c, err := Load(Sources{Environ: append(chartEnvironment(), strings.Fields(env)...), root: chartFiles(t)})
		require.NoError(t, err)
		assert.Equal(t, interval, c.Derived.FixedInterval)
		assert.Equal(t, want, c.Liveness.Window(interval)+c.Liveness.Hold)
	}
}

func TestTheChartsEnvironmentWithoutTLSIsPlainAndSaysSo(t *testing.T) {
	env := append(chartEnvironment(), "SSL_ENABLED=false", "HTTP_PROTOCOL=http", "MEPSERVER_APIGW_PORT=8001")
	c, err := Load(Sources{Environ: env, root: chartFiles(t, "/usr/mep/ssl_tmp", "/usr/mep/data/member")})
	require.NoError(t, err)
	assert.Equal(t, Server{Listen: "0.0.0.0:8088"}, c.Server)
	assert.Equal(t, EdgeGallery{Gateway: Gateway{"http://localhost:8001", "http://mep-api-gw.mep:8000"}, Mepauth: "http://10.96.0.9:10443", Site: true}, c.EdgeGallery)
	require.Len(t, c.Warnings, 2)
	assert.Contains(t, c.Warnings.Error(), "SSL_ENABLED: server.tls.certFile: is false: tokens, the gateway's header and what applications register pass in the clear")
	assert.Contains(t, c.Warnings.Error(), "store.dataDir: is in /usr/mep/data, which is not mounted: what is registered is lost with the container")
}

// What Kubernetes makes of Services alone is no environment of EdgeGallery's, whatever they
// are named, and no setting.
func TestKubernetesVariablesAreNeitherSettingsNorAnEnvironment(t *testing.T) {
	env := append(kubernetesEnvironment(), "SSL_ROOT=/usr/mep/ssl", "SSL_ENABLED=true", "HTTP_PROTOCOL=https",
		"MEPSERVER_APIGW_SERVICE_HOST=10.0.0.1", "MEPSERVER_APIGW_PORT=tcp://10.0.0.1:8444", "MEPSERVER_SERVICE_HOST=10.0.0.2", "MEPSERVER_PORT=tcp://10.0.0.2:1",
		// and of Services named like our settings
		"MEP_STORE_SERVICE_HOST=10.0.0.3", "MEP_STORE_PORT=tcp://10.0.0.3:2379", "MEP_SERVER_SERVICE_PORT=80", "MEP_EDGEGALLERY_SERVICE_HOST=10.0.0.4")
	c, err := Load(Sources{Environ: env, root: chartFiles(t)})
	require.NoError(t, err)
	assert.Equal(t, Default(), c)
	assert.Empty(t, MisspeltServer(env))
}

// For each thing that is missing one line says what to do; all the rest works.
func TestWhatIsMissingOfTheChartIsSaidWithItsRemedy(t *testing.T) {
	for _, tt := range []struct {
		without, env string
		want         string
	}{
		{"", "MEPAUTH_SERVICE_PORT=", "MEPAUTH_PORT_10443_TCP_ADDR: edgegallery.mepauth: or MEPAUTH_SERVICE_PORT is not set, which Kubernetes does for the Service mepauth: it is looked for as mepauth:10443, and while it does not answer applications discover nothing; create the Service before the pod, or set MEP_EDGEGALLERY_MEPAUTH"},
		{"", "MEPSERVER_APIGW_HOST=", "MEPSERVER_APIGW_HOST: edgegallery.gateway.admin: is not set: services are not published at Kong"},
		{"", "MEPSERVER_CERT_DOMAIN_NAME=", "MEPSERVER_CERT_DOMAIN_NAME: edgegallery.commonName: is not set: the certificates of Kong and mepauth must name their hosts"},
		{"", "HTTP_PROTOCOL=http", "HTTP_PROTOCOL: edgegallery.gateway.admin: is http: Kong and mepauth are asked in the clear; set it to https"},
		{"/usr/mep/ssl_tmp/trust.cer", "", "SSL_ROOT: edgegallery.caFile: there is no trust.cer in /usr/mep/ssl_tmp and none in /usr/mep/ssl"},
		{"/usr/mep/conf", "", "/usr/mep/conf/mep/config.yaml: rules.dns.driver: cannot be read (no such file or directory): DNS rules are kept, and no name resolves by them; mount the Secret mep-config at /usr/mep/conf/mep"},
		{"/usr/mep/data", "", "MEPSERVER_APIGW_HOST: store.dataDir: is in /usr/mep/data, which is not mounted"},
	} {
		without := []string{}
		if tt.without != "" {
			without = append(without, tt.without)
		}
		env := append(chartEnvironment(), tt.env)
		c, err := Load(Sources{Environ: slices.DeleteFunc(env, func(kv string) bool { // in variables an empty one is none, and so it is not the last
			return strings.HasSuffix(tt.env, "=") && strings.HasPrefix(kv, tt.env)
		}), root: chartFiles(t, without...)})
		require.NoError(t, err, tt.want)
		require.Len(t, c.Warnings, 1, "%s: %v", tt.want, c.Warnings)
		assert.Contains(t, c.Warnings.Error(), tt.want)
		assert.True(t, c.EdgeGallery.Site)
	}
}

func TestWhatCannotWorkInTheChartsEnvironmentIsRefused(t *testing.T) {
	for env, want := range map[string]string{
		"SSL_ENABLED=yes":                `SSL_ENABLED: server.tls.certFile: must be true or false, not "yes"`,
		"HTTP_PROTOCOL=ftp":              `HTTP_PROTOCOL: edgegallery.gateway.admin: must be http or https, not "ftp"`,
		"MEPSERVER_APIGW_PORT=tcp://a:1": "MEPSERVER_APIGW_HOST: edgegallery.gateway.admin: must be scheme://host:port of http or https, without user, path or query",
	} {
		assert.Equal(t, []string{want}, faultLines(t, Sources{Environ: append(chartEnvironment(), env), root: chartFiles(t)}), env)
	}
	nothing := Sources{Environ: chartEnvironment(), root: chartFiles(t, "/usr/mep/ssl_tmp/server.cer")}
	assert.Equal(t, []string{"SSL_ROOT: server.tls.certFile: there is no server.cer in /usr/mep/ssl_tmp and none in /usr/mep/ssl; " +
		"mount the Secret mep-ssl (server.cer, server_key.pem, trust.cer) at /usr/mep/ssl_tmp, or set SSL_ENABLED to false"}, faultLines(t, nothing))
	assert.Equal(t, []string{"TLS_KEY: server.tls.keyPassword: must be text without control characters"},
		faultLines(t, Sources{Environ: append(chartEnvironment(), "TLS_KEY=a\nb"), root: chartFiles(t)}), "and it is not shown")
}

// Every source of ours wins over what the environment says, and over what it lacks.
func TestOurOwnSettingsWinOverTheChartsEnvironment(t *testing.T) {
	src := Sources{Environ: append(chartEnvironment(), "MEP_SERVER_LISTEN=127.0.0.1:1", "MEP_RULES_DNS_DRIVER=none", "MEP_RULES_DNS_URL="),
		root: chartFiles(t, "/usr/mep/ssl_tmp", "/usr/mep/conf"), File: "m.yaml", Data: []byte(
			"server: {tls: {certFile: c, keyFile: k, keyPasswordFile: p}}\nedgegallery: {mepauth: '', commonName: '', caFile: '', importFrom: ''}\nstore: {dataDir: d}\n"),
		Flags: map[string]string{"data-dir": "e"}}
	c, err := Load(src)
	require.NoError(t, err)
	assert.Equal(t, Server{Listen: "127.0.0.1:1", TLS: TLS{CertFile: "c", KeyFile: "k", KeyPasswordFile: "p"}}, c.Server)
	assert.Equal(t, EdgeGallery{Gateway: Gateway{"https://localhost:8444", "https://mep-api-gw.mep:8443"}, Site: true}, c.EdgeGallery)
	assert.Equal(t, "e", c.Store.DataDir)
	assert.Empty(t, c.Warnings)
}

// EdgeGallery's image copies the mounted Secret over SSL_ROOT at each start.
func TestTheCertificatesOfTheSecretAreReadInPlace(t *testing.T) {
	root := chartFiles(t)
	for _, dir := range []string{"/usr/mep/ssl", "/opt/tls"} {
		require.NoError(t, os.MkdirAll(root+dir, 0o700))
		require.NoError(t, os.WriteFile(root+dir+"/server.cer", nil, 0o600))
	}
	for variable, want := range map[string]string{"SSL_ROOT=/usr/mep/ssl/": "/usr/mep/ssl_tmp", "SSL_ROOT=/opt/tls": "/opt/tls", "SSL_ROOT=/none": "/usr/mep/ssl_tmp"} {
		c, err := Load(Sources{Environ: append(chartEnvironment(), variable), root: root})
		require.NoError(t, err)
		assert.Equal(t, root+want+"/server.cer", c.Server.TLS.CertFile, variable)
	}
	require.NoError(t, os.RemoveAll(root+"/usr/mep/ssl_tmp"))
	c, err := Load(Sources{Environ: append(chartEnvironment(), "TLS_KEY="+secret+"\n"), root: root})
	require.NoError(t, err)
	assert.Equal(t, root+"/usr/mep/ssl/server.cer", c.Server.TLS.CertFile)
	assert.Equal(t, Secret(secret), c.Server.TLS.KeyPassword, "a Secret that was made of a file ends with a line")
	require.NoError(t, os.MkdirAll(root+"/usr/mep/keys", 0o700))
	require.NoError(t, os.WriteFile(root+siteKey, nil, 0o600))
	c, err = Load(Sources{Environ: chartEnvironment(), root: root})
	require.NoError(t, err)
	assert.Equal(t, root+siteKey, c.EdgeGallery.TokenKeyFile)
}

func TestDNSServerOfTheChartsConfigurationIsFound(t *testing.T) {
	for doc, want := range map[string]string{
		"dnsAgent: {type: local, endPoint: {address: {host: 10.1.1.1, port: 81}}}": "",
		"dnsAgent: {type: dataplane}":                           "has dnsAgent.type dataplane, and there is no data plane",
		"dnsAgent: {type: x}":                                   `must have dnsAgent.type local, dataplane or all, not "x"`,
		"dnsAgent: {type: all, endPoint: {address: {host: h}}}": "must have the host and port of dns-server",
		"dnsAgent: [":                                           "is no YAML with dnsAgent",
		"":                                                      `must have dnsAgent.type local, dataplane or all, not ""`,
	} {
		root := chartFiles(t)
		require.NoError(t, os.WriteFile(root+siteDNS, []byte(doc), 0o600))
		c, err := Load(Sources{Environ: chartEnvironment(), root: root})
		require.NoError(t, err, doc)
		if want == "" {
			assert.Equal(t, DNSRules{Driver: DNSEdgeGallery, URL: "http://10.1.1.1:81"}, c.Rules.DNS)
			continue
		}
		assert.Equal(t, DNSRules{Driver: DNSNone}, c.Rules.DNS, doc)
		require.Len(t, c.Warnings, 1)
		assert.Contains(t, c.Warnings.Error(), want)
	}
}

// No secret of the environment is shown by a fault, a warning or the configuration.
func TestSecretsOfTheChartsEnvironmentAreNeverShown(t *testing.T) {
	assert.Subset(t, ServerSecretVariables(), []string{"TLS_KEY", "ROOT_KEY", "MEP_STORE_PASSWORD", "MEP_SERVER_TLS_KEY_PASSWORD"})
	c, err := Load(Sources{Environ: append(chartEnvironment(), "MEP_SERVER_TLS_KEY_PASSWORD_FILE="), root: chartFiles(t)})
	require.NoError(t, err)
	_, err = Load(Sources{Environ: append(chartEnvironment(), "MEP_SERVER_TLS_KEY_PASSWORD=x", "SSL_ENABLED=false"), root: chartFiles(t)})
	for _, text := range []string{printed(c), err.Error()} {
		assert.NotContains(t, text, secret)
		assert.NotContains(t, text, "rrrr")
	}
}

func printed(c Config) string { return fmt.Sprintf("%v %+v %#v", c, c, c) }
