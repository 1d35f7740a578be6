package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at is At with a credential.
func at(base, caFile, credentialFile string) (*Server, error) {
	return At(Place{URL: base, CAFile: caFile, CredentialFile: credentialFile})
}

// ask asks a server for something; what is refused is an error.
func ask(t *testing.T, s *Server) error {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/what", nil)
	require.NoError(t, err)
	answer, err := s.Do(r)
	if err == nil && answer.Status != http.StatusOK {
		err = Refusal(answer.Status, answer.Body)
	}
	return err
}

// place writes a credential and the CA of a server.
func place(t *testing.T, s *httptest.Server, credential string) (ca, file string) {
	t.Helper()
	ca, file = filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "c.json")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(file, []byte(credential), 0o600))
	return ca, file
}

func TestAURLIsAskedWithATokenOfItsOwnCA(t *testing.T) {
	tokens := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		tokens++
		id, secret, _ := r.BasicAuth()
		if id != "admin" || secret != "a%2Fb" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"t0ken"}`)
	})
	mux.HandleFunc("/what", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, "{}")
	})
	s := httptest.NewTLSServer(mux)
	defer s.Close()
	ca, file := place(t, s, `{"id":"admin","secret":"a/b","roles":["admin"]}`)
	s1, err := at(s.URL, ca, file)
	require.NoError(t, err)
	for range 2 {
		err = ask(t, s1)
		require.NoError(t, err)
	}
	require.Equal(t, 1, tokens)

	s1, err = at(s.URL, "", file)
	require.NoError(t, err)
	err = ask(t, s1)
	require.ErrorContains(t, err, "--ca FILE", "the system's roots do not know it")
	s1, err = at(strings.Replace(s.URL, "127.0.0.1", "localhost", 1), ca, file)
	require.NoError(t, err)
	err = ask(t, s1)
	require.ErrorContains(t, err, "use a host that the certificate names")
	_, file = place(t, s, `{"id":"admin","secret":"wrong"}`)
	s1, err = at(s.URL, ca, file)
	require.NoError(t, err)
	err = ask(t, s1)
	require.ErrorContains(t, err, "does not know the credential")
	require.NotContains(t, err.Error(), "wrong.")
	s.Close()
	err = ask(t, s1)
	require.ErrorContains(t, err, "no server is reached")
	require.NotContains(t, err.Error(), "\n")
}

// A redirect of the token endpoint would carry the secret to whoever it names.
func TestNoRedirectIsFollowed(t *testing.T) {
	stolen := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	defer stolen.Close()
	s := httptest.NewTLSServer(http.RedirectHandler(stolen.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	ca, file := place(t, s, `{"id":"admin","secret":"s3cret"}`)
	s1, err := at(s.URL, ca, file)
	require.NoError(t, err)
	err = ask(t, s1)
	require.ErrorContains(t, err, "(307)")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestWrongFilesAndURLsAreSaidWithoutTheirContent(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	ca, file := place(t, s, `{"id":"admin","secret":"s3cret"}`)
	for _, u := range []string{"", "mep:30100", "http://mep.example.org", "http://10.0.0.5:30100", "https://user:pw@mep", "https://mep?x=1", "https://mep#x", "ftp://mep", "https://"} {
		_, err := at(u, ca, file)
		require.ErrorContains(t, err, "--url", u)
		require.NotContains(t, err.Error(), "pw")
	}
	for _, u := range []string{"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://mep/prefix"} {
		_, err := at(u, ca, file)
		require.NoError(t, err, u)
	}
	_, err := at(s.URL, file, file)
	require.ErrorContains(t, err, "holds no certificate")
	for _, text := range []string{"", "s3cret", `{"id":"admin"}`, `{"secret":"s3cret"}`, `["s3cret"]`} {
		_, bad := place(t, s, text)
		_, err := at(s.URL, ca, bad)
		require.ErrorContains(t, err, "must hold a credential")
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err = at(s.URL, ca, "/nonexistent")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWhoeverForgetsTheSOfHTTPSIsToldSo(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	_, file := place(t, s, `{"id":"admin","secret":"s3cret"}`)
	s1, err := at(strings.Replace(s.URL, "https", "http", 1), "", file)
	require.NoError(t, err)
	err = ask(t, s1)
	require.EqualError(t, err, "the server refused (400): Bad Request; does it speak TLS, so that --url must begin with https://?")
}

func TestOnlyWhatACredentialFileHoldsIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.False(t, HoldsCredential(path))
	for text, is := range map[string]bool{`{"id":"a","secret":"s"}`: true, "s3cret": false, `{"id":"a"}`: false, "": false} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.Equal(t, is, HoldsCredential(path), text)
	}
}

// proofs has a server that takes one token, and says who was asked for it how often.
func proofs(t *testing.T, expires int) (s *httptest.Server, tokens *int) {
	t.Helper()
	tokens = new(int)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		*tokens++
		id, secret, _ := r.BasicAuth()
		if id != "a" || secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","expires_in":%d}`, *tokens, expires)
	})
	mux.HandleFunc("/what", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", *tokens) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, tokens
}

func TestATokenIsAskedForAnewWhenItEndsOrIsRefused(t *testing.T) {
	s, tokens := proofs(t, 0)
	by, err := At(Place{URL: s.URL, ClientID: "a", Secret: "s3cret"})
	require.NoError(t, err)
	require.NoError(t, ask(t, by))
	require.NoError(t, ask(t, by))
	require.Equal(t, 1, *tokens)
	*tokens++ // it was ended at the server
	require.ErrorContains(t, ask(t, by), "(401)")
	require.NoError(t, ask(t, by))
	s, tokens = proofs(t, -1)
	by, err = At(Place{URL: s.URL, ClientID: "a", Secret: "s3cret"})
	require.NoError(t, err)
	by.Transport.(*bearer).until = time.Now()
	require.NoError(t, ask(t, by))
	by.Transport.(*bearer).until = time.Now()
	require.NoError(t, ask(t, by))
	require.Equal(t, 2, *tokens)
}

func TestATokenFileHoldsOneToken(t *testing.T) {
	s, _ := proofs(t, 0)
	file := filepath.Join(t.TempDir(), "token")
	for _, bad := range []string{"", "a b", "a\x1b"} {
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
		_, err := At(Place{URL: s.URL, TokenFile: file})
		require.ErrorContains(t, err, file+" must hold one")
	}
	require.NoError(t, os.WriteFile(file, []byte("t0\n"), 0o600))
	by, err := At(Place{URL: s.URL, TokenFile: file})
	require.NoError(t, err)
	require.NoError(t, ask(t, by))
	_, err = At(Place{URL: "http://10.0.0.5", TokenFile: file})
	require.ErrorContains(t, err, "https://")
	_, err = At(Place{URL: "http://10.0.0.5"})
	require.NoError(t, err, "where nothing is proved nothing is read by others")
	_, err = At(Place{URL: s.URL, ClientID: "a", Secret: "s", TokenURL: "http://10.0.0.5/t"})
	require.ErrorContains(t, err, "https://")
	_, err = At(Place{URL: s.URL, ClientID: "a"})
	require.ErrorContains(t, err, "no secret")
}

// What is wrong with the way says what to do.
func TestAWrongSchemeAndACertificateThatHasExpiredSayWhatToDo(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	s, err := At(Place{URL: strings.Replace(plain.URL, "http:", "https:", 1)})
	require.NoError(t, err)
	require.ErrorContains(t, ask(t, s), "--url must begin with http://")

	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, public, private)
	require.NoError(t, err)
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}, MinVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	s, err = At(Place{URL: old.URL, CAFile: ca})
	require.NoError(t, err)
	err = ask(t, s)
	require.ErrorContains(t, err, "mepserver init --renew")
	require.NotErrorIs(t, err, ErrUnreachable)
}
