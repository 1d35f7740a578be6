package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// countedTokens is a source whose fetches a test decides.
func countedTokens(life time.Duration, asked *atomic.Int32, down *atomic.Bool) *tokenCache {
	return newTokenCache(func(context.Context) (string, time.Duration, error) {
		n := asked.Add(1)
		if down.Load() {
			return "", 0, errors.New("the token server is down")
		}
		return fmt.Sprint("token", n), life, nil
	})
}

func TestATokenIsRefreshedBetween70And85PercentOfItsLife(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int32
			var down atomic.Bool
			c := countedTokens(1000*time.Second, &asked, &down)
			for second := 0; asked.Load() < 2; second++ {
				token, err := c.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, "token1", token, "who refreshes does not wait")
				advance(time.Second)
				if asked.Load() == 2 {
					require.GreaterOrEqual(t, second, 700)
					require.LessOrEqual(t, second, 850)
				}
			}
		})
	}
}

func TestHeartbeatsOutliveATokenServerThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var down atomic.Bool
		f := newFakePlatform(10)
		o := options(f, 3)
		o.Token = countedTokens(time.Hour, &asked, &down)
		r := run(t, o)
		advance(30 * time.Minute)
		down.Store(true)
		advance(29 * time.Minute)
		require.True(t, r.Ready(), "the old token is still valid")
		advance(31 * time.Minute)
		require.False(t, r.Ready())
		require.Contains(t, r.Status()[0].LastAnswer, "no token")
		require.LessOrEqual(t, asked.Load(), int32(160), "asked every 30 s at most")
		down.Store(false)
		advance(maxTokenRetry + interval)
		require.True(t, r.Ready(), "a failed refresh is not the last")
		require.Len(t, f.registrations(), 3)
		require.NoError(t, r.stop())
	})
}

func TestA401FetchesOneTokenAndTriesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var down atomic.Bool
		f := newFakePlatform(10)
		good := "Bearer token1"
		f.respond = func(r *http.Request, _ int) response {
			if r.Header.Get("Authorization") != good {
				return respond(401, nil)
			}
			return response{}
		}
		o := options(f, 5)
		o.Token = countedTokens(0, &asked, &down)
		r := run(t, o)
		require.Len(t, f.registered(), 5)
		f.mu.Lock()
		good = "Bearer token2"
		f.mu.Unlock()
		advance(interval)
		require.EqualValues(t, 2, asked.Load(), "one for all services")
		require.True(t, r.Ready())
		require.Len(t, f.registrations(), 5)
		f.mu.Lock()
		good = "nobody's"
		f.mu.Unlock()
		before := len(f.heartbeats())
		advance(10 * interval)
		require.Contains(t, r.Status()[0].LastAnswer, "401")
		require.Less(t, len(f.heartbeats())-before, 5*10*8, "it backs off")
		require.NoError(t, func() error { f.respondWith(nil); return r.stop() }())
	})
}

func TestManyWhoWaitAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := newTokenCache(func(context.Context) (string, time.Duration, error) {
			asked.Add(1)
			time.Sleep(time.Second)
			return "t", 0, nil
		})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				token, err := c.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, "t", token)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, asked.Load())
		c.Reject("another")
		_, err := c.Token(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, asked.Load(), "a token that was replaced already is not replaced again")
		ctx, cancel := context.WithCancel(t.Context())
		c.Reject("t")
		cancel()
		_, err = c.Token(ctx)
		require.ErrorIs(t, err, context.Canceled)
		advance(2 * time.Second)
	})
}

func TestTheTokenFileIsReadWhenItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	s := TokenFile(file)
	_, err := s.Token(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	for i, c := range []struct{ write, want string }{{"one\n", "one"}, {"second", "second"}, {" third \r\n", "third"}} {
		require.NoError(t, os.WriteFile(file, []byte(c.write), 0o600))
		at := time.Unix(int64(1e9+i), 0)
		require.NoError(t, os.Chtimes(file, at, at))
		token, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.want, token)
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(" thirD \r\n"), 0o600))
	require.NoError(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
	s.Reject("third")
	token, err := s.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "thirD", token, "refused: read although it looks the same")
	for _, bad := range []string{"", "\n", "a b", "a\nb", "ü", strings.Repeat("x", maxTokenBytes+1)} {
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
		_, err := ReadSecret(file)
		require.Error(t, err)
		if bad != "" {
			require.NotContains(t, err.Error(), bad)
		}
	}
}

// The value was computed by another program from the rules alone.
func TestTheSignatureIsEdgeGallerys(t *testing.T) {
	r, err := http.NewRequest(http.MethodPost, "https://mep.example:8443/mep/token", nil)
	require.NoError(t, err)
	sign(r, "QVUJMSUMgS0VZLS0tLS0", "DXPb4sqElKhcHe07Kw5uorayETwId1JOjjOIRomRs5wyszoCR5R7AtVa28KT3lSc",
		time.Date(2026, 11, 22, 11, 11, 15, 0, time.FixedZone("CET", 3600)))
	require.Equal(t, "20261122T101115Z", r.Header.Get("X-Sdk-Date"))
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "SDK-HMAC-SHA256 Access=QVUJMSUMgS0VZLS0tLS0, SignedHeaders=content-type;host;x-sdk-date, "+
		"Signature=1f8abc95cc018f9114b57903dbd8648c0e9aa6894ce7f88c4a8f3defdbf13b1a", r.Header.Get("Authorization"))
}

func constant(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func TestEdgeGallerysTokenIsFetchedFromTheFirstEndpointThatAnswers(t *testing.T) {
	answer := `{"access_token":"abc.def","token_type":"Bearer","expires_in":3600}`
	status := 200
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/mep/token" || r.Header.Get("Authorization") == "" {
			status = 418
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer gateway.Close()
	k := AccessKey{Endpoints: []string{"http://" + proxy.Nobody(t), gateway.URL + "/"}, Access: constant("ak"), Secret: constant("the-secret-key")}
	token, err := EdgeGallery(k).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "abc.def", token)
	for _, c := range []struct {
		status int
		answer string
	}{{403, "the-secret-key"}, {500, ""}, {302, ""}, {200, ""}, {200, "{}"}, {200, `{"access_token":"a\nb"}`}, {200, `{"access_token":"a\u007f"}`}, {200, `{"access_token":"caf\u00e9"}`}, {200, `{"access_token":7}`}} {
		status, answer = c.status, c.answer
		_, err := EdgeGallery(k).Token(t.Context())
		require.ErrorContains(t, err, "token server: ")
		require.NotContains(t, err.Error(), "the-secret-key")
	}
}

// Another endpoint is asked only if the one before gave no answer that settles it.
func TestEdgeGallerysTokenIsAskedForNoOftenerThanMustBe(t *testing.T) {
	for _, c := range []struct {
		first int
		asked []int
	}{{200, []int{1, 0}}, {401, []int{1, 0}}, {403, []int{1, 0}}, {500, []int{1, 1}}, {502, []int{1, 1}}} {
		asked := make([]int, 2)
		var endpoints []string
		for i, status := range []int{c.first, 200} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked[i]++
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"access_token":"t","expires_in":3600}`)
			}))
			t.Cleanup(s.Close)
			endpoints = append(endpoints, s.URL)
		}
		_, err := EdgeGallery(AccessKey{Endpoints: endpoints, Access: constant("ak"), Secret: constant("sk")}).Token(t.Context())
		require.Equal(t, c.first == 200 || c.asked[1] == 1, err == nil, c.first)
		require.Equal(t, c.asked, asked, c.first)
	}
}

func TestOAuth2TokensComeFromClientCredentials(t *testing.T) {
	status, answer := 200, `{"access_token":"tok","token_type":"bearer","expires_in":3600}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, basic := r.BasicAuth()
		if !basic { // tried after the header was refused
			id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		if r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "mec" || id != "me" || secret != "hush" {
			status = 418
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	o := OAuth2Client{TokenURL: server.URL + "/t", ClientID: "me", Secret: constant("hush"), Scopes: []string{"mec"}}
	token, err := OAuth2(o).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "tok", token)
	for _, c := range []struct {
		status       int
		answer, want string
	}{
		{400, `{"error":"invalid_client","error_description":"hush is wrong"}`, "token server: 400, invalid_client"},
		{401, `{"error":"hush"}`, "token server: 401"},
		{500, `hush`, "token server: 500"},
		{302, ``, "token server: 302"},
	} {
		status, answer = c.status, c.answer
		_, err := OAuth2(o).Token(t.Context())
		require.EqualError(t, err, c.want)
	}
	o.Secret = func() (string, error) { return ReadSecret(filepath.Join(t.TempDir(), "none")) }
	_, err = OAuth2(o).Token(t.Context())
	require.ErrorContains(t, err, "client secret: ")
}

func TestBothSidesAreVerified(t *testing.T) {
	servers, clients := pki.New(t), pki.New(t)
	serverCert, client := servers.File, clients.Client("agent")
	clientCert, clientKey := client.CertFile, client.KeyFile
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	s.Config.ErrorLog = discardLog()
	s.TLS = &tls.Config{Certificates: []tls.Certificate{servers.Server("mep.example").TLS}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.Pool}
	s.StartTLS()
	defer s.Close()
	get := func(c TLS) error {
		tr, err := NewTransport(c)
		require.NoError(t, err)
		defer tr.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, get(TLS{CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey, ServerName: "mep.example"}))
	require.ErrorContains(t, get(TLS{CertFile: clientCert, KeyFile: clientKey, ServerName: "mep.example"}), "certificate")
	require.ErrorContains(t, get(TLS{CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey}), "certificate")
	require.Error(t, get(TLS{CAFile: serverCert, ServerName: "mep.example"}))
	for _, bad := range []TLS{{CAFile: "nowhere"}, {CAFile: clientKey}, {CertFile: clientCert}, {KeyFile: clientKey}, {CertFile: clientKey, KeyFile: clientKey}} {
		_, err := NewTransport(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "PRIVATE KEY-----")
	}
}
