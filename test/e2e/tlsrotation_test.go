package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/wait"
)

// beater sends heartbeats of one application without a pause.
type beater struct {
	s        *mep.Secured
	app      string
	liveness string
	one      bool // over one connection; otherwise each beat makes its own
	http1    bool
	sent     atomic.Int64
	config   atomic.Pointer[tls.Config]
	trusts   *x509.CertPool // of whoever keeps a connection

	handshakes atomic.Int64
}

// failures are what went wrong with any heartbeat.
type failures struct {
	mu  sync.Mutex
	all []string
}

func (f *failures) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, text)
}

func certificateOf(ca *pki.Authority, app string) pki.Pair {
	return ca.Client(app, func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "urn", Opaque: "mec:app:" + app}} })
}

func poolOf(all ...*pki.Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range all {
		text, err := os.ReadFile(a.File)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			panic("no authority")
		}
	}
	return pool
}

// use has the beater show a certificate and trust authorities from its next connection on.
func (b *beater) use(own pki.Pair, trusts *x509.CertPool) {
	b.config.Store(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusts, Certificates: []tls.Certificate{own.TLS}})
}

// transport has connections of its own. Whoever keeps one shows, at each handshake, the
// certificate that he has then, as mep-agent does.
func (b *beater) transport(is *tls.Config) *http.Transport {
	config := is.Clone()
	if b.one {
		config.RootCAs, config.Certificates = b.trusts, nil
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			b.handshakes.Add(1)
			return &b.config.Load().Certificates[0], nil
		}
	}
	return &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: !b.http1, DisableKeepAlives: !b.one}
}

func (b *beater) run(stop <-chan struct{}, bad *failures) {
	var config *tls.Config
	var client *http.Client
	for {
		select {
		case <-stop:
			return
		default:
		}
		if next := b.config.Load(); next != config {
			if client != nil && !b.one {
				client.CloseIdleConnections()
			}
			if client == nil || !b.one { // whoever keeps a connection keeps it
				client = &http.Client{Timeout: time.Minute, Transport: b.transport(next)}
			}
			config = next
		}
		r, err := http.NewRequest(http.MethodPatch, b.s.URL+b.liveness, strings.NewReader(mep.Alive))
		if err != nil {
			bad.add(err.Error())
			return
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		if err != nil {
			bad.add(fmt.Sprintf("%s: %v", b.app, err))
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		switch res.StatusCode {
		case http.StatusNoContent, http.StatusOK, http.StatusServiceUnavailable: // a store that is slow is no matter of certificates
		default:
			bad.add(fmt.Sprintf("%s: %d", b.app, res.StatusCode))
		}
		b.sent.Add(1)
		time.Sleep(2 * time.Millisecond)
	}
}

// The server's certificate, its authority and that of its clients are exchanged while
// heartbeats come over connections old and new, HTTP/1.1 and HTTP/2: none of them fails.
func TestCertificatesAreExchangedWithoutLosingAHeartbeat(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	first, second := s.CA, pki.New(t)
	var all []*beater
	for i := range 8 {
		b := &beater{s: s, app: fmt.Sprint("app-", i), one: i%2 == 0, http1: i%4 < 2, trusts: poolOf(first, second)}
		own := certificateOf(first, b.app)
		b.liveness = s.WithCertificate(own).Register(b.app, "name", 60).Liveness
		b.use(own, poolOf(first))
		all = append(all, b)
	}
	stop, bad := make(chan struct{}), &failures{}
	var running sync.WaitGroup
	for _, b := range all {
		running.Go(func() { b.run(stop, bad) })
	}
	// on waits until each of them has sent so many more, beyond the second after which files are read.
	on := func(what string) {
		t.Helper()
		time.Sleep(1500 * time.Millisecond)
		for _, b := range all {
			from := b.sent.Load()
			wait.Until(t, what, func() bool { return b.sent.Load() > from+20 })
		}
		bad.mu.Lock()
		defer bad.mu.Unlock()
		require.Empty(t, bad.all, what)
	}
	shown := func() []byte {
		conn, err := tls.Dial("tcp", s.Listen, &tls.Config{RootCAs: poolOf(first, second), MinVersion: tls.VersionTLS12})
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].Raw
	}
	clientCAs := func(authorities ...*pki.Authority) {
		var text []byte
		for _, a := range authorities {
			b, err := os.ReadFile(a.File)
			require.NoError(t, err)
			text = append(text, b...)
		}
		require.NoError(t, os.WriteFile(first.File, text, 0o600))
	}
	// keep looks at those who keep their connection. net/http's client gives one of HTTP/1.1 up by
	// itself if it was too busy to see, within 50 ms, that it had written the request: of these
	// only what a server that ends them at each request would make is too many.
	keep := func(connections int64, what string) {
		t.Helper()
		for _, b := range all {
			switch n := b.handshakes.Load(); {
			case b.one && !b.http1:
				require.Equal(t, connections, n, what)
			case b.one:
				require.GreaterOrEqual(t, n, connections, what)
				require.Less(t, n, b.sent.Load()/10+connections, what)
			}
		}
	}
	on("before anything")
	before := shown()
	s.Renew(first)
	on("another certificate of the same authority")
	require.NotEqual(t, before, shown())

	for _, b := range all {
		b.use(certificateOf(first, b.app), poolOf(first, second))
	}
	on("both authorities are trusted")
	s.Renew(second)
	on("a certificate of another authority")
	for _, b := range all {
		b.use(certificateOf(first, b.app), poolOf(second))
	}
	on("the first authority is trusted no more")

	clientCAs(first, second)
	on("both authorities of clients are taken")
	for _, b := range all {
		b.use(certificateOf(second, b.app), poolOf(second))
	}
	on("clients have certificates of the other authority")
	keep(1, "it has its first connection")
	clientCAs(second)
	on("the first authority of clients is taken no more")
	keep(2, "the connection of its old certificate ended, and none since")
	s.Roots = poolOf(second)
	s.WithCertificate(certificateOf(second, "app-0")).Want(200, "GET", "/health", "")
	_, err := s.WithCertificate(certificateOf(first, "app-0")).Try("GET", "/health", "")
	require.Error(t, err)
	close(stop)
	running.Wait()
	beats := int64(0)
	for _, b := range all {
		beats += b.sent.Load()
	}
	t.Logf("%d heartbeats, %d failed", beats, len(bad.all))
	require.Empty(t, bad.all)
}
