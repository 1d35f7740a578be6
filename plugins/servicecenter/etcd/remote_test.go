package etcd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/test/pki"
)

// secured has etcd ask for client certificates of an authority.
func secured(a *pki.Authority) func(*embed.Config) {
	server := a.Server("127.0.0.1")
	return func(cfg *embed.Config) {
		cfg.ListenClientUrls[0].Scheme = "https"
		cfg.ClientTLSInfo = transport.TLSInfo{CertFile: server.CertFile, KeyFile: server.KeyFile, ClientCertAuth: true, TrustedCAFile: a.File}
	}
}

func TestAClusterWithTLSIsUsedOnlyAsItsCertificatesSay(t *testing.T) {
	ours, theirs := pki.New(t), pki.New(t)
	_, endpoint := etcdtest.Start(t, secured(ours))
	client, other := ours.Client("client"), theirs.Client("client")
	good := conf.Store{Endpoints: []string{endpoint}, CAFile: ours.File, CertFile: client.CertFile, KeyFile: client.KeyFile}
	c, err := open(t, good)
	require.NoError(t, err)
	require.EqualValues(t, 0x0303, mustRemote(t, good).tls.MinVersion)
	_, err = c.Grant(t.Context(), 60)
	require.NoError(t, err)

	for name, tt := range map[string]struct {
		change func(*conf.Store)
		want   string
	}{
		"an authority that is not the servers'": {func(s *conf.Store) { s.CAFile = theirs.File }, "unknown authority"},
		"no client certificate":                 {func(s *conf.Store) { s.CertFile, s.KeyFile = "", "" }, "certificate required"},
		"a client certificate of somebody else": {func(s *conf.Store) { s.CertFile, s.KeyFile = other.CertFile, other.KeyFile }, "remote error: tls: "},
		"plain http":                            {func(s *conf.Store) { s.Endpoints = []string{strings.Replace(endpoint, "https", "http", 1)} }, "cannot reach the etcd cluster"},
		"no such file":                          {func(s *conf.Store) { s.CAFile = "nowhere.pem" }, "store.caFile: open nowhere.pem: no such file"},
		"no certificate in the file":            {func(s *conf.Store) { s.CAFile = client.KeyFile }, "holds no certificate"},
		"a key of another certificate":          {func(s *conf.Store) { s.KeyFile = other.KeyFile }, "store.certFile and store.keyFile: tls: private key does not match"},
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

func mustRemote(t *testing.T, s conf.Store) *Remote {
	t.Helper()
	r, err := NewRemote(s)
	require.NoError(t, err)
	return r
}

func TestARenewedClientCertificateNeedsNoRestart(t *testing.T) {
	ours := pki.New(t)
	now := ours.Client("client")
	r := mustRemote(t, conf.Store{Endpoints: []string{"https://127.0.0.1:1"}, CertFile: now.CertFile, KeyFile: now.KeyFile})
	for range 2 {
		pair, err := r.tls.GetClientCertificate(nil)
		require.NoError(t, err)
		require.Equal(t, now.TLS.Leaf.Raw, pair.Certificate[0])
		now = ours.Client("client")
	}
}
