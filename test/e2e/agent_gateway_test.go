package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	accessKey = "QVUJMSUMgS0VZLS0tLS0"
	secretKey = "DXPb4sqElKhcHe07Kw5uorayETwId1JOjjOIRomRs5wyszoCR5R7AtVa28KT3lSc"
	appID     = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
)

// gateway stands where EdgeGallery's Kong and mepauth do: it gives out tokens, checks
// them, and forwards to the real mepserver.
type gateway struct {
	*httptest.Server
	forward http.Handler

	mu      sync.Mutex
	life    time.Duration
	down    bool // the token server
	given   int
	refused int
	valid   map[string]time.Time
}

func newGateway(t *testing.T, s *mep.Server, life time.Duration) *gateway {
	t.Helper()
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	g := &gateway{life: life, valid: map[string]time.Time{}, forward: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}}
	g.Server = httptest.NewUnstartedServer(g)
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/mep/token":
		if !signed(r) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		g.give(w)
	case r.Method == http.MethodPost && r.URL.Path == "/oauth/token":
		if id, secret, _ := r.BasicAuth(); id != "agent" || secret != secretKey || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		g.give(w)
	default:
		if !g.admits(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		g.forward.ServeHTTP(w, r)
	}
}

func (g *gateway) give(w http.ResponseWriter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	g.given++
	token := fmt.Sprint("token-", g.given)
	g.valid[token] = time.Now().Add(g.life)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(g.life.Seconds())})
}

func (g *gateway) admits(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	ok := time.Now().Before(g.valid[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")])
	if !ok {
		g.refused++
	}
	return ok
}

// revoke makes every token that was given worthless.
func (g *gateway) revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.valid)
}

func (g *gateway) set(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

func (g *gateway) counts() (given, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.given, g.refused
}

// signed checks a token request as mepauth does.
func signed(r *http.Request) bool {
	m := regexp.MustCompile(`^SDK-HMAC-SHA256 Access=([\w+/=]{20}), SignedHeaders=([^,]{28}), Signature=([0-9a-f]{64})$`).
		FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || m[1] != accessKey || r.ContentLength > 0 {
		return false
	}
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	var c strings.Builder
	c.WriteString("POST\n/mep/token/\n\n")
	for name := range strings.SplitSeq(m[2], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		c.WriteString(name + ":" + value + "\n")
	}
	c.WriteString("\n" + m[2] + "\n" + hash(""))
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte("SDK-HMAC-SHA256\n" + r.Header.Get("X-Sdk-Date") + "\n" + hash(c.String())))
	return hmac.Equal([]byte(m[3]), []byte(hex.EncodeToString(mac.Sum(nil))))
}

func TestAgentKeepsItsTokenFresh(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for the end of many tokens")
	t.Parallel()
	s := mep.Start(t, steady...)
	g := newGateway(t, s, 4*time.Second)
	g.Start()
	defer g.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(secretKey+"\n"), 0o600))
	a := startAgent(t, services(t, 5), "MEP_PLATFORM_ENDPOINTS="+g.URL, "MEP_IDENTITY_KIND=oauth2", "MEP_IDENTITY_TOKEN_URL="+g.URL+"/oauth/token",
		"MEP_IDENTITY_CLIENT_ID=agent", "MEP_IDENTITY_CLIENT_SECRET_FILE="+secret)
	wait.Until(t, "all are alive", func() bool { return listed(s, 5) && a.ready() })
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		require.True(t, listed(s, 5))
	}
	given, refused := g.counts()
	t.Logf("tokens of 4 s over 10 s: %d given, %d requests refused with 401", given, refused)
	require.GreaterOrEqual(t, given, 3)
	require.Zero(t, refused, "each was refreshed before its end")

	g.revoke()
	recovers(t, "every token revoked: all are heard again", time.Now(), func() bool {
		more, refused := g.counts()
		return more > given && refused > 0 && a.ready() && listed(s, 5)
	})

	g.set(true)
	wait.Until(t, "without a token all are suspended", func() bool { return listed(s, 0) && !a.ready() })
	g.set(false)
	recovers(t, "token server back after the token ended: all alive again", time.Now(), func() bool { return listed(s, 5) && a.ready() })
	require.Len(t, s.Want(200, "GET", mep.ServicesOf("agent-app"), "").List(t), 5, "nothing was registered twice")

	_, status := a.get("/status")
	_, metrics := a.get("/metrics")
	process := a.CommandLine()
	require.NotEmpty(t, process)
	a.end()
	for name, text := range map[string]string{"log": a.Stderr.String(), "status": status, "metrics": metrics, "process title": process} {
		require.NotContains(t, text, secretKey, name)
		require.NotContains(t, text, "token-", name)
	}
}

// An application made for EdgeGallery's agent changes nothing but the image.
func TestAgentReadsWhatEdgeGallerysAgentDoes(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, steady...)
	g := newGateway(t, s, time.Hour)
	authority := pki.New(t)
	g.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server("mep.example").TLS}}
	g.StartTLS()
	defer g.Close()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "conf"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "conf", "app_instance_info.yaml"), []byte(instanceInfo), 0o600))
	port := g.URL[strings.LastIndexByte(g.URL, ':')+1:]
	a := startAgentIn(t, dir, nil, "APPINSTID="+appID, "MEP_IP=127.0.0.1", "MEP_APIGW_PORT="+port,
		"CA_CERT_DOMAIN_NAME=mep.example", "CA_CERT="+authority.File, "AK="+accessKey, "SK="+secretKey, "EG_PROTOCOL=https", "MEP_LOCAL_LISTEN=127.0.0.1:0")
	wait.Until(t, "both services are mep.Alive, not only the first", func() bool { return listed(s, 2) && a.ready() })
	list := s.Want(200, "GET", mep.ServicesOf(appID), "").List(t)
	require.Len(t, list, 2)
	time.Sleep(6 * time.Second)
	require.True(t, listed(s, 2))

	status, body := a.get("/mep-agent/v1/token")
	require.Equal(t, 200, status)
	require.Regexp(t, `^{"access_token":"token-1","token_type":"Bearer","expires_in":3[45]\d\d}\n$`, body)
	status, body = a.get("/mep-agent/v1/endpoint/ExampleService10")
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"uris":["http://ExampleService:30005"],"addresses":null,"alternative":null}`, body)
	status, body = a.get("/mep-agent/v1/endpoint/nobody")
	require.Equal(t, 400, status)
	require.Equal(t, "\"Service does not exist.\"\n", body)

	forged, err := http.NewRequest(http.MethodGet, a.url+"/mep-agent/v1/token", nil)
	require.NoError(t, err)
	forged.Host = "evil.example"
	resp, err := http.DefaultClient.Do(forged)
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMisdirectedRequest, resp.StatusCode)
	require.NotContains(t, string(page), "token-")
	a.end()
	require.True(t, listed(s, 0))
	require.NotContains(t, a.Stderr.String(), secretKey)
}

const instanceInfo = `appInstanceId: 5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f
serviceInfoPosts:
  - serName: ExampleService10
    serCategory: {href: "/example/catalogue1", id: 57d75ef9-ca6a-47b7-bc3e-93b9d15d8efb, name: RNI, version: 1.0}
    version: 1.0
    state: ACTIVE
    transportId: Rest1
    transportInfo:
      id: Rest1
      name: REST
      description: REST API
      type: REST_HTTP
      protocol: HTTP
      version: '2.0'
      endpoint: {uris: ["http://ExampleService:30005"]}
      security: {oAuth2Info: {tokenEndpoint: /mecSerMgmtApi/security/TokenEndPoint, grantTypes: [OAUTH2_CLIENT_CREDENTIALS]}}
      implSpecificInfo: {}
    serializer: JSON
    scopeOfLocality: MEC_SYSTEM
    consumedLocalOnly: false
    isLocal: true
    livenessInterval: 10
    _links: {self: {liveness: ""}}
  - serName: ExampleService11
    version: v1
    state: ACTIVE
    transportInfo:
      id: Rest1
      name: REST
      type: REST_HTTP
      protocol: HTTP
      version: 2.0
      endpoint: {addresses: [{host: sampleapp.default, port: 32115}]}
      security: {oAuth2Info: {tokenEndpoint: "", grantTypes: null}}
    serializer: JSON
    livenessInterval: 10
serAvailabilityNotificationSubscriptions:
  - subscriptionType: SerAvailabilityNotificationSubscription
    callbackReference: string
`
