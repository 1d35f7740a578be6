package notify

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// maxSigningKeys is how many keys a consumer must take, and so how many we sign by.
const maxSigningKeys = 16

// ownKeyFile is the file of the key that is made in the store's folder.
const ownKeyFile = "webhook-key.pem"

// signer signs notifications, so that a consumer can tell them from what anybody else sends
// to its callback: Standard Webhooks 1.0.0, scheme v1a (Ed25519). The zero value signs nothing.
type signer struct {
	keys *certs.Kept[[]ed25519.PrivateKey]
}

// current are the keys there are now.
func (s signer) current() []ed25519.PrivateKey {
	if s.keys == nil {
		return nil
	}
	return s.keys.Current()
}

// sign returns the signatures of one attempt by all keys: whoever knows one of them can
// verify it, also while keys are exchanged. "": there is no key.
func (s signer) sign(id, timestamp string, body []byte) string {
	keys := s.current()
	if len(keys) == 0 {
		return ""
	}
	// No id of ours contains a dot, so it cannot be shifted into the time.
	content := append([]byte(id+"."+timestamp+"."), body...)
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, content))
	}
	return strings.Join(all, " ")
}

// published are the public keys, as consumers know them.
func (s signer) published() []string {
	all := []string{}
	for _, key := range s.current() {
		all = append(all, "whpk_"+base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:]))
	}
	return all
}

// signingKeys is the source of the keys in a PEM file.
type signingKeys struct{ certs.PrivateKeys }

// Parse implements certs.Source.
func (s signingKeys) Parse(contents [][]byte, now time.Time) ([]ed25519.PrivateKey, error) {
	all, err := s.PrivateKeys.Parse(contents, now)
	if err != nil {
		return nil, err
	}
	if len(all) > maxSigningKeys {
		return nil, certs.Faults{{Part: certs.Key, File: s.File, Rule: fmt.Sprintf("has %d keys; consumers take %d", len(all), maxSigningKeys)}}
	}
	var keys []ed25519.PrivateKey
	for _, one := range all {
		key, ok := one.(ed25519.PrivateKey)
		if !ok {
			return nil, certs.Faults{{Part: certs.Key, File: s.File, Rule: "has a key that is not Ed25519; openssl genpkey -algorithm ed25519 makes one that is"}}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// newSigner makes the signer that is configured.
func newSigner(c *conf.Config, now func() time.Time, report func(error)) (signer, error) {
	file := c.Notify.SigningKeyFile
	switch {
	case file == "" && c.Store.Kind != conf.Embedded: // all replicas must sign by the same
		return signer{}, nil
	case file == "":
		file = filepath.Join(c.Store.DataDir, ownKeyFile)
		if err := makeKey(file); err != nil {
			return signer{}, fmt.Errorf("cannot make the key that signs notifications: %w", err)
		}
	}
	keys, err := certs.Keep(signingKeys{certs.PrivateKeys{File: file}}, now, report)
	return signer{keys}, err
}

// KeyFiles is the rule of notify.signingKeyFile: it must hold keys that can sign at a time.
func KeyFiles(now time.Time) conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		if c.Notify.SigningKeyFile == "" {
			return
		}
		_, err := certs.Load(signingKeys{certs.PrivateKeys{File: c.Notify.SigningKeyFile}}, now)
		var faults certs.Faults
		errors.As(err, &faults)
		for _, f := range faults {
			fault("notify.signingKeyFile", "%s", f.Error())
		}
	}
}

// makeKey makes a file with a new key, unless it is there. It is never there in part: a
// server that is killed meanwhile must start again.
func makeKey(file string) error {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), "."+ownKeyFile+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	err = pem.Encode(temp, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}

// publish serves the public keys. They are no secret: consumers without an identity at this
// platform want them too.
func (s signer) publish(b plugins.Base) {
	for _, prefix := range []string{"", plugins.MepPrefix} {
		path := prefix + mp1.WebhookKeysPath
		b.Handle("GET "+path, "mep.WebhookKeys", server.Open, http.HandlerFunc(s.serveKeys))
		b.Handle(path, "mep.MethodNotAllowed", server.Open, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			server.RefuseMethod(w, http.MethodGet, http.MethodHead)
		}))
	}
}

func (s signer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(mp1.WebhookKeys{Keys: s.published()})
	if err != nil { // plain data: cannot happen
		text = []byte(`{"keys":[]}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache") // a key that was withdrawn must not live on in a cache
	_, _ = w.Write(append(text, '\n'))          // a shell shows the next prompt in a line of its own
}
