package servicecenter

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/mec-liveness/mepserver/conf"
)

// authority signs certificates, each written as a pair of files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) issue(name string, change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := a.cert, a.key
	if parent == nil {
		tmpl.IsCA, tmpl.KeyUsage, tmpl.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		parent, signer = tmpl, key
	}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	for suffix, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		require.NoError(a.t, os.WriteFile(a.file(name+suffix), pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

func onLoopback(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }

// secured has etcd ask for client certificates of this authority.
func (a *authority) secured(cfg *embed.Config) {
	a.issue("server", onLoopback)
	cfg.ListenClientUrls[0].Scheme = "https"
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: a.file("server.pem"), KeyFile: a.file("server.key"), ClientCertAuth: true, TrustedCAFile: a.file("ca.pem")}
}

func TestAClusterWithTLSIsUsedOnlyAsItsCertificatesSay(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	_, endpoint := listening(t, ours.secured)
	ours.issue("client", nil)
	theirs.issue("client", nil)
	good := conf.Store{Endpoints: []string{endpoint}, CAFile: ours.file("ca.pem"), CertFile: ours.file("client.pem"), KeyFile: ours.file("client.key")}
	c, err := open(t, good)
	require.NoError(t, err)
	require.EqualValues(t, 0x0303, mustRemote(t, good).tls.MinVersion)
	_, err = newRegistry(c.client).LeaseGrant(t.Context(), 60)
	require.NoError(t, err, "service-center goes the same way")

	for name, tt := range map[string]struct {
		change func(*conf.Store)
		want   string
	}{
		"an authority that is not the servers'": {func(s *conf.Store) { s.CAFile = theirs.file("ca.pem") }, "unknown authority"},
		"no client certificate":                 {func(s *conf.Store) { s.CertFile, s.KeyFile = "", "" }, "certificate required"},
		"a client certificate of somebody else": {func(s *conf.Store) { s.CertFile, s.KeyFile = theirs.file("client.pem"), theirs.file("client.key") }, "remote error: tls: "},
		"plain http":                            {func(s *conf.Store) { s.Endpoints = []string{strings.Replace(endpoint, "https", "http", 1)} }, "cannot reach the etcd cluster"},
		"no such file":                          {func(s *conf.Store) { s.CAFile = "nowhere.pem" }, "store.caFile: open nowhere.pem: no such file"},
		"no certificate in the file":            {func(s *conf.Store) { s.CAFile = ours.file("ca.key") }, "holds no certificate"},
		"a key of another certificate":          {func(s *conf.Store) { s.KeyFile = ours.file("ca.key") }, "store.certFile and store.keyFile: tls: private key does not match"},
		"a file without end":                    {func(s *conf.Store) { s.CAFile = "/dev/zero" }, "store.caFile: is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good
			tt.change(&s)
			_, err := open(t, s)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func mustRemote(t *testing.T, s conf.Store) *remote {
	t.Helper()
	r, err := accessTo(s)
	require.NoError(t, err)
	return r
}

func TestARenewedClientCertificateNeedsNoRestart(t *testing.T) {
	ours := newAuthority(t)
	first, _ := ours.issue("client", nil)
	r := mustRemote(t, conf.Store{Endpoints: []string{"https://127.0.0.1:1"}, CertFile: ours.file("client.pem"), KeyFile: ours.file("client.key")})
	for range 2 {
		pair, err := r.tls.GetClientCertificate(nil)
		require.NoError(t, err)
		require.Equal(t, first.Raw, pair.Certificate[0])
		first, _ = ours.issue("client", nil)
	}
}
