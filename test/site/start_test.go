package site

import (
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Blocker 1: HTTPS with the files of the Secret, whose key is encrypted in either form, and the
// probes of kubelet, which have neither a token nor a certificate.
func TestTheCertificatesOfTheInstallerAreServed(t *testing.T) {
	for form, block := range map[string]string{"": "ENCRYPTED PRIVATE KEY", "-traditional": "RSA PRIVATE KEY"} {
		t.Run(block, func(t *testing.T) {
			p := newPod(t, form)
			key, err := os.ReadFile(filepath.Join(p.certs, "server_key.pem"))
			require.NoError(t, err)
			made, _ := pem.Decode(key)
			require.Equal(t, block, made.Type)
			p.start()
			p.want(200, "GET", around+"/health", "")
			require.Contains(t, p.server.Stderr.Settled(), "no subject alternative name")
		})
	}
}

// Blocker 2: port 8088 of all addresses, and where everything is, by the environment alone.
func TestTheEnvironmentOfTheChartIsEnough(t *testing.T) {
	p := newPod(t, "").start()
	for _, host := range []string{"127.0.0.1", primary, multus} {
		p.want(200, "GET", "https://"+net.JoinHostPort(host, "8088")+"/health", "")
	}
	log := p.server.Stderr.Settled()
	line := ""
	for l := range strings.Lines(log) {
		if strings.Contains(l, "this is EdgeGallery's environment") {
			require.Empty(t, line, "one line")
			line = l
		}
	}
	for _, found := range []string{"0.0.0.0:8088", "/usr/mep/ssl_tmp/server.cer", "/usr/mep/data/mepserver", "https://localhost:8444", "https://10.96.0.9:10443",
		"/usr/mep/ssl_tmp/trust.cer", "http://localhost:8080"} {
		require.Contains(t, line, found)
	}
	require.NotContains(t, log, "not as EdgeGallery's chart has it", "nothing is missing")
	require.NotContains(t, log, "close to a setting's", "Kubernetes' variables are none of ours")
	for _, secret := range []string{password, rootKey} {
		require.NotContains(t, p.server.Both.String(), secret)
	}
}

// What is missing is said with what to do, and where nothing can be done without it, in place of
// a start.
func TestEachThingThatIsMissingIsALineWithItsRemedy(t *testing.T) {
	t.Run("what the rest works without", func(t *testing.T) {
		p := newPod(t, "")
		for _, name := range []string{"MEPAUTH_SERVICE_PORT", "MEPAUTH_PORT_10443_TCP_ADDR", "ROOT_KEY"} {
			p.unset(name)
		}
		require.NoError(t, os.Remove(p.path("usr/mep/conf/mep/config.yaml")))
		p.start()
		log := p.server.Stderr.Settled()
		require.Equal(t, 2, strings.Count(log, "not as EdgeGallery's chart has it"), "%s", log)
		require.Contains(t, log, "create the Service before the pod, or set MEP_EDGEGALLERY_MEPAUTH")
		require.Contains(t, log, "mount the Secret mep-config at /usr/mep/conf/mep")
	})
	for name, c := range map[string]struct {
		spoil func(p *pod)
		want  string
	}{
		"the Secret of certificates": {func(p *pod) { require.NoError(t, os.RemoveAll(p.path("usr/mep/ssl_tmp"))) },
			"there is no server.cer in /usr/mep/ssl_tmp and none in /usr/mep/ssl; mount the Secret mep-ssl"},
		"the key":                  {func(p *pod) { require.NoError(t, os.Remove(p.path("usr/mep/ssl_tmp/server_key.pem"))) }, `"/usr/mep/ssl_tmp/server_key.pem" cannot be read: no such file or directory`},
		"its password":             {func(p *pod) { p.unset("TLS_KEY") }, "is encrypted, and no password is given"},
		"the right password":       {func(p *pod) { p.set("TLS_KEY=another") }, "TLS_KEY: server.tls.keyPassword: does not open the key"},
		"the volume, for us":       {func(p *pod) { require.NoError(t, os.Chown(p.path("usr/mep/data"), 0, 0)) }, "this user is 166:166, and /usr/mep/data belongs to 0:0"},
		"a protocol that there is": {func(p *pod) { p.set("HTTP_PROTOCOL=spdy") }, `must be http or https, not "spdy"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, "")
			c.spoil(p)
			code, server := p.command().Run(t, time.Minute)
			require.Equal(t, 1, code)
			said := server.Stderr.Settled()
			require.Contains(t, said, c.want)
			last := strings.Split(strings.TrimSpace(said), "\n")
			require.Contains(t, last[len(last)-1], c.want, "it is the last line")
			require.NotContains(t, said, password)
		})
	}
}

// Without TLS everything is plain, and the log says what that means.
func TestWithoutTLSTheServerIsPlainAndWarns(t *testing.T) {
	p := newPod(t, "")
	require.NoError(t, os.RemoveAll(p.path("usr/mep/ssl_tmp")))
	p.set("SSL_ENABLED=false", "HTTP_PROTOCOL=http", "MEPSERVER_APIGW_PORT=8001")
	p.start()
	p.want(200, "GET", "http://"+primary+":8088/health", "")
	log := p.server.Stderr.Settled()
	require.Contains(t, log, "SSL_ENABLED")
	require.Contains(t, log, "pass in the clear")
}

// Blocker 3: the volume belongs to 166:166, and everything stays that user's.
func TestTheDataBelongsToTheUserOfTheImage(t *testing.T) {
	p := newPod(t, "").start()
	p.restart()
	require.NoError(t, filepath.Walk(p.path("usr/mep"), func(path string, info os.FileInfo, err error) error {
		require.NoError(t, err)
		is, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		if strings.Contains(path, "/usr/mep/data") {
			require.Equal(t, []uint32{eguser, eguser}, []uint32{is.Uid, is.Gid}, path)
		}
		return nil
	}))
	require.FileExists(t, p.path("usr/mep/data/mepserver/LOCK"))
	entries, err := os.ReadDir(p.root)
	require.NoError(t, err)
	require.Len(t, entries, 4, "it writes nowhere else")
}
