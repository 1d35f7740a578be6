package notify

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/pki"
)

// A consumer's certificate must be signed by notify.caFile, and be its own. It sees ours. Both
// files are read again when they change.
func TestHTTPSCallbacksProveWhoBothAre(t *testing.T) {
	ours, theirs := pki.New(t), pki.New(t)
	pair := ours.Client("platform")
	var later atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	trusted, err := newTrust(conf.Notify{CAFile: theirs.File, CertFile: pair.CertFile, KeyFile: pair.KeyFile}, clock, nil)
	require.NoError(t, err)
	w := newWebhook(policy{loopback: true}, long, "test", nil)
	w.trust = trusted
	var seen atomic.Value
	consumer := func(server pki.Pair, change func(*tls.Config)) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen.Store(r.TLS.PeerCertificates[0].SerialNumber.String())
		}))
		s.Config.ErrorLog = quiet()
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server.TLS}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.Pool}
		if change != nil {
			change(s.TLS)
		}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	attempt := func(url string) string {
		return w.post(t.Context(), delivery{id: "x", url: url, body: []byte("{}")}, 0).outcome.String()
	}
	good := consumer(theirs.Server("127.0.0.1"), nil)
	require.Equal(t, "delivered", attempt(good))
	first := seen.Load()
	require.Equal(t, "delivered", attempt(consumer(theirs.Server("127.0.0.1"), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })))
	require.Equal(t, "untrusted", attempt(consumer(ours.Server("127.0.0.1"), nil)), "of another authority")
	require.Equal(t, "untrusted", attempt(consumer(theirs.Server("127.0.0.2"), nil)), "another's")
	require.Equal(t, "unreachable", attempt(consumer(theirs.Server("127.0.0.1"), func(c *tls.Config) { c.ClientCAs = theirs.Pool })), "it does not take ours")

	renewed := ours.Client("platform")
	require.Equal(t, pair.CertFile, renewed.CertFile)
	require.Equal(t, "delivered", attempt(good))
	require.Equal(t, first, seen.Load(), "not looked at yet")
	later.Add(int64(time.Second))
	require.Equal(t, "delivered", attempt(good))
	require.NotEqual(t, first, seen.Load())

	text, err := os.ReadFile(ours.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(theirs.File, text, 0o600))
	later.Add(int64(time.Second))
	require.Equal(t, "untrusted", attempt(good), "its authority is not trusted any more")
	require.NoError(t, os.WriteFile(theirs.File, nil, 0o600))
	later.Add(int64(time.Second))
	require.Equal(t, "untrusted", attempt(good), "a file that cannot be used changes nothing")
	require.Equal(t, 1, w.unusableFiles())
}

// A callback by https leads nowhere else than one by http.
func TestNoHTTPSCallbackLeadsWhereNoneMay(t *testing.T) {
	port, strayed := canary(t, "127.0.0.1:0")
	w := newWebhook(policy{}, long, "test", nil)
	require.Equal(t, forbidden.String(), w.post(t.Context(), delivery{id: "x", url: "https://127.0.0.1:" + port}, 0).outcome.String())
	require.Zero(t, strayed.Load())
}

func TestTheEndOfOurCertificateIsAMetric(t *testing.T) {
	pair := pki.New(t).Client("platform")
	w := newWebhook(policy{}, long, "test", nil)
	for _, c := range []struct {
		conf  conf.Notify
		shown bool
	}{{conf.Notify{}, false}, {conf.Notify{CertFile: pair.CertFile, KeyFile: pair.KeyFile}, true}} {
		var err error
		w.trust, err = newTrust(c.conf, time.Now, nil)
		require.NoError(t, err)
		m := newMetrics(nil)
		m.files(w)
		left, shown := series()["mep_notification_certificate_seconds_left"]
		require.NoError(t, m.Unregister(t.Context()))
		require.Equal(t, c.shown, shown)
		require.Equal(t, shown, left > 60 && left < 7200, "%f", left)
	}
}

// Without notify.caFile the system's authorities are asked, never nobody.
func TestWithoutFilesTheSystemsAuthoritiesAreAsked(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = quiet()
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pki.New(t).Server("127.0.0.1").TLS}}
	s.StartTLS()
	defer s.Close()
	require.Equal(t, untrusted.String(), attemptAt(t, s.URL, long).outcome.String())
}

// notify.timeout may be long: a handshake has a time of its own.
func TestAHandshakeThatHangsIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer func() { _ = there.Close() }()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		began := time.Now()
		_, err := trust{}.secured(func(context.Context, string, string) (net.Conn, error) { return here, nil })(t.Context(), "tcp", "consumer.example:443")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, tlsTimeout, time.Since(began))
		_, err = here.Write([]byte{0})
		require.ErrorIs(t, err, io.ErrClosedPipe, "nothing is left open")
	})
}
