package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/kong"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/mepauth"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/wait"
)

// edgeGallery are the gateway and mepauth of a platform, under certificates as its installer makes
// them.
type edgeGallery struct {
	kong *kong.Gateway
	auth *mepauth.Server
	ca   *pki.Authority
}

func newEdgeGallery(t *testing.T) edgeGallery {
	t.Helper()
	ca := pki.New(t)
	certificate := ca.Legacy("edgegallery").TLS
	auth := mepauth.Start(t, certificate)
	return edgeGallery{kong.Start(t, kong.Options{Certificate: &certificate, Claims: auth.Claims}), auth, ca}
}

// settings are those of a server in such a platform.
func (e edgeGallery) settings(more ...string) []string {
	return append([]string{"MEP_COMPAT=edgegallery", "MEP_EDGEGALLERY_GATEWAY_ADMIN=" + e.kong.AdminURL, "MEP_EDGEGALLERY_GATEWAY_PUBLIC=" + e.kong.URL,
		"MEP_EDGEGALLERY_MEPAUTH=" + e.auth.URL, "MEP_EDGEGALLERY_CA_FILE=" + e.ca.File, "MEP_EDGEGALLERY_COMMON_NAME=edgegallery"}, more...)
}

// sampleAt is a service as EdgeGallery's agent registers it, at an address.
func sampleAt(name, address string) string {
	host, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf(`{"serName":%q,"version":"v1","state":"ACTIVE","serializer":"JSON","livenessInterval":0,"transportInfo":{"id":"t1","name":"REST","type":"REST_HTTP",
		"protocol":"HTTP","version":"2.0","endpoint":{"addresses":[{"host":%q,"port":%s}]},"security":{"oAuth2Info":{"grantTypes":null,"tokenEndpoint":""}}}}`, name, host, port)
}

// urisOf are those that a consumer is shown.
func urisOf(t *testing.T, service map[string]any) (out []string) {
	t.Helper()
	endpoint := service["transportInfo"].(map[string]any)["endpoint"].(map[string]any)
	require.Nil(t, endpoint["addresses"])
	for _, u := range endpoint["uris"].([]any) {
		out = append(out, u.(string))
	}
	return out
}

// The way of a consumer to a service, through crashes of the server and losses of the gateway.
func TestConsumersCallServicesThroughTheGateway(t *testing.T) {
	t.Parallel()
	e := newEdgeGallery(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "face at "+r.URL.Path) }))
	defer backend.Close()
	const app = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
	s := mep.Start(t, append(e.settings(), mep.Fast...)...)

	posted := s.Want(201, "POST", "/mep"+mep.ServicesOf(app), sampleAt("face", strings.TrimPrefix(backend.URL, "http://"))).Object(t)
	require.Contains(t, fmt.Sprint(posted["transportInfo"]), "addresses:[map[host:127.0.0.1", "who registers is told what he registered")
	at := "/mep/mec_service_mgmt/v1/services/" + posted["serInstanceId"].(string)
	uris := urisOf(t, s.Want(200, "GET", at, "").Object(t))
	require.Len(t, uris, 1)
	require.Regexp(t, `^`+e.kong.URL+`/face[0-9a-f]{20}$`, uris[0])
	require.Equal(t, uris, urisOf(t, s.Want(200, "GET", "/mep/mec_service_mgmt/v1/services", "").List(t)[0]))

	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.ca.Pool, ServerName: "edgegallery", MinVersion: tls.VersionTLS12}}}
	_, err := client.Get(uris[0]) //nolint:noctx,bodyclose // it has a timeout, and fails
	require.Error(t, err, "whoever verifies names cannot talk to this gateway: the server can, by the common name")
	call := func(token string) string {
		r := httptest.NewRequest(http.MethodGet, strings.TrimPrefix(uris[0], e.kong.URL)+"/v1", nil)
		r.RemoteAddr = "127.0.0.1:1"
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		e.kong.Proxy().ServeHTTP(w, r)
		return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
	}
	token := e.auth.Token(app, "127.0.0.1")
	reached := func() bool { return call(token) == "200 face at /v1" }
	wait.Until(t, "the service is reached", reached)
	require.Equal(t, `401 {"message":"Unauthorized"}`, call(""))

	e.kong.Empty()
	s.Kill()
	s.Restart()
	require.Equal(t, uris, urisOf(t, s.Want(200, "GET", at, "").Object(t)), "a restart changes no URL")
	wait.Until(t, "the gateway is told again what it has lost", reached)

	e.kong.SetDown(true)
	began := time.Now()
	s.Want(201, "POST", "/mep"+mep.ServicesOf(app), sampleAt("later", "10.0.0.5:8080"))
	t.Logf("a registration without a gateway took %s", time.Since(began))
	s.Want(204, "DELETE", "/mep"+mep.ServicesOf(app)+"/"+posted["serInstanceId"].(string), "")
	s.Kill()
	s.Restart()
	e.kong.SetDown(false)
	wait.Until(t, "what was removed while the gateway was away is gone, and what is new is there", func() bool {
		services, routes, plugins := e.kong.Count() // a service goes in three requests
		if services != 1 || routes != 1 || plugins != 1 {
			return false
		}
		all := e.kong.Entries()
		for name, link := range all {
			return len(all) == 1 && strings.HasPrefix(name, "later") && link == "http://10.0.0.5:8080/"
		}
		return false
	})
}

// What an application may discover is mepauth's to say, and nobody's if it does not answer.
func TestMepauthSaysWhatAnApplicationDiscovers(t *testing.T) {
	t.Parallel()
	e := newEdgeGallery(t)
	const producer, consumer = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f", "9a2f6d1c-6b7e-4f0a-8f3d-0a8e5b9c7d21"
	s := mep.Start(t, append(e.settings("MEP_IDENTITY_PROXY_HEADER=X-AppinstanceID", "MEP_IDENTITY_PROXY_FROM=127.0.0.0/8"), mep.Fast...)...)
	for _, name := range []string{"face", "map"} {
		s.Want(201, "POST", "/mep"+mep.ServicesOf(producer), sampleAt(name, "10.0.0.5:8080"), "X-AppinstanceID", producer)
	}
	discovers := func() (names []string) {
		for _, one := range s.Want(200, "GET", "/mep/mec_service_mgmt/v1/services", "", "X-AppinstanceID", consumer).List(t) {
			names = append(names, one["serName"].(string))
		}
		return names
	}
	require.Empty(t, discovers(), "mepauth does not know the application")
	e.auth.Require(consumer, "map", "else")
	wait.Until(t, "the application is asked for again", func() bool { return len(discovers()) > 0 })
	require.Equal(t, []string{"map"}, discovers())
	require.Len(t, s.Want(200, "GET", "/mep"+mep.ServicesOf(producer), "", "X-AppinstanceID", producer).List(t), 2, "its own")
	e.auth.Intercept(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true })
	wait.Until(t, "what mepauth said counts no more", func() bool { return len(discovers()) == 0 })
	wait.Until(t, "the log says why", func() bool { return strings.Contains(s.Log(), "mepauth cannot be asked") })
	e.auth.Intercept(nil)
	e.auth.RequireText(consumer, "*")
	wait.Until(t, "all is discovered", func() bool { return len(discovers()) == 2 })
}
