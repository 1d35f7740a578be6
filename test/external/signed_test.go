package external

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Replicas sign by the same key, so a consumer that knows it believes whichever one sends.
// Without a key that they have in common nothing is signed, and nothing is published.
func TestReplicasSignByTheSameKey(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "keys.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	signing := mep.Options{Endpoints: c.Endpoints(), Env: append([]string{"MEP_NOTIFY_SIGNING_KEY_FILE=" + file}, mep.Fast...)}
	a, b := signing.Start(t), signing.Start(t)
	require.Equal(t, a.Want(200, "GET", mp1.WebhookKeysPath, "").Body, b.Want(200, "GET", mp1.WebhookKeysPath, "").Body)
	platform, err := client.New(client.Options{BaseURL: a.URL})
	require.NoError(t, err)
	defer platform.CloseIdle()
	var mu sync.Mutex
	told, refused := map[string]bool{}, 0
	n := client.NewNotifications(func(_ context.Context, n mp1.Notification) error {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range n.ServiceReferences {
			told[r.SerName] = true
		}
		return nil
	}, client.VerifiedBy(client.NewVerifier(platform.WebhookKeys)))
	heard := func(name string) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return told[name] }
	}
	url := consumer.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("webhook-signature") == "" {
			mu.Lock()
			refused++
			mu.Unlock()
		}
		n.ServeHTTP(w, r)
	}))
	a.Subscribe("watcher", url, "")
	b.Subscribe("watcher", url, "")
	a.Register("app", "one", -1)
	wait.Until(t, "told by whichever replica sends", heard("one"))
	a.Kill()
	b.Register("app", "two", -1)
	wait.Until(t, "told by the other, while the keys cannot be read", heard("two"))
	require.Zero(t, refused)

	without := mep.Options{Endpoints: c.Endpoints(), Env: mep.Fast}.Start(t)
	require.JSONEq(t, `{"keys":[]}`, string(without.Want(200, "GET", mp1.WebhookKeysPath, "").Body))
	wait.Until(t, "that is logged", func() bool { return strings.Contains(without.Log(), "notifications are not signed") })
}
