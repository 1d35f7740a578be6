package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// seeded is a key that is the same in each run.
func seeded(seed string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, ed25519.SeedSize)))
}

func whpk(k ed25519.PrivateKey) string {
	return "whpk_" + base64.StdEncoding.EncodeToString(k[ed25519.SeedSize:])
}

// writeKeys writes a PEM file of PKCS#8 keys.
func writeKeys(t *testing.T, file string, keys ...any) {
	t.Helper()
	var text []byte
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		require.NoError(t, err)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

func signerOf(t *testing.T, keys ...any) signer {
	t.Helper()
	c := conf.Default()
	c.Notify.SigningKeyFile = filepath.Join(t.TempDir(), "keys.pem")
	writeKeys(t, c.Notify.SigningKeyFile, keys...)
	s, err := newSigner(&c, time.Now, nil)
	require.NoError(t, err)
	return s
}

// The vector is that of the tests of Standard Webhooks' own library for Go
// (libraries/go/webhook_asymmetric_test.go), which nobody here has made.
func TestASignatureIsThatOfStandardWebhooks(t *testing.T) {
	seed, err := base64.StdEncoding.DecodeString("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	require.NoError(t, err)
	require.Equal(t, "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
		signerOf(t, ed25519.NewKeyFromSeed(seed)).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
}

// Each attempt is signed with its own time, by each of the keys.
func TestEachAttemptIsSigned(t *testing.T) {
	one, two := seeded("a"), seeded("b")
	var got http.Header
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
	}))
	defer s.Close()
	w := newWebhook(policy{loopback: true}, long, "test", nil)
	w.signer = signerOf(t, one, two)
	for _, wall := range []int64{1700000000_999999999, 1700000005_000000000} {
		require.Equal(t, result{outcome: delivered}, w.post(t.Context(), delivery{id: "sub-1-2", url: s.URL, body: []byte(`{"a":1}`)}, wall))
		signatures := strings.Split(got.Get("webhook-signature"), " ")
		require.Len(t, signatures, 2)
		for i, k := range []ed25519.PrivateKey{one, two} {
			signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signatures[i], "v1a,"))
			require.NoError(t, err)
			require.True(t, ed25519.Verify(k.Public().(ed25519.PublicKey), []byte("sub-1-2."+got.Get("webhook-timestamp")+"."+string(body)), signature))
		}
	}
	w.signer = signer{}
	require.Equal(t, result{outcome: delivered}, w.post(t.Context(), delivery{id: "sub-1-2", url: s.URL}, 0))
	require.NotContains(t, got, "Webhook-Signature", "there is no key")
}

func TestAKeyIsMadeOnceForAnEmbeddedStore(t *testing.T) {
	c := conf.Default()
	c.Store.DataDir = t.TempDir()
	first, err := newSigner(&c, time.Now, nil)
	require.NoError(t, err)
	require.Len(t, first.published(), 1)
	is, err := os.Stat(filepath.Join(c.Store.DataDir, ownKeyFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), is.Mode())
	again, err := newSigner(&c, time.Now, nil)
	require.NoError(t, err)
	require.Equal(t, first.published(), again.published())
	entries, err := os.ReadDir(c.Store.DataDir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")

	require.NoError(t, os.WriteFile(filepath.Join(c.Store.DataDir, ownKeyFile), []byte("cut off"), 0o600))
	_, err = newSigner(&c, time.Now, nil)
	require.ErrorContains(t, err, ownKeyFile, "consumers know the key: no other is made")
	c.Store.DataDir = filepath.Join(c.Store.DataDir, "gone")
	_, err = newSigner(&c, time.Now, nil)
	require.ErrorContains(t, err, "cannot make the key that signs notifications")

	c.Store.Kind = conf.Etcd
	none, err := newSigner(&c, time.Now, nil)
	require.NoError(t, err)
	require.Empty(t, none.published(), "replicas need the same one")
}

func TestWhatIsNoSigningKeyIsRefused(t *testing.T) {
	c := conf.Default()
	c.Notify.SigningKeyFile = filepath.Join(t.TempDir(), "keys.pem")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	many := make([]any, maxSigningKeys+1)
	for i := range many {
		many[i] = seeded("a")
	}
	for want, keys := range map[string][]any{"that is not Ed25519": {seeded("a"), curve}, "no PEM block": nil, "has 17 keys": many} {
		writeKeys(t, c.Notify.SigningKeyFile, keys...)
		_, err := newSigner(&c, time.Now, nil)
		require.ErrorContains(t, err, want)
		_, err = conf.Load(conf.Sources{File: "m.yaml", Data: []byte("notify:\n  signingKeyFile: " + c.Notify.SigningKeyFile + "\n  timeout: 1ms\n"), Rules: []conf.Rule{KeyFiles(time.Now())}})
		require.ErrorContains(t, err, "m.yaml:2: notify.signingKeyFile: ")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "m.yaml:3: notify.timeout: ", "together with what else is wrong")
	}
	writeKeys(t, c.Notify.SigningKeyFile, seeded("a"), seeded("b"))
	for _, good := range []string{"", "notify: {signingKeyFile: " + c.Notify.SigningKeyFile + "}\n"} {
		_, err = conf.Load(conf.Sources{Data: []byte(good), Rules: []conf.Rule{KeyFiles(time.Now())}})
		require.NoError(t, err)
	}
}

// The keys are exchanged in three steps: the new one beside the old one, then alone. What is
// no key changes nothing.
func TestSigningKeysAreExchangedWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := seeded("a"), seeded("b")
		c := conf.Default()
		c.Notify.SigningKeyFile = filepath.Join(t.TempDir(), "keys.pem")
		var said []error
		writeKeys(t, c.Notify.SigningKeyFile, old)
		s, err := newSigner(&c, time.Now, func(err error) { said = append(said, err) })
		require.NoError(t, err)
		require.Equal(t, []string{whpk(old)}, s.published())
		for _, step := range []struct{ keys, want []ed25519.PrivateKey }{
			{[]ed25519.PrivateKey{next, old}, []ed25519.PrivateKey{next, old}}, {nil, []ed25519.PrivateKey{next, old}}, {[]ed25519.PrivateKey{next}, []ed25519.PrivateKey{next}},
		} {
			var keys []any
			for _, k := range step.keys {
				keys = append(keys, k)
			}
			writeKeys(t, c.Notify.SigningKeyFile, keys...)
			time.Sleep(time.Second)
			require.Equal(t, step.want, s.current())
			require.Equal(t, len(step.keys) == 0, s.keys.Failing())
		}
		require.Len(t, said, 3)
		require.NoError(t, said[0])
		require.Error(t, said[1])
		require.NoError(t, said[2])
	})
}

func TestThePublicKeysArePublished(t *testing.T) {
	b := &fakeBase{}
	signerOf(t, seeded("a"), seeded("b")).publish(b)
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	for _, prefix := range []string{"", "/mep"} {
		w := ask(http.MethodGet, prefix+mp1.WebhookKeysPath)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.JSONEq(t, `{"keys":["`+whpk(seeded("a"))+`","`+whpk(seeded("b"))+`"]}`, w.Body.String())
		require.Equal(t, 405, ask(http.MethodPost, prefix+mp1.WebhookKeysPath).Code)
	}
	none := &fakeBase{}
	signer{}.publish(none)
	w := httptest.NewRecorder()
	none.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, mp1.WebhookKeysPath, nil))
	var out mp1.WebhookKeys
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	require.NotNil(t, out.Keys, "a list, and no null")
}

// A file that cannot be used ends the start, and what it holds is in no message.
func TestTheStartFailsByAFileThatCannotBeUsed(t *testing.T) {
	var out bytes.Buffer
	for _, set := range []func(c *conf.Config, file string){
		func(c *conf.Config, file string) { c.Notify.SigningKeyFile = file },
		func(c *conf.Config, file string) { c.Notify.CAFile = file },
		func(c *conf.Config, file string) { c.Notify.CertFile, c.Notify.KeyFile = file, file },
	} {
		h := &plugins.Host{Log: plugins.NewLog(&out, "INFO"), Base: &fakeBase{}, Config: conf.Default()}
		h.Config.Store.DataDir = t.TempDir()
		file := filepath.Join(h.Config.Store.DataDir, "file.pem")
		require.NoError(t, os.WriteFile(file, []byte("c2VjcmV0"), 0o600))
		set(&h.Config, file)
		_, err := setup(context.Background(), h)
		require.ErrorContains(t, err, "file.pem")
		require.NotContains(t, err.Error()+out.String(), "c2VjcmV0")
	}
}
