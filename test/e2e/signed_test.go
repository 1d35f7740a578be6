package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
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
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	sdk "github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// writeSigningKeys replaces a file as an operator should: it is never there in part.
func writeSigningKeys(t *testing.T, file string, keys ...ed25519.PrivateKey) {
	t.Helper()
	var text []byte
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		require.NoError(t, err)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	require.NoError(t, os.WriteFile(file+".new", text, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

func newSigningKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return k
}

func whpk(k ed25519.PrivateKey) string {
	return "whpk_" + base64.StdEncoding.EncodeToString(k[ed25519.SeedSize:])
}

// keyed is a consumer of the SDK that verifies, and keeps every request as it came.
type keyed struct {
	url      string
	mu       sync.Mutex
	told     []string
	requests []*http.Request
	bodies   [][]byte
}

func startKeyed(t *testing.T, keys sdk.KeySource) *keyed {
	t.Helper()
	k := &keyed{}
	n := sdk.NewNotifications(func(_ context.Context, n mp1.Notification) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, r := range n.ServiceReferences {
			k.told = append(k.told, r.SerName+" "+string(r.ChangeType))
		}
		return nil
	}, sdk.VerifiedBy(sdk.NewVerifier(keys)))
	k.url = consumer.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		out := httptest.NewRecorder()
		k.mu.Lock() // before it counts as told
		k.requests, k.bodies = append(k.requests, r), append(k.bodies, body)
		k.mu.Unlock()
		n.ServeHTTP(out, r)
		w.WriteHeader(out.Code)
	}))
	return k
}

func (k *keyed) count() int { k.mu.Lock(); defer k.mu.Unlock(); return len(k.told) }

// send sends the request number i again, with another body and other headers if they are given.
func (k *keyed) send(t *testing.T, i int, body []byte, header ...string) int {
	t.Helper()
	k.mu.Lock()
	h := k.requests[i].Header.Clone()
	if body == nil {
		body = k.bodies[i]
	}
	k.mu.Unlock()
	r, err := http.NewRequest(http.MethodPost, k.url, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header = h
	for j := 0; j+1 < len(header); j += 2 {
		r.Header.Set(header[j], header[j+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// A consumer of the SDK takes what the platform signed and nothing else, without any setting
// on either side.
func TestAConsumerTakesOnlyWhatThePlatformSigned(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	k := startKeyed(t, newClient(t, s).WebhookKeys)
	s.Subscribe("watcher", k.url, "")
	s.Register("app", "face", 60)
	wait.Until(t, "told", func() bool { return k.count() == 1 })
	id := k.requests[0].Header.Get("webhook-id")
	stranger := newSigningKey(t)
	timestamp := fmt.Sprint(time.Now().Unix())
	sign := func(by ed25519.PrivateKey, content string) string {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(by, []byte(content)))
	}
	require.Equal(t, 403, k.send(t, 0, nil), "sent again as it was recorded")
	require.Equal(t, 403, k.send(t, 0, bytes.Replace(k.bodies[0], []byte("ADDED"), []byte("REMOVED"), 1)))
	require.Equal(t, 403, k.send(t, 0, nil, "webhook-id", id+"0"))
	require.Equal(t, 403, k.send(t, 0, nil, "webhook-timestamp", timestamp+"0"))
	require.Equal(t, 403, k.send(t, 0, nil, "webhook-signature", ""))
	require.Equal(t, 403, k.send(t, 0, nil, "webhook-signature", sign(stranger, id+"."+timestamp+"."+string(k.bodies[0])), "webhook-timestamp", timestamp))
	require.Equal(t, []string{"face ADDED"}, k.told)

	before := s.Want(200, "GET", mp1.WebhookKeysPath, "").Body
	s.Kill()
	s.Restart()
	require.Equal(t, before, s.Want(200, "GET", "/mep"+mp1.WebhookKeysPath, "").Body, "the key outlives restarts")
	is, err := os.Stat(filepath.Join(s.DataDir, "webhook-key.pem"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), is.Mode())
	s.Want(405, "POST", mp1.WebhookKeysPath, "{}")
}

// The key is exchanged while services change: each change is told once, by whatever keys the
// consumer knows at the moment.
func TestAnExchangeOfTheSigningKeyLosesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.pem")
	old, next := newSigningKey(t), newSigningKey(t)
	writeSigningKeys(t, file, old)
	s := mep.Start(t, "MEP_NOTIFY_SIGNING_KEY_FILE="+file)
	fetching := startKeyed(t, newClient(t, s).WebhookKeys)
	known, err := sdk.FixedKeys(whpk(old), whpk(next))
	require.NoError(t, err)
	pinned := startKeyed(t, known)
	s.Subscribe("watcher", fetching.url, "")
	s.Subscribe("watcher", pinned.url, "")
	published := func() string { return strings.TrimSpace(string(s.Want(200, "GET", mp1.WebhookKeysPath, "").Body)) }
	n := 0
	change := func() {
		t.Helper()
		s.Register("app", fmt.Sprint("s", n), 60)
		n++
		wait.Until(t, "both are told", func() bool { return fetching.count() == n && pinned.count() == n })
	}
	change()
	writeSigningKeys(t, file, next, old)
	wait.Until(t, "both keys sign", func() bool { return published() == `{"keys":["`+whpk(next)+`","`+whpk(old)+`"]}` })
	change()
	require.NoError(t, os.WriteFile(file, []byte("-----BEGIN PRIVATE KEY-----\n"), 0o600))
	change() // a file that is written at this moment changes nothing
	writeSigningKeys(t, file, next)
	wait.Until(t, "only the new key signs", func() bool { return published() == `{"keys":["`+whpk(next)+`"]}` })
	change()
	require.Len(t, strings.Split(pinned.requests[len(pinned.requests)-1].Header.Get("webhook-signature"), " "), 1)
	require.NotContains(t, s.Log(), "BEGIN")
}

// startListener runs mep-agent listen, and returns its process and the callback.
func startListener(t *testing.T, args ...string) (*proc.Process, string) {
	t.Helper()
	p := proc.Command{Program: mep.AgentBinary(t), Args: append([]string{"listen", "127.0.0.1:0"}, args...)}.Start(t)
	url := regexp.MustCompile(`https?://\S+/`).FindString(p.FirstLine(time.Minute))
	require.NotEmpty(t, url, "%s", p.Stderr)
	return p, url
}

// Callbacks over HTTPS: the platform presents its certificate, trusts the consumer's
// authority and nobody else, and all of it may be replaced at any time.
func TestCallbacksOverHTTPSProveWhoBothAre(t *testing.T) {
	t.Parallel()
	authority, other := pki.New(t), pki.New(t)
	us, it := authority.Client("platform"), authority.Server("127.0.0.1")
	s := mep.Start(t, "MEP_NOTIFY_CA_FILE="+authority.File, "MEP_NOTIFY_CERT_FILE="+us.CertFile, "MEP_NOTIFY_KEY_FILE="+us.KeyFile)
	p, url := startListener(t, "--verify", s.URL, "--cert", it.CertFile, "--key", it.KeyFile, "--client-ca", authority.File)
	foreign := other.Server("127.0.0.1")
	q, untrusted := startListener(t, "--cert", foreign.CertFile, "--key", foreign.KeyFile)
	s.Subscribe("watcher", untrusted+"cb", "")
	s.Subscribe("watcher", url+"cb", "")
	s.Register("app", "one", 60)
	wait.Until(t, "told", func() bool { return strings.Contains(p.Stdout.String(), " one ") })
	wait.Until(t, "refused", func() bool { return s.Metric(`mep_notification_posts_total{outcome="untrusted"}`) > 0 })
	authority.Client("platform")
	authority.Server("127.0.0.1")
	s.Register("app", "two", 60)
	wait.Until(t, "told by the new certificates", func() bool { return strings.Contains(p.Stdout.String(), " two ") })
	require.NotContains(t, p.Stdout.String(), "REFUSED")
	require.NotContains(t, q.Stdout.String(), "serInstanceId")
}

// A consumer needs no identity at the platform to verify what it is told. It trusts keys only
// that come from the platform whose authority it knows.
func TestAConsumerWithoutAnIdentityVerifiesASecurePlatform(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	require.Contains(t, string(s.Want(200, "GET", mp1.WebhookKeysPath, "").Body), `{"keys":["whpk_`)
	s.Want(200, "GET", "/mep"+mp1.WebhookKeysPath, "")
	good, url := startListener(t, "--verify", s.URL, "--ca", s.CA.File)
	doubting, doubts := startListener(t, "--verify", s.URL, "--ca", pki.New(t).File)
	watcher := s.As(s.Add("watcher"))
	watcher.Subscribe("watcher", url, "")
	watcher.Subscribe("watcher", doubts, "")
	s.As(s.Add("app")).Register("app", "face", 60)
	wait.Until(t, "told", func() bool { return strings.Contains(good.Stdout.String(), " face ") })
	wait.Until(t, "refused", func() bool {
		return strings.Contains(doubting.Stdout.String(), "REFUSED the keys could not be read: ")
	})
	require.NotContains(t, doubting.Stdout.String(), " face ", "keys of anybody are no keys")
	answer, err := http.Post(url, "application/json", strings.NewReader(`{"notificationType":"SerAvailabilityNotification"}`))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 403, answer.StatusCode)
	wait.Until(t, "said", func() bool {
		return strings.Contains(good.Stdout.String(), "REFUSED it has no webhook-signature webhook-id=-\n")
	})
}
