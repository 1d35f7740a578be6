package e2e

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// newPlatform has mepserver init make a platform and starts its server.
func newPlatform(t *testing.T) (dir string, s *mep.Server) {
	t.Helper()
	base, err := os.MkdirTemp("", "mep-") // short, for the name of the socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	dir = filepath.Join(base, "mep")
	listen := proc.FindFreeOn("127.0.0.2")
	mepserver(t, 0, "init", "--host", "127.0.0.2", "--listen", listen, "--dir", dir)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	file := func(name string) string { return filepath.Join(dir, name) }
	return dir, mep.Options{Listen: listen, DataDir: file("data"), Roots: pool, Env: []string{"MEP_SERVER_TLS_CERT_FILE=" + file("server.pem"), "MEP_SERVER_TLS_KEY_FILE=" + file("server.key"),
		"MEP_IDENTITY_ISSUER_ENABLED=true", "MEP_IDENTITY_ISSUER_KEY_FILE=" + file("issuer.key"), "MEP_NOTIFY_SIGNING_KEY_FILE=" + file("webhook.key")}}.Start(t)
}

// mepserver runs a command of the program, which must end with that exit code, and returns
// what it printed.
func mepserver(t *testing.T, want int, args ...string) string {
	t.Helper()
	code, p := proc.Command{Program: mep.Binary(), Args: args}.Run(t, time.Minute)
	require.Equal(t, want, code, "%q: %s", args, p.Both)
	return p.Both.String()
}

// An administrator is at the machine, by the socket, or elsewhere, by the URL.
func TestCredentialsAreMadeAndEndedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	dir, s := newPlatform(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	bySocket := []string{"--data-dir", file("data")}
	byURL := []string{"--url", s.URL, "--ca", file("ca.pem"), "--credential-file", file("admin.json")}
	app := func(by []string, words ...string) []string { return append(append([]string{"app"}, words...), by...) }
	issued := func(args []string) (c mep.Credential) {
		require.NoError(t, json.Unmarshal([]byte(mepserver(t, 0, append(args, "-o", "json")...)), &c))
		return c
	}
	status := func(token string) int {
		return s.WithToken(token).Do(http.MethodGet, mep.Base+"/services", "").Status
	}
	secrets := []string{}
	for name, by := range map[string][]string{"at-the-machine": bySocket, "from-elsewhere": byURL} {
		c := issued(app(by, "add", name))
		token := s.Token(c)
		require.Equal(t, http.StatusOK, status(token))
		require.Contains(t, mepserver(t, 1, app(by, "add", name)...), "there is a credential of that id already")

		next := issued(app(by, "rotate", name))
		require.Equal(t, http.StatusOK, status(token), "nobody is interrupted")
		require.Equal(t, http.StatusOK, status(s.Token(c)), "the old secret is valid for a while")
		last := issued(app(by, "rotate", name, "--now"))
		for _, old := range []mep.Credential{c, next} {
			_, _, err := s.TryToken(old)
			require.ErrorContains(t, err, "invalid_client")
		}
		wait.Until(t, "its tokens have ended", func() bool { return status(token) == http.StatusUnauthorized })
		token = s.Token(last)
		require.Contains(t, mepserver(t, 0, app(by, "list")...), name+"  app ")
		require.Equal(t, "removed "+name+"\n", mepserver(t, 0, app(by, "remove", name)...))
		wait.Until(t, "it is nobody any more", func() bool { return status(token) == http.StatusUnauthorized })
		require.Contains(t, mepserver(t, 1, app(by, "remove", name)...), "there is no credential of that id")
		secrets = append(secrets, c.Secret, next.Secret, last.Secret, token)
	}

	// who is no administrator
	reader := issued(app(bySocket, "add", "reader", "--role", "reader"))
	b, err := json.Marshal(reader)
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "reader.json")
	require.NoError(t, os.WriteFile(other, b, 0o600))
	for _, words := range [][]string{{"add", "mine", "--role", "admin"}, {"list"}, {"rotate", "admin", "--now"}, {"remove", "admin"}} {
		require.Contains(t, mepserver(t, 1, app([]string{"--url", s.URL, "--ca", file("ca.pem"), "--credential-file", other}, words...)...), "the server refused (403)")
	}
	require.Contains(t, mepserver(t, 1, app([]string{"--url", s.URL, "--credential-file", other}, "list")...), "--ca FILE", "nobody skips the certificate")
	require.NotContains(t, mepserver(t, 0, app(byURL, "list")...), "mine")

	admin, err := os.ReadFile(file("admin.json"))
	require.NoError(t, err)
	var a mep.Credential
	require.NoError(t, json.Unmarshal(admin, &a))
	for _, secret := range append(secrets, reader.Secret, a.Secret) {
		require.False(t, strings.Contains(s.Log(), secret), "a secret is in the log")
	}
	s.Stop()
	require.Contains(t, mepserver(t, 0, app(bySocket, "list")...), "reader", "and with the server stopped the store itself is opened")
}
