package keys

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// provider is an HTTPS server on loopback, and the file of the CA that signs for it.
func provider(t *testing.T, mux map[string]http.HandlerFunc) (url, caFile string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := mux[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = nil
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	return srv.URL, caFile
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// fetchOnce gives the reason of a failure.
func fetchOnce(t *testing.T, s *Source) (*Set, string) {
	t.Helper()
	why := ""
	s.Changed = func(err error) {
		if err != nil {
			why = err.Error()
		}
	}
	s.Load(t.Context())
	return s.Current(), why
}

func TestKeysComeFromAJWKSAndFromWhereDiscoveryPoints(t *testing.T) {
	good := string(jwks(t, jose.JSONWebKey{Key: newEC(t).Public(), KeyID: "a"}))
	pages := map[string]http.HandlerFunc{"/keys": says(good)}
	url, ca := provider(t, pages)
	pages["/realm/.well-known/openid-configuration"] = says(fmt.Sprintf(`{"issuer":"https://issuer","jwks_uri":%q}`, url+"/keys"))
	set, why := fetchOnce(t, FromJWKS(url+"/keys", ca))
	require.Empty(t, why)
	require.Len(t, set.Find("a", jose.ES256), 1)
	for _, at := range []string{url + "/realm", url + "/realm/"} {
		set, why = fetchOnce(t, FromDiscovery(at, "https://issuer", ca))
		require.Empty(t, why)
		require.Equal(t, 1, set.Len())
	}
}

func TestAnythingElseThanKeysFromTheRightServerIsRefused(t *testing.T) {
	good := string(jwks(t, jose.JSONWebKey{Key: newEC(t).Public(), KeyID: "a"}))
	var followed atomic.Int64
	pages := map[string]http.HandlerFunc{
		"/keys":  says(good),
		"/error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = w.Write([]byte(good)) },
		"/moved": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/followed", http.StatusFound) },
		"/followed": func(w http.ResponseWriter, r *http.Request) {
			followed.Add(1)
			says(good)(w, r)
		},
		"/large":                               says(good + strings.Repeat(" ", maxDocument)),
		"/html":                                says("<html>"),
		"/pem":                                 says(string(pemOf(t, newEC(t).Public()))),
		"/d/.well-known/openid-configuration":  says(`{"issuer":"https://other","jwks_uri":"https://x/"}`),
		"/in/.well-known/openid-configuration": says(`{"issuer":"https://issuer","jwks_uri":"http://127.0.0.1:1/"}`),
		"/f/.well-known/openid-configuration":  says(`{"issuer":"https://issuer","jwks_uri":"file:///etc/passwd"}`),
		"/t/.well-known/openid-configuration":  says(`{"issuer":"https://issuer","issuer":"https://issuer","jwks_uri":"https://x/"}`),
	}
	url, ca := provider(t, pages)
	_, otherCA := provider(t, nil)
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		source *Source
		why    string
	}{
		{FromJWKS(url+"/error", ca), "answered 500"},
		{FromJWKS(url+"/moved", ca), "answered 302"},
		{FromJWKS(url+"/large", ca), "larger than 1 MiB"},
		{FromJWKS(url+"/html", ca), "is no JSON Web Key Set"},
		{FromJWKS(url+"/pem", ca), "is no JSON Web Key Set"},
		{FromJWKS(url+"/keys", ""), "unknown authority"},
		{FromJWKS(url+"/keys", none), "caFile: cannot be read"},
		{FromJWKS(strings.Replace(url, "https", "http", 1)+"/keys", ca), "answered 400"},
		{FromDiscovery(url+"/d", "https://issuer", ca), "is not identity.jwt.issuer"},
		{FromDiscovery(url+"/in", "https://issuer", ca), "is no https URL"},
		{FromDiscovery(url+"/f", "https://issuer", ca), "is no https URL"},
		{FromDiscovery(url+"/t", "https://issuer", ca), "is no OpenID provider's"},
		{FromDiscovery(url+"/none", "https://issuer", ca), "answered 404"},
	} {
		set, why := fetchOnce(t, c.source)
		require.Nil(t, set)
		require.Contains(t, why, c.why)
	}
	require.NotEqual(t, ca, otherCA)
	require.Zero(t, followed.Load(), "no redirect is followed")
}

func TestAKeyFileIsReadAgainWhenItHasChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, pemOf(t, newEC(t).Public()), 0o600))
	s := FromFile(path)
	s.Load(t.Context())
	first := s.Current()
	require.Equal(t, 1, first.Len())
	require.Nil(t, s.Renew(t.Context(), first))

	next := path + ".new"
	require.NoError(t, os.WriteFile(next, jwks(t, jose.JSONWebKey{Key: newEC(t).Public(), KeyID: "a"}), 0o600))
	require.NoError(t, os.Rename(next, path))
	s.Load(t.Context())
	second := s.Current()
	require.Len(t, second.Find("a", jose.ES256), 1)

	require.NoError(t, os.WriteFile(path, []byte("broken"), 0o600))
	_, why := fetchOnce(t, s)
	require.Contains(t, why, "neither a JSON Web Key Set nor PEM")
	require.Same(t, second, s.Current())
	require.NoError(t, os.Remove(path))
	s.Load(t.Context())
	require.Same(t, second, s.Current())

	require.NoError(t, os.WriteFile(path, make([]byte, maxDocument+1), 0o600))
	_, err := Read(path)
	require.ErrorContains(t, err, "larger than 1 MiB")
}
