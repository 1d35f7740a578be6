package plugins

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/pki"
)

// Whatever is wrong with the files of certificates is said at once, each at its line.
func TestEveryFaultOfACertificateIsSaidAtItsLine(t *testing.T) {
	ca := pki.New(t)
	good, other := ca.Server("127.0.0.1"), ca.Server("mep.example")
	old := ca.Server("old.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	nameless := ca.Server("nameless", func(c *x509.Certificate) { c.DNSNames = nil })
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(password, []byte("\n"), 0o600))
	load := func(text string) string {
		_, err := conf.Load(conf.Sources{File: "m.yaml", Data: []byte(text), Rules: []conf.Rule{TLSFiles(time.Now())}})
		if err == nil {
			return ""
		}
		return err.Error()
	}
	tls := func(cert, key, more string) string {
		return "server:\n  tls:\n    certFile: " + cert + "\n    keyFile: " + key + "\n" + more
	}
	require.Empty(t, load(tls(good.CertFile, good.KeyFile, "    clientCAFile: "+ca.File+"\nnotify: {caFile: "+ca.File+", certFile: "+good.CertFile+", keyFile: "+good.KeyFile+"}\n")))
	require.Equal(t, `m.yaml:3: server.tls.certFile: "`+old.CertFile+`" expired at `+old.TLS.Leaf.NotAfter.UTC().Format(time.RFC3339)+`
m.yaml:4: server.tls.keyFile: "`+good.KeyFile+`" is not the key of the certificate in "`+old.CertFile+`"
m.yaml:5: server.tls.clientCAFile: "`+password+`" has no PEM block of a certificate`, load(tls(old.CertFile, good.KeyFile, "    clientCAFile: "+password+"\n")))
	require.Contains(t, load(tls(nameless.CertFile, nameless.KeyFile, "")), "m.yaml:3: server.tls.certFile: \""+nameless.CertFile+"\" has no subject alternative name")
	require.Contains(t, load(tls(good.CertFile, good.KeyFile, "    keyPasswordFile: "+password+"\n")), "m.yaml:5: server.tls.keyPasswordFile: \""+password+"\" is empty")
	require.Contains(t, load(tls(good.CertFile, dir, "")), "m.yaml:4: server.tls.keyFile: \""+dir+"\" cannot be read: it is no regular file")
	require.Equal(t, "m.yaml:1: notify.caFile: \"/none\" cannot be read: no such file or directory", load("notify: {caFile: /none}\n"))
	require.Contains(t, load("notify:\n  certFile: "+good.CertFile+"\n  keyFile: "+other.KeyFile+"\n"), "m.yaml:3: notify.keyFile: \""+other.KeyFile+"\" is not the key")
}
