// Package matrix attacks every route of the built program with every kind of credential that
// is not one, and with every role that may not use it. The routes are those that the running
// server says it has, so that none is left out. It knows the wire and what the documents say
// about roles; it must not know how the program decides.
//
// It needs nothing but Go and half a minute, and is part of go test ./...
package matrix

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

var update = flag.Bool("update", false, "write docs/routes.md instead of comparing it")

func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }

// The parties. The victim has one of everything, the other nothing.
const (
	victim, other = "victim", "other"
	proxyHeader   = "X-Mep-App"
	proxyAddress  = "127.0.0.9"
)

// world is a platform that takes every kind of identity, with something of the victim's.
type world struct {
	s       *mep.Secured
	issuer  *issuer
	roots   *x509.CertPool
	certs   map[string]*tls.Certificate // by the application that they name
	proxy   *tls.Certificate
	trap    *httptest.Server // that nobody may be sent to
	trapped atomic.Int64
	revoked string // a token of a credential that is gone
	routes  []route
	ids     map[string]string // what stands for a placeholder of a pattern

	named   atomic.Int64 // callers that were given a name
	mu      sync.Mutex
	sent    int
	clients map[string]*http.Client // by address and certificate
}

// route is a row of the server's table.
type route struct {
	Pattern, Name, Access string
	Roles                 []string
}

// method and path of a request that matches the pattern.
func (r route) method() string {
	if method, _, ok := strings.Cut(r.Pattern, " "); ok {
		return method
	}
	return "PURGE" // none that a row of its own could have
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with what is presented.
func (w *world) send(t *testing.T, with presented, method, path, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(with.header); i += 2 {
		r.Header.Add(with.header[i], with.header[i+1])
	}
	res, err := w.client(with).Do(r)
	require.NoError(t, err, "%s %s", method, path)
	defer func() { _ = res.Body.Close() }()
	var read io.Reader = res.Body
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		read = io.LimitReader(read, 1) // it never ends; who was let in has seen enough
	}
	b, err := io.ReadAll(read)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

// addresses are how many a client without one of its own calls from in turn. Whoever is
// refused again and again is answered later and later, by its address.
const addresses = 60

// client is one for a certificate and an address, with its connections.
func (w *world) client(with presented) *http.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	if with.from == "" {
		w.sent++
		with.from = fmt.Sprintf("127.1.0.%d", 1+w.sent%addresses)
	}
	name := with.from
	if with.cert != nil {
		name += string(with.cert.Certificate[0])
	}
	if c, ok := w.clients[name]; ok {
		return c
	}
	config := &tls.Config{RootCAs: w.roots}
	if with.cert != nil {
		config.Certificates = []tls.Certificate{*with.cert}
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(with.from)}}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DialContext: dialer.DialContext, MaxIdleConnsPerHost: 2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w.clients[name] = c
	return c
}

// admin sends what must succeed.
func (w *world) admin(t *testing.T, method, path, body string) answer {
	t.Helper()
	a := w.send(t, bearer(w.issuer.token("root", claims{"roles": []string{"admin"}})), method, path, body)
	require.Less(t, a.status, 300, "%s %s: %s", method, path, a.body)
	return a
}
