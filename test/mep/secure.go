package mep

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
)

// Secured is a running mepserver with HTTPS, an authority whose client certificates it takes,
// and an issuer of tokens. Its own requests are anonymous; As, WithToken and
// WithCertificate are the same server, asked by somebody.
type Secured struct {
	*Server
	CA          *pki.Authority // of the server, and of clients
	Certificate pki.Pair       // the server's
	IssuerKey   string         // the file of the key that signs tokens
	host        string
}

// Credential is a client id with its secret.
type Credential struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// Secure starts a server on 127.0.0.2 until the test ends, and waits until it is ready. env
// are further settings.
func Secure(t testing.TB, env ...string) *Secured {
	t.Helper()
	return Options{Env: env}.Secure(t)
}

// Secure is Secure with Options. Listen and the settings that Secure makes need not be
// given.
func (o Options) Secure(t testing.TB) *Secured {
	t.Helper()
	o.Listen = cmp.Or(o.Listen, proc.FindFreeOn("127.0.0.2"))
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		t.Fatal(err)
	}
	s := &Secured{CA: pki.New(t), host: host}
	s.Certificate = s.CA.Server(host)
	s.IssuerKey = s.CA.Client("issuer").KeyFile
	o.Roots = s.CA.Pool
	if o.DataDir == "" && o.Endpoints == nil {
		o.DataDir = shortDir(t)
	}
	o.Env = append([]string{"MEP_SERVER_TLS_CERT_FILE=" + s.Certificate.CertFile, "MEP_SERVER_TLS_KEY_FILE=" + s.Certificate.KeyFile,
		"MEP_SERVER_TLS_CLIENT_CA_FILE=" + s.CA.File, "MEP_IDENTITY_CERTIFICATE_ENABLED=true",
		"MEP_IDENTITY_ISSUER_ENABLED=true", "MEP_IDENTITY_ISSUER_KEY_FILE=" + s.IssuerKey,
		"MEP_SERVER_ADMIN_SOCKET=" + filepath.Join(shortDir(t), "admin.sock")}, o.Env...)
	s.Server = o.Start(t)
	return s
}

// shortDir leaves room for the name of a socket, which may have no more than 107 bytes.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mep-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Renew writes a new certificate of the server in place of the one before, of its authority
// or of another.
func (s *Secured) Renew(ca *pki.Authority) {
	s.t.Helper()
	next := ca.Server(s.host)
	for from, to := range map[string]string{next.CertFile: s.Certificate.CertFile, next.KeyFile: s.Certificate.KeyFile} {
		if from == to {
			continue
		}
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.Certificate.TLS = next.TLS
}

// HTTPClient has connections of its own, trusts the server, and shows a certificate if one
// is given. It speaks HTTP/2 where the server does.
func (s *Server) HTTPClient(own ...tls.Certificate) *http.Client {
	return s.client(&http.Transport{MaxIdleConnsPerHost: 1024, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.Roots, Certificates: own}})
}

// WithCertificate is the server, asked by whoever has the certificate.
func (s *Server) WithCertificate(own pki.Pair) *Server {
	out := *s
	out.http = s.HTTPClient(own.TLS)
	return &out
}

// Apart is the server, asked by connections of its own: over HTTP/2 all of a client's requests
// share one.
func (s *Server) Apart() *Server {
	out := *s
	out.http = s.HTTPClient()
	return &out
}

// WithToken is the server, asked with a bearer token.
func (s *Server) WithToken(token string) *Server {
	out := *s
	out.bearer = func() (string, error) { return token, nil }
	return &out
}

// As is the server, asked by the client that has a credential; tokens are fetched as they are
// needed.
func (s *Server) As(c Credential) *Server {
	out := *s
	var mu sync.Mutex
	var token string
	var until time.Time
	out.bearer = func() (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(until) {
			return token, nil
		}
		next, lifetime, err := s.TryToken(c)
		if err == nil {
			token, until = next, time.Now().Add(lifetime/2)
		}
		return token, err
	}
	return &out
}

// Token fetches a token for a credential, which must succeed.
func (s *Server) Token(c Credential) string {
	s.t.Helper()
	token, _, err := s.TryToken(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// TryToken is Token where it may fail, with how long the token is valid.
func (s *Server) TryToken(c Credential) (token string, lifetime time.Duration, err error) {
	anonymous := *s
	anonymous.bearer = nil
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}}
	a, err := anonymous.Try(http.MethodPost, "/oauth2/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if err != nil {
		return "", 0, err
	}
	var got struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	if err := json.Unmarshal(a.Body, &got); a.Status != http.StatusOK || err != nil || got.Token == "" {
		return "", 0, fmt.Errorf("the token of %s was answered %d: %.300s", c.ID, a.Status, a.Body)
	}
	return got.Token, time.Duration(got.Expires) * time.Second, nil
}

// Add makes a credential with roles; without any, that of an application.
func (s *Secured) Add(id string, roles ...string) Credential {
	s.t.Helper()
	return s.add(map[string]any{"id": id, "roles": roles})
}

// AddHost makes a credential of an agent for applications, or prefixes of them that end in *.
func (s *Secured) AddHost(id string, apps ...string) Credential {
	s.t.Helper()
	return s.add(map[string]any{"id": id, "roles": []string{"host"}, "apps": apps})
}

func (s *Secured) add(credential map[string]any) (c Credential) {
	s.t.Helper()
	if roles, _ := credential["roles"].([]string); len(roles) == 0 {
		delete(credential, "roles")
	}
	body, err := json.Marshal(credential)
	if err != nil {
		s.t.Fatal(err)
	}
	a := s.Admin(http.MethodPost, "/mec_liveness/v1/credentials", string(body))
	if a.Status != http.StatusCreated {
		s.t.Fatalf("a credential was answered %d: %s", a.Status, a.Body)
	}
	a.Into(s.t, &c)
	return c
}

// Admin sends a request to the admin socket, which must be answered.
func (s *Server) Admin(method, path, body string) Answer {
	s.t.Helper()
	socket := filepath.Join(s.DataDir, "admin.sock")
	for _, e := range s.Env {
		if at, ok := strings.CutPrefix(e, "MEP_SERVER_ADMIN_SOCKET="); ok {
			socket = at
		}
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client(transport).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return Answer{res.StatusCode, res.Header, b}
}
