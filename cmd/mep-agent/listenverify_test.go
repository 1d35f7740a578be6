package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/pki"
)

// platformKey is what a platform signs by.
type platformKey struct{ ed25519.PrivateKey }

func newPlatformKey(seed string) platformKey {
	return platformKey{ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, ed25519.SeedSize)))}
}

func (k platformKey) text() string {
	return "whpk_" + base64.StdEncoding.EncodeToString(k.PrivateKey[ed25519.SeedSize:])
}

// headers are those of a notification, for post.
func (k platformKey) headers(id string, at time.Time, body string) []string {
	timestamp := fmt.Sprint(at.Unix())
	return []string{"webhook-id", id, "webhook-timestamp", timestamp, "webhook-signature",
		"v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(k.PrivateKey, []byte(id+"."+timestamp+"."+body)))}
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

const hello = `{"notificationType":"Hello"}`

func TestWhatThePlatformHasNotSignedIsRefusedAndSaid(t *testing.T) {
	k, stranger := newPlatformKey("a"), newPlatformKey("b")
	file := filepath.Join(t.TempDir(), "keys")
	published := `{"keys":["` + k.text() + `"]}`
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == mp1.WebhookKeysPath || r.URL.Path == "/mep"+mp1.WebhookKeysPath {
			_, _ = io.WriteString(w, published)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer platform.Close()
	for name, content := range map[string]string{"one": k.text(), "two": newPlatformKey("d").text() + "\n" + k.text() + "\n", "published": published,
		"pem": pemOf(t, newPlatformKey("d").Public()) + pemOf(t, k.Public())} {
		require.NoError(t, os.WriteFile(file+name, []byte(content), 0o600))
	}
	for _, verify := range []string{k.text(), newPlatformKey("c").text() + "," + k.text(), file + "one", file + "two", file + "published", file + "pem",
		platform.URL, platform.URL + "/", platform.URL + "/mep", platform.URL + mp1.WebhookKeysPath} {
		keys, says, err := keySource(listenOptions{verify: verify})
		require.NoError(t, err, verify)
		require.NotContains(t, says, "exchange", "loopback is safe")
		var out bytes.Buffer
		p := &printer{out: &out, now: at, verifier: client.NewVerifier(keys)}
		refused := func(why string, body string, header ...string) {
			t.Helper()
			out.Reset()
			require.Equal(t, 403, post(p, body, header...).Code)
			require.Regexp(t, `^03:04:05.006 REFUSED `+why+` webhook-id=\S+\n$`, out.String())
		}
		now := time.Now()
		genuine := k.headers("s-1", now, hello)
		refused("it has no webhook-signature", hello, "webhook-id", "x\x1b[2J")
		refused("no signature is by a key of the platform", hello, stranger.headers("s-1", now, hello)...)
		refused("no signature is by a key of the platform", `{"notificationType":"Other"}`, genuine...)
		refused("no signature is by a key of the platform", hello, append([]string{"webhook-id", "s-2"}, genuine[2:]...)...)
		refused("its time is more than 5m0s from ours", hello, k.headers("s-3", now.Add(-6*time.Minute), hello)...)
		out.Reset()
		require.Equal(t, 204, post(p, hello, genuine...).Code)
		require.Contains(t, out.String(), "Hello")
		refused("it was received before", hello, genuine...)
		out.Reset()
		require.Equal(t, 204, post(p, hello, k.headers("s-1", now.Add(time.Second), hello)...).Code, "the platform sends it again")
		require.Contains(t, out.String(), "Hello")
	}
	platform.Close()
	keys, says, err := keySource(listenOptions{verify: strings.Replace(platform.URL, "127.0.0.1", "mep.invalid", 1)})
	require.NoError(t, err, "it may be started later")
	require.Contains(t, says, "without TLS: whoever is on the way can exchange them")
	var out bytes.Buffer
	require.Equal(t, 503, post(&printer{out: &out, now: at, verifier: client.NewVerifier(keys)}, hello, k.headers("s-1", time.Now(), hello)...).Code)
	require.Contains(t, out.String(), "REFUSED the keys could not be read: ")
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

func TestKeysThatAreNoneAreSaidAtOnce(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	large := filepath.Join(dir, "large")
	require.NoError(t, os.WriteFile(large, make([]byte, maxKeysFile+1), 0o600))
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, text := range map[string]string{"private": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cut": "-----BEGIN PUBLIC KEY-----\nAAAA", "p256": pemOf(t, curve.Public())} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	k := newPlatformKey("a").text()
	for line, want := range map[string]string{
		"--verify whpk_x":                             "must be whpk_ and the Base64 of 32 bytes",
		"--verify " + k + ",":                         "must be whpk_",
		"--verify " + filepath.Join(dir, "none"):      "no such file",
		"--verify " + empty:                           "there is no webhook key",
		"--verify " + large:                           "larger than",
		"--verify " + filepath.Join(dir, "private"):   "must hold public keys",
		"--verify " + filepath.Join(dir, "cut"):       "there is no webhook key",
		"--verify " + filepath.Join(dir, "p256"):      "not Ed25519",
		"--verify " + dir:                             "is a directory",
		"--verify https://user@host":                  "must not have user",
		"--verify=":                                   "--verify must name",
		"--verify https://host --ca " + empty:         "no PEM certificate",
		"--verify http://host --ca " + empty:          "--ca is for an https URL",
		"--ca " + empty:                               "--ca is for an https URL",
		"--cert " + empty:                             "--cert and --key go together",
		"--client-ca " + empty:                        "--client-ca needs --cert and --key",
		"--cert " + empty + " --key " + empty:         "--cert and --key: ",
		"--verify " + k + " --verify-signatures true": "flag provided but not defined",
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(t.Context(), append([]string{"listen", "127.0.0.1:0"}, strings.Fields(line)...), nil, &out, &errs), line)
		require.Equal(t, 1, strings.Count(errs.String(), "\n"), line)
		require.Contains(t, errs.String(), want, line)
		require.Empty(t, out.String(), line)
	}
}

// The certificate may be replaced at any time; a platform without a certificate, or with one
// of another authority, is told nothing and printed.
func TestListenServesHTTPSAndWantsThePlatformsCertificate(t *testing.T) {
	ca, other := pki.New(t), pki.New(t)
	server, platform := ca.Server("127.0.0.1"), ca.Client("platform")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, errs lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"listen", ":0", "--cert", server.CertFile, "--key", server.KeyFile, "--client-ca", ca.File}, nil, &out, &errs)
	}()
	var url string
	require.Eventually(t, func() bool {
		url = regexp.MustCompile(`https://\S+/`).FindString(out.String())
		return url != ""
	}, time.Minute, time.Millisecond, "%s", &errs)
	var shown atomic.Value
	send := func(change func(*tls.Config)) (int, error) {
		c := &tls.Config{RootCAs: ca.Pool, MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{platform.TLS}}
		change(c)
		h := &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
		resp, err := h.Post(url, "application/json", strings.NewReader(hello))
		if err != nil {
			return 0, err
		}
		shown.Store(resp.TLS.PeerCertificates[0].SerialNumber.String())
		return resp.StatusCode, resp.Body.Close()
	}
	status, err := send(func(*tls.Config) {})
	require.NoError(t, err)
	require.Equal(t, 204, status)
	first := shown.Load()
	for _, change := range []func(*tls.Config){
		func(c *tls.Config) { c.Certificates = nil },
		func(c *tls.Config) { c.Certificates = []tls.Certificate{other.Client("platform").TLS} },
		func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
	} {
		_, err := send(change)
		require.Error(t, err)
	}
	require.Eventually(t, func() bool { return strings.Count(out.String(), "REFUSED") == 3 }, time.Minute, time.Millisecond, "%s", &out)
	renewed := ca.Server("127.0.0.1")
	require.Equal(t, server.CertFile, renewed.CertFile)
	status, err = send(func(*tls.Config) {})
	require.NoError(t, err)
	require.Equal(t, 204, status)
	require.NotEqual(t, first, shown.Load(), "the one that is there now")
	require.Equal(t, 2, strings.Count(out.String(), "Hello"))
	stop()
	require.Equal(t, 0, <-ended)
}
