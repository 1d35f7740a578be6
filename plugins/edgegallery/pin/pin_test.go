package pin

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/pki"
)

// serve answers 200 under a certificate until the test ends.
func serve(t *testing.T, c tls.Certificate) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that refuse
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// nameless has a certificate name no host, as EdgeGallery's do.
func nameless(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }

func get(t *testing.T, o Options, url string) error {
	t.Helper()
	o.Timeout = time.Minute
	c, err := Client(o)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := c.Do(req)
	if err == nil {
		err = res.Body.Close()
	}
	return err
}

// Without a pinned name a certificate must name the host; with one it must come from the
// configured authority, hold now, be a server's and have that name. Nothing is skipped.
func TestOnlyTheConfiguredAuthorityAndNameAreBelieved(t *testing.T) {
	ours, others := pki.New(t), pki.New(t)
	past := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	future := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }
	clients := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	pinned := Options{CAFile: ours.File, CommonName: "edgegallery"}
	for name, c := range map[string]struct {
		pair pki.Pair
		o    Options
		want string // of the error; "": it is believed
	}{
		"the chain and the name":                        {ours.Server("edgegallery", nameless), pinned, ""},
		"the name, and another host's":                  {ours.Server("edgegallery"), pinned, ""},
		"another authority":                             {others.Server("edgegallery", nameless), pinned, "signed by unknown authority"},
		"another common name":                           {ours.Server("else", nameless), pinned, "common name"},
		"the name as that of a host":                    {ours.Server("else", func(c *x509.Certificate) { c.DNSNames = []string{"edgegallery"} }), pinned, "common name"},
		"a longer name":                                 {ours.Server("edgegallery.example", nameless), pinned, "common name"},
		"one that has ended":                            {ours.Server("edgegallery", nameless, past), pinned, "expired or is not yet valid"},
		"one that has not begun":                        {ours.Server("edgegallery", nameless, future), pinned, "expired or is not yet valid"},
		"one for clients":                               {ours.Server("edgegallery", nameless, clients), pinned, "key usage"},
		"an authority's own":                            {pki.New(t).Server("edgegallery", nameless, func(c *x509.Certificate) { c.IsCA = true }), pinned, "signed by unknown authority"},
		"no pinned name, and the host's":                {ours.Server("127.0.0.1"), Options{CAFile: ours.File}, ""},
		"no pinned name, and no host's":                 {ours.Server("edgegallery", nameless), Options{CAFile: ours.File}, "doesn't contain any IP SANs"},
		"no pinned name, and another host's":            {ours.Server("example.org"), Options{CAFile: ours.File}, "doesn't contain any IP SANs"},
		"the system's authorities, of which it is none": {ours.Server("127.0.0.1"), Options{}, "signed by unknown authority"},
	} {
		err := get(t, c.o, serve(t, c.pair.TLS))
		if c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.want, name)
		}
	}
}

// A connection that is resumed shows no certificate; the one of its first handshake counts.
func TestAResumedConnectionIsVerifiedToo(t *testing.T) {
	ca := pki.New(t)
	url := serve(t, ca.Server("edgegallery", nameless).TLS)
	now := time.Now()
	c, err := Client(Options{CAFile: ca.File, CommonName: "edgegallery", Timeout: time.Minute, Now: func() time.Time { return now }})
	require.NoError(t, err)
	for range 2 {
		res, err := c.Get(url) //nolint:noctx // it has a timeout
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		c.CloseIdleConnections()
	}
	now = now.Add(2 * time.Hour)
	_, err = c.Get(url) //nolint:noctx,bodyclose // it fails
	require.ErrorContains(t, err, "expired")
}

// What proves a connection ends with the first certificate of its chain, the authority's included.
func TestItIsToldWhenWhatProvesAConnectionEnds(t *testing.T) {
	ca := pki.New(t)
	authority := func() time.Time {
		b, err := os.ReadFile(ca.File)
		require.NoError(t, err)
		block, _ := pem.Decode(b)
		c, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		return c.NotAfter
	}()
	soon := time.Now().Add(time.Minute).UTC().Truncate(time.Second)
	for name, pinned := range map[string]string{"127.0.0.1": "", "edgegallery": "edgegallery"} {
		for want, end := range map[time.Time]time.Time{soon: soon, authority: authority.Add(time.Hour)} {
			var told []time.Time
			o := Options{CAFile: ca.File, CommonName: pinned, Ends: func(at time.Time) { told = append(told, at) }}
			require.NoError(t, get(t, o, serve(t, ca.Server(name, func(c *x509.Certificate) { c.NotAfter = end }).TLS)))
			require.Len(t, told, 1)
			require.True(t, want.Equal(told[0]), "%s: %v, not %v", name, told[0], want)
		}
	}
	told := false
	require.Error(t, get(t, Options{CAFile: ca.File, CommonName: "else", Ends: func(time.Time) { told = true }}, serve(t, ca.Server("edgegallery").TLS)))
	require.False(t, told, "whom nobody believes says nothing")
}

// X.509 v1 has no extensions at all: no names, no usages, no constraints.
func TestACertificateOfVersionOneIsBelieved(t *testing.T) {
	ca := pki.New(t)
	leaf := ca.Legacy("edgegallery").TLS
	require.Equal(t, 1, leaf.Leaf.Version)
	require.NoError(t, get(t, Options{CAFile: ca.File, CommonName: "edgegallery"}, serve(t, leaf)))
	require.ErrorContains(t, get(t, Options{CAFile: ca.File, CommonName: "else"}, serve(t, leaf)), "common name")
	require.ErrorContains(t, get(t, Options{CAFile: pki.New(t).File, CommonName: "edgegallery"}, serve(t, leaf)), "unknown authority")
}

// A name without an authority would be anybody's, a file that is not there nobody's.
func TestWhatProvesNothingIsRefused(t *testing.T) {
	_, err := Client(Options{CommonName: "edgegallery"})
	require.ErrorContains(t, err, "proves nothing")
	_, err = Client(Options{CAFile: filepath.Join(t.TempDir(), "none"), CommonName: "edgegallery"})
	require.ErrorContains(t, err, "cannot be read")
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = Client(Options{CAFile: empty})
	require.Error(t, err)
}

func TestNoRedirectIsFollowed(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	require.NoError(t, get(t, Options{}, s.URL))
	require.Equal(t, 1, asked)
}
