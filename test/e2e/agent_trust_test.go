package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Whoever answers at the platform's address must prove that it is the platform, each time
// anew. Nothing is said to others, and the agent goes on when the platform is back.
func TestAgentSaysNothingToAnImpostor(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for a window at each impostor")
	t.Parallel()
	s := mep.Start(t, quick...)
	ours, others := pki.New(t), pki.New(t)
	platform := newFront(t, s, ours.Server("127.0.0.1").TLS)
	at := func(f *front) string { return f.Listener.Addr().String() }
	link := proxy.Start(t, at(platform))
	a := startAgent(t, services(t, 3), "MEP_PLATFORM_ENDPOINTS=https://"+link.Addr, "MEP_PLATFORM_CA_FILE="+ours.File)
	wait.Until(t, "all are alive", func() bool { return once(s, 3) && a.ready() })
	ids := a.ids()
	for name, c := range map[string]struct {
		impostor *front
		why      string
	}{
		"of another authority": {newFront(t, s, others.Server("127.0.0.1").TLS), "certificate signed by unknown authority"},
		"for another name":     {newFront(t, s, ours.Server("mep.example").TLS), "cannot validate certificate for 127.0.0.1"},
		"for another address":  {newFront(t, s, ours.Server("127.0.0.2").TLS), "certificate is valid for 127.0.0.2, not 127.0.0.1"},
		"that has ended": {newFront(t, s, ours.Server("127.0.0.1", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}).TLS), "certificate has expired"},
		"without any": {newFront(t, s), "HTTP response to HTTPS client"},
	} {
		link.Lead(at(c.impostor))
		link.Cut()
		wait.Until(t, "a platform with a certificate "+name+" is refused: suspended, not ready", func() bool { return listed(s, 0) && !a.ready() })
		wait.Until(t, "and it says why", func() bool { return strings.Contains(a.services()[0].LastAnswer, c.why) })
		c.impostor.mu.Lock()
		require.Empty(t, c.impostor.seen, name)
		c.impostor.mu.Unlock()
		link.Lead(at(platform))
		link.Cut()
		wait.Until(t, "the platform is back: all alive", func() bool { return once(s, 3) && a.ready() })
	}
	require.Equal(t, ids, a.ids())
	a.end()
	require.True(t, once(s, 0))
}

// A platform that is not ours keeps no agents, and its clock may be wrong. Neither keeps an
// agent from taking its services along.
func TestAgentAtAPlatformWhoseClockIsWrong(t *testing.T) {
	tier.Long(t, "test/e2e", "starts a platform for each clock")
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			s := mep.Start(t, steady...)
			f := newFront(t, s)
			f.forward = elsewhen(t, s, ahead)
			a := startAgent(t, services(t, 3), "MEP_PLATFORM_ENDPOINTS="+f.URL)
			wait.Until(t, "all are alive", func() bool { return once(s, 3) && a.ready() })
			ids := a.ids()
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				require.True(t, listed(s, 3))
			}
			a.Kill()
			a.restart()
			wait.Until(t, "its registrations are found again", func() bool { return once(s, 3) && a.ready() })
			require.Equal(t, ids, a.ids())
			wait.Until(t, "it has sent heartbeats", func() bool { return f.requests(heartbeat) > 20 })
			a.end()
			require.True(t, once(s, 0))
			require.Zero(t, suspensions(s))
		})
	}
}

// elsewhen forwards to a platform as if it were of another make and its clock ahead.
func elsewhen(t *testing.T, s *mep.Server, ahead time.Duration) http.Handler {
	t.Helper()
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Mep-Agent")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Mep-Agent")
			r.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			if r.Request.Method != http.MethodGet || !strings.HasSuffix(r.Request.URL.Path, "/liveness") || r.StatusCode != http.StatusOK {
				return nil
			}
			var body map[string]any
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				return err
			}
			if stamp, ok := body["timeStamp"].(map[string]any); ok {
				seconds, _ := stamp["seconds"].(float64)
				stamp["seconds"] = int64(seconds) + int64(ahead/time.Second)
			}
			b, err := json.Marshal(body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			r.Header.Set("Content-Length", strconv.Itoa(len(b)))
			return err
		},
	}
}
