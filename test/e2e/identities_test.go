package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// tokenOf makes a token of an issuer that is valid for a minute.
func tokenOf(k *pki.TokenKey, app string, more ...string) string {
	claims := map[string]any{"iss": "https://issuer", "aud": "mep", "sub": app, "exp": time.Now().Add(time.Minute).Unix()}
	for i := 0; i+1 < len(more); i += 2 {
		claims[more[i]] = more[i+1]
	}
	return k.Token(claims)
}

// byToken are the settings of a server that takes such tokens.
func byToken(more ...string) []string {
	return append([]string{"MEP_IDENTITY_JWT_ISSUER=https://issuer", "MEP_IDENTITY_JWT_AUDIENCE=mep", "MEP_AUDIT_FILE=/dev/null"}, more...)
}

// keyServer publishes keys over HTTPS, and counts who asks.
type keyServer struct {
	mu   sync.Mutex
	body []byte
	asks atomic.Int64
	URL  string
}

func newKeyServer(t *testing.T, authority *pki.Authority, keys ...*pki.TokenKey) *keyServer {
	k := &keyServer{}
	k.publish(t, keys...)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.asks.Add(1)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.body == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(k.body)
	}))
	srv.TLS = serverTLS(authority)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	k.URL = srv.URL + "/keys"
	return k
}

// publish replaces the keys; none: the server fails.
func (k *keyServer) publish(t *testing.T, keys ...*pki.TokenKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.body = nil
	if len(keys) > 0 {
		k.body = pki.JWKS(t, keys...)
	}
}

// Heartbeats of five applications go on while the issuer changes its key again and again,
// with each source of keys. What the platform knows goes on when the source is down.
func TestAnIssuersKeysAreRotatedWithoutAFailedHeartbeat(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	replace := func(t *testing.T, content []byte) {
		require.NoError(t, os.WriteFile(file+".new", content, 0o600))
		require.NoError(t, os.Rename(file+".new", file))
	}
	first := pki.NewTokenKey(t, "key-0")
	authority := pki.New(t)
	remote := newKeyServer(t, authority, first)
	replace(t, pki.JWKS(t, first))
	for name, source := range map[string]struct {
		env     []string
		publish func(t *testing.T, keys ...*pki.TokenKey)
	}{
		"file": {[]string{"MEP_IDENTITY_JWT_KEY_FILE=" + file}, func(t *testing.T, keys ...*pki.TokenKey) { replace(t, pki.JWKS(t, keys...)) }},
		"URL":  {[]string{"MEP_IDENTITY_JWT_JWKS_URL=" + remote.URL, "MEP_IDENTITY_JWT_CA_FILE=" + authority.File}, remote.publish},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mep.Start(t, byToken(source.env...)...)
			var key atomic.Pointer[pki.TokenKey]
			key.Store(first)
			var beats atomic.Int64
			var running sync.WaitGroup
			ended := make(chan struct{})
			for _, app := range []string{"app-1", "app-2", "app-3", "app-4", "app-5"} {
				service := s.WithToken(tokenOf(first, app)).Register(app, "svc", 5)
				running.Go(func() {
					for {
						select {
						case <-ended:
							return
						case <-time.After(5 * time.Millisecond):
						}
						if status := s.WithToken(tokenOf(key.Load(), app)).Beat(app, service.ID); status != http.StatusNoContent {
							t.Errorf("a heartbeat of %s was answered %d", app, status)
							return
						}
						beats.Add(1)
					}
				})
			}
			old := first
			for _, id := range []string{"key-1", "key-2", "key-3"} {
				next := pki.NewTokenKey(t, id)
				source.publish(t, old, next)
				key.Store(next)
				old = next
				before := beats.Load()
				wait.Until(t, "twenty beats more", func() bool { return t.Failed() || beats.Load() > before+20 })
			}
			close(ended)
			running.Wait()
			t.Logf("%d heartbeats, each with a token of its own", beats.Load())
		})
	}
}

func TestTheSourceOfKeysMayBeDownAndIsNotAttackedByMadeUpKeys(t *testing.T) {
	t.Parallel()
	authority, key := pki.New(t), pki.NewTokenKey(t, "a")
	remote := newKeyServer(t, authority)
	s := mep.Start(t, byToken("MEP_IDENTITY_JWT_JWKS_URL="+remote.URL, "MEP_IDENTITY_JWT_CA_FILE="+authority.File)...)
	app := s.WithToken(tokenOf(key, "app"))
	a := app.Want(http.StatusServiceUnavailable, http.MethodGet, mep.ServicesOf("app"), "")
	require.NotEmpty(t, a.Header.Get("Retry-After"), "the token may be right: nobody has had the keys yet")
	s.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "")
	s.Want(http.StatusOK, http.MethodGet, "/health", "")

	remote.publish(t, key)
	wait.Until(t, "the keys are had", func() bool { return app.Do(http.MethodGet, mep.ServicesOf("app"), "").Status == http.StatusOK })
	service := app.Register("app", "svc", 5)
	asked := remote.asks.Load()
	for range 100 {
		s.WithToken(tokenOf(pki.NewTokenKey(t, "made-up-"+time.Now().String()), "app")).Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "")
	}
	require.LessOrEqual(t, remote.asks.Load()-asked, int64(2), "a hundred made-up keys")

	remote.publish(t)
	service.Beat()
	reader := s.WithToken(tokenOf(key, "watcher", "roles", "reader"))
	age, ok := reader.TryMetric("mep_identity_keys_age_seconds")
	require.True(t, ok)
	wait.Until(t, "the metric says how old the keys are", func() bool {
		now, _ := reader.TryMetric("mep_identity_keys_age_seconds")
		return now > age
	})
	require.GreaterOrEqual(t, reader.Metric(`mep_identity_refused_total{reason="unknown_key"}`), 100)
	require.NotContains(t, s.Log(), "made-up", "nothing of a token stands in the log")
}

// From its network the proxy says which application calls; from anywhere else its header is
// removed. With TLS it needs its certificate, too, for applications call from its network.
func TestAProxyIsBelievedAndNobodyElse(t *testing.T) {
	t.Parallel()
	const header = "X-App-Instance-Id"
	env := []string{"MEP_IDENTITY_PROXY_HEADER=" + header, "MEP_AUDIT_FILE=/dev/null"}
	plain := mep.Start(t, append(env, "MEP_IDENTITY_PROXY_FROM=127.0.0.0/8")...)
	plain.Want(http.StatusOK, http.MethodGet, mep.ServicesOf("app"), "", header, "app")
	plain.Want(http.StatusForbidden, http.MethodGet, mep.ServicesOf("other"), "", header, "app")
	plain.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "", header, "../app")
	plain.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "")
	elsewhere := mep.Start(t, append(env, "MEP_IDENTITY_PROXY_FROM=10.0.0.0/8")...)
	elsewhere.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "", header, "app")

	secured := mep.Secure(t, append(env, "MEP_IDENTITY_PROXY_FROM=127.0.0.0/8", "MEP_IDENTITY_PROXY_SAN=proxy.example")...)
	proxy := secured.WithCertificate(secured.CA.Client("proxy", naming("", "proxy.example")))
	proxy.Want(http.StatusOK, http.MethodGet, mep.ServicesOf("app"), "", header, "app")
	proxy.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "")
	own := secured.WithCertificate(secured.CA.Client("app", naming("urn:mec:app:mine")))
	own.Want(http.StatusForbidden, http.MethodGet, mep.ServicesOf("app"), "", header, "app")
	own.Want(http.StatusOK, http.MethodGet, mep.ServicesOf("mine"), "", header, "app")
	secured.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("app"), "", header, "app")
	both := proxy.WithToken(secured.Token(secured.Add("other")))
	both.Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("other"), "", header, "app")
	both.Want(http.StatusOK, http.MethodGet, mep.ServicesOf("other"), "", header, "other")
}

// An OpenID provider that nobody here wrote issues the tokens: zitadel/oidc's example server.
func TestTokensOfARealOpenIDProviderAreTaken(t *testing.T) {
	tier.Long(t, "test/e2e", "builds a program in a module of its own")
	t.Parallel()
	at := proc.Free(t)
	provider := proc.Command{Program: built.Module(t, "test/e2e/oidc", "."), Args: []string{at}}.Start(t)
	issuer := "http://" + at
	wait.Until(t, "the provider serves", func() bool {
		res, err := http.Get(issuer + "/.well-known/openid-configuration")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	token := func() string {
		res, err := http.PostForm(issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}, "client_id": {"sid1"}, "client_secret": {"verysecret"}})
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		var got struct {
			Token string `json:"access_token"`
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&got))
		require.Equal(t, 2, strings.Count(got.Token, "."), "a JWT")
		return got.Token
	}
	settings := []string{"MEP_IDENTITY_JWT_DISCOVERY_URL=" + issuer, "MEP_IDENTITY_JWT_ISSUER=" + issuer, "MEP_AUDIT_FILE=/dev/null"}
	s := mep.Start(t, append(settings, "MEP_IDENTITY_JWT_AUDIENCE=sid1")...)
	first := token()
	service := s.WithToken(first).Register("sid1", "svc", 5)
	service.Beat()
	s.WithToken(first).Want(http.StatusForbidden, http.MethodGet, mep.ServicesOf("another"), "")
	s.WithToken(first+"A").Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("sid1"), "")

	res, err := http.Post(issuer+"/rotate", "", nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	second := token()
	s.WithToken(second).Want(http.StatusOK, http.MethodGet, mep.ServicesOf("sid1"), "")
	service.Beat()

	otherAudience := mep.Start(t, append(settings, "MEP_IDENTITY_JWT_AUDIENCE=another")...)
	otherAudience.WithToken(second).Want(http.StatusUnauthorized, http.MethodGet, mep.ServicesOf("sid1"), "")
	provider.Kill()
	service.Beat()
	s.WithToken(second).Want(http.StatusOK, http.MethodGet, mep.ServicesOf("sid1"), "")
}

func serverTLS(authority *pki.Authority) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{authority.Server("127.0.0.1").TLS}}
}

// naming has a certificate name a URI, if it is one, and DNS names.
func naming(uri string, dns ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		if u, err := url.Parse(uri); err == nil && uri != "" {
			c.URIs = append(c.URIs, u)
		}
		c.DNSNames = append(c.DNSNames, dns...)
	}
}
