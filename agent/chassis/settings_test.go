package chassis

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/go-chassis/go-archaius"
	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/go-chassis/v2/pkg/util/tags"
	"github.com/stretchr/testify/require"
)

func TestSettingsAreThoseOfGoChassis(t *testing.T) {
	s, err := readSettings(Options{}, registry.Options{Addrs: []string{"a:1", "b:2"}}, settingsOf(nil))
	require.NoError(t, err)
	require.Equal(t, []string{"http://a:1", "http://b:2"}, s.endpoints)
	require.Equal(t, defaultRefresh, s.refresh)
	require.Zero(t, s.interval, "the platform chooses")
	require.Nil(t, s.token)

	s, err = readSettings(Options{}, registry.Options{Addrs: []string{"a:1"}, EnableSSL: true}, settingsOf(map[string]string{
		refreshSetting: "1s", heartbeatSetting: "1m", prefixSetting: "/mep", tokenSetting: "/run/token", watchSetting: "true"}))
	require.NoError(t, err)
	require.Equal(t, []string{"https://a:1"}, s.endpoints)
	require.Equal(t, time.Second, s.refresh)
	require.Equal(t, 60, s.interval)
	require.Equal(t, "/mep", s.prefix)
	require.NotNil(t, s.token)
}

func TestEveryFaultOfTheSettingsIsSaid(t *testing.T) {
	for key, values := range map[string][]string{
		refreshSetting:   {"often", "1ms", "-1s", "5"},
		heartbeatSetting: {"often", "1ms", "48h", "-5s", "5"},
		accountSetting:   {"root"},

		tokenURLSetting: {"https://mep.example/oauth2/token"}, // without the others
		clientIDSetting: {"me"},
		secretSetting:   {"/run/secret"},

		"servicecomb.mec.tokenfile": {"/run/token"},
		"servicecomb.mec.app":       {"x"},
	} {
		for _, v := range values {
			_, err := readSettings(Options{}, address, settingsOf(map[string]string{key: v}))
			require.ErrorContains(t, err, key, v)
		}
	}
	_, err := readSettings(Options{}, address, settingsOf(map[string]string{refreshSetting: "x", heartbeatSetting: "x", accountSetting: "x"}))
	for _, key := range []string{refreshSetting, heartbeatSetting, accountSetting} {
		require.ErrorContains(t, err, key)
	}
}

func TestCredentialsBringTokensOverTheSameTransport(t *testing.T) {
	platform := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":900}`, r.URL.Path+" "+id+" "+secret)
	}))
	defer platform.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("hush\n"), 0o600))
	with := map[string]string{tokenURLSetting: platform.URL + "/oauth2/token", clientIDSetting: "me", secretSetting: secret}
	s, err := readSettings(Options{Transport: platform.Client().Transport}, address, settingsOf(with))
	require.NoError(t, err)
	token, err := s.token.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/oauth2/token me hush", token)

	with[tokenSetting] = "/run/token"
	_, err = readSettings(Options{}, address, settingsOf(with))
	require.ErrorContains(t, err, tokenSetting+" and "+tokenURLSetting)
	delete(with, tokenSetting)
	with[tokenURLSetting] = "mep.example/oauth2/token"
	_, err = readSettings(Options{}, address, settingsOf(with))
	require.ErrorContains(t, err, tokenURLSetting+" must be")
}

// go-chassis verifies no certificate of a registry unless it is told to.
func TestThePlatformsCertificateIsVerifiedAlways(t *testing.T) {
	platform := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }))
	defer platform.Close()
	platform.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the handshake
	find := func(c *tls.Config) error {
		o := registry.Options{Addrs: []string{platform.Listener.Addr().String()}, EnableSSL: true, TLSConfig: c}
		_, err := newDiscovery(Options{}, o, settingsOf(nil)).FindMicroServiceInstances("", "cart", utiltags.Tags{})
		return err
	}
	careless := &tls.Config{MinVersion: tls.VersionTLS10} //nolint:gosec // as go-chassis makes it
	reflect.ValueOf(careless).Elem().FieldByName("InsecureSkip" + "Verify").SetBool(true)
	require.ErrorContains(t, find(careless), "certificate")
	pool := x509.NewCertPool()
	pool.AddCert(platform.Certificate())
	require.NoError(t, find(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	require.ErrorContains(t, find(&tls.Config{RootCAs: pool, ServerName: "other.example", MinVersion: tls.VersionTLS12}), "certificate")
}

func TestInstallGivesGoChassisBothPlugins(t *testing.T) {
	require.NoError(t, archaius.Init(archaius.WithMemorySource())) // as go-chassis' Init does
	require.NoError(t, archaius.Set(refreshSetting, "1s"))
	Install(Options{})
	r, err := registry.NewRegistrator(Type, address)
	require.NoError(t, err)
	require.NotNil(t, r)
	d, err := registry.NewDiscovery(Type, address)
	require.NoError(t, err)
	require.NoError(t, d.Close())
}
