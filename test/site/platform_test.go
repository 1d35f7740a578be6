package site

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/kong"
	"github.com/mec-liveness/mepserver/test/mepauth"
)

// The gateway as applications reach it.
const gateway = "https://" + primary + ":8443"

// platform is the pod with all its containers: Kong, mepauth, dns-server and our program.
type platform struct {
	*pod
	kong    *kong.Gateway
	mepauth *mepauth.Server
	dns     *dnsServer
}

// newPlatform starts the other containers, and makes the pod.
func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{pod: newPod(t, ""), dns: &dnsServer{names: map[string]bool{}}}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(p.certs, "server.cer"), filepath.Join(p.certs, "tls.key"))
	require.NoError(t, err)
	p.mepauth = mepauth.Start(t, certificate)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(p.mepauth.URL, "https://"))
	require.NoError(t, err)
	p.set("MEPAUTH_PORT_10443_TCP_ADDR="+host, "MEPAUTH_SERVICE_PORT="+port)
	p.kong = kong.New(kong.Options{Claims: p.mepauth.Claims, Transport: p.http.Transport})
	listen(t, "127.0.0.1:8444", p.kong.Admin(), certificate)
	listen(t, "0.0.0.0:8443", p.kong.Proxy(), certificate)
	listen(t, "127.0.0.1:8080", p.dns)
	p.setUpKong()
	return p
}

// setUpKong makes the entries that mepauth makes when it starts.
func (p *platform) setUpKong() {
	p.kong.SetUpPlatform(around, p.mepauth.URL, around+"/mep/service_govern/v1/kong_log")
}

// listen serves until the test ends; with a certificate by HTTPS.
func listen(t *testing.T, address string, h http.Handler, certificate ...tls.Certificate) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener, s.Config.ErrorLog = l, log.New(io.Discard, "", 0)
	if len(certificate) > 0 {
		s.TLS = &tls.Config{Certificates: certificate, MinVersion: tls.VersionTLS12}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
}

// bearer is the token that mepauth gives an application of this machine.
func (p *platform) bearer(app string) []string {
	return []string{"Authorization", "Bearer " + p.mepauth.Token(app, primary)}
}

// dnsServer stands in for EdgeGallery's dns-server: the names that it has records of.
type dnsServer struct {
	mu    sync.Mutex
	names map[string]bool
}

// ServeHTTP implements http.Handler.
func (d *dnsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := strings.TrimPrefix(r.URL.Path, "/mep/dns_server_mgmt/v1/rrecord")
	var record struct{ Name string }
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &record)
	name, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case r.Method == http.MethodPost && !d.names[record.Name]:
		d.names[record.Name] = true
	case r.Method == http.MethodPut && d.names[name]:
	case r.Method == http.MethodDelete && d.names[name]:
		delete(d.names, name)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (d *dnsServer) has(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[name]
}

// into reads the body of an answer.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), v), "%s", a.body)
}
