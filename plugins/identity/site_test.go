package identity

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// The addresses of a pod of EdgeGallery's platform, and of those that call it.
const (
	pod      = "10.244.0.8"
	multus   = "200.1.1.2" // of the pod, in a network of applications
	otherPod = "10.244.0.9"
	inMultus = "200.1.1.7"
	pod6     = "fd00::8"
)

// siteGate is the gate of EdgeGallery's site, with a mepauth.
type siteGate struct {
	*gate
	network *podNetwork
	since   time.Duration
	mepauth *rsa.PrivateKey
}

func newSiteGate(t testing.TB) *siteGate {
	g := &siteGate{gate: newGate(t), network: &podNetwork{routes: map[string]string{"0.0.0.0/0": pod, "200.1.1.0/24": multus, "172.16.0.0/12": multus}}}
	m := &machine{network: g.network, clock: func() time.Duration { return g.since }}
	g.site, g.routes.site = newSite(conf.Config{}, m), http.NewServeMux()
	g.proxy, g.tokens.verifier = newProxy(conf.ProxyIdentity{}), nil
	for _, r := range siteRoutes {
		g.Route(r.pattern, r.name, r.access)
	}
	return g
}

// by has a request come by a connection.
func by(local, peer string) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr = net.JoinHostPort(peer, "40000")
		*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(net.JoinHostPort(local, "8088"))))))
	}
}

func claiming(app string) func(*http.Request) { return with("X-AppinstanceID", app) }

// byKong is what the gateway adds to each request that it passes on.
func byKong(r *http.Request) {
	r.Header.Set("X-Forwarded-Host", "mep-api-gw.mep")
	r.Header.Set("X-Forwarded-Port", "8443")
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("X-Real-Ip", otherPod)
}

// passedOn is a request that the gateway passed on for an application: its header, its token,
// which here only looks like one, and its own headers.
func passedOn(app string) func(*http.Request) {
	return func(r *http.Request) {
		by(pod, pod)(r)
		byKong(r)
		claiming(app)(r)
		bearing(unsigned(app))(r)
	}
}

func unsigned(app string) string {
	return "eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCJ9." + jwtPart(map[string]any{"iss": "mepauth", "sub": app}) + ".AAAA"
}

func jwtPart(v any) string {
	b, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(b)
}

// siteRoutes has one route of each kind.
var siteRoutes = []struct {
	pattern, name string
	access        server.Access
	path          string
	answers       string // a digit for each of siteCallers: 2 served, 1 is 401, 3 is 403
}{
	//                                                                                                                                   kong    around      elsewhere    proxies, others' tokens
	{"GET /metrics", "mep.Metrics", server.Reading, "/metrics", "331 111 1111 11 11 111 111 11"},
	{"PUT /mep/mec_service_mgmt/v1/applications/{appInstanceId}/services/{serviceId}/liveness", "mp1.PutLiveness", server.Owner, "/mep/mec_service_mgmt/v1/applications/app/services/s/liveness", "231 111 1111 11 11 111 111 11"},
	{"GET /mep/mec_service_mgmt/v1/services", "mp1.GetServices", server.Identified, "/mep/mec_service_mgmt/v1/services", "221 122 2211 11 11 211 222 11"},
	{"GET /mep/mec_service_mgmt/v1/services/{serviceId}", "mp1.GetService", server.Identified, "/mep/mec_service_mgmt/v1/services/s", "221 122 2211 11 11 211 222 11"},
	{"GET /mep/mec_service_mgmt/v1/transports", "mp1.GetTransports", server.Identified, "/mep/mec_service_mgmt/v1/transports", "221 122 2211 11 11 211 222 11"},
	{"GET /mep/mec_app_support/v1/timing/current_time", "mp1.GetCurrentTime", server.Identified, "/mep/mec_app_support/v1/timing/current_time", "221 122 2211 11 11 211 222 11"},
	{"GET /mep/mec_app_support/v1/timing/timing_caps", "mp1.GetTimingCaps", server.Identified, "/mep/mec_app_support/v1/timing/timing_caps", "221 122 2211 11 11 211 222 11"},
	{"POST /mep/mec_app_support/v1/applications/{appInstanceId}/confirm_ready", "mp1.ConfirmReady", server.Owner, "/mep/mec_app_support/v1/applications/app/confirm_ready", "231 122 2211 11 11 211 222 11"},
	{"POST /mep/mec_app_support/v1/applications/{appInstanceId}/confirm_termination", "mp1.ConfirmTermination", server.Owner, "/mep/mec_app_support/v1/applications/app/confirm_termination", "231 122 2211 11 11 211 222 11"},
	{"POST /mep/mec_app_support/v1/applications/{appInstanceId}/subscriptions", "mp1.PostTerminationSubscription", server.Owner, "/mep/mec_app_support/v1/applications/app/subscriptions", "231 122 2211 11 11 211 222 11"},
	{"GET /mep/mec_app_support/v1/applications/{appInstanceId}/dns_rules", "mp1.GetDNSRules", server.Owner, "/mep/mec_app_support/v1/applications/app/dns_rules", "231 111 1111 11 11 111 111 11"},
	{"POST /mep/mec_service_mgmt/v1/applications/{appInstanceId}/subscriptions", "mp1.PostSubscription", server.Owner, "/mep/mec_service_mgmt/v1/applications/app/subscriptions", "231 111 1111 11 11 111 111 11"},
	{"POST /mep/service_govern/v1/kong_log", "mm5.PostKongLog", server.Mm5, "/mep/service_govern/v1/kong_log", "331 122 2233 33 31 213 222 11"},
	{"DELETE /mep/mec_app_support/v1/applications/{appInstanceId}/AppInstanceTermination", "mm5.Terminate", server.Mm5OrOwner, "/mep/mec_app_support/v1/applications/app/AppInstanceTermination", "231 122 2233 33 31 213 222 11"},
	{"POST /mepcfg/app_lcm/v1/applications/{appInstanceId}/appd_configuration", "mm5.PostAppD", server.Mm5, "/mepcfg/app_lcm/v1/applications/app/appd_configuration", "331 122 2233 33 31 213 222 11"},
	{"GET /ready", "mep.Ready", server.Open, "/ready", "221 122 2222 22 22 222 222 11"},
}

// siteCallers are who may call, in the order of siteRoutes' answers.
var siteCallers = []struct {
	name string
	sent func(*http.Request)
}{
	{"the gateway for the application", passedOn("app")},
	{"the gateway for another", passedOn("other")},
	{"the gateway with a header that its client brought", func(r *http.Request) { passedOn("other")(r); claiming("app")(r) }},
	{"the gateway whose client had the header taken away", func(r *http.Request) { passedOn("app")(r); delete(r.Header, gatewayHeader) }},
	{"somebody in the pod", by(pod, pod)},
	{"somebody on loopback", by("127.0.0.1", "127.0.0.1")},
	{"another pod", by(pod, otherPod)},
	{"another pod with the gateway's header", func(r *http.Request) { by(pod, otherPod)(r); claiming("app")(r) }},
	{"an application's network", by(multus, inMultus)},
	{"an application's network with the gateway's header", func(r *http.Request) { by(multus, inMultus)(r); claiming("app")(r) }},
	{"an application's network at the primary address", by(pod, inMultus)},
	{"a network behind the application's at the primary address", by(pod, "172.16.0.9")},
	{"a link-local address of the pod's", by("fe80::8%net1", "fe80::8%eth0")},
	{"the gateway by the name of the service, without the header", func(r *http.Request) { by(pod, "10.244.0.1")(r); byKong(r) }},
	{"another pod behind a proxy of its own", func(r *http.Request) { by(pod, otherPod)(r); byProxy(r) }},
	{"the same with what the gateway's plugin writes", func(r *http.Request) { by(pod, otherPod)(r); byProxy(r); with("X-Consumer-Id", "1")(r) }},
	{"an application's network behind a proxy", func(r *http.Request) { by(multus, inMultus)(r); byProxy(r) }},
	{"another pod with another platform's token", func(r *http.Request) {
		by(pod, otherPod)(r)
		bearing("eyJhbGciOiJub25lIn0." + jwtPart(map[string]any{"iss": "mecm"}) + ".AAAA")(r)
	}},
	{"another pod with a token that is none", func(r *http.Request) { by(pod, otherPod)(r); bearing("opaque")(r) }},
	{"another pod with a browser's password", func(r *http.Request) { by(pod, otherPod)(r); with("Authorization", "Basic YTpi")(r) }},
	{"another pod with two", func(r *http.Request) { by(pod, otherPod)(r); with("Authorization", "Basic YTpi", "Basic YTpi")(r) }},
	{"somebody in the pod with such a one", func(r *http.Request) { by(pod, pod)(r); with("Authorization", "Basic YTpi")(r) }},
}

// byProxy is what the proxy before EdgeGallery's portal may add.
func byProxy(r *http.Request) {
	r.Header.Set("X-Forwarded-Host", "portal.example")
	r.Header.Set("X-Forwarded-Port", "443, 30095")
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Forwarded", "host=portal.example")
}

// TestWhoMayUseWhatInEdgeGallerysSite is the table route × caller × answer.
func TestWhoMayUseWhatInEdgeGallerysSite(t *testing.T) {
	g := newSiteGate(t)
	for _, route := range siteRoutes {
		answers := strings.ReplaceAll(route.answers, " ", "")
		require.Len(t, answers, len(siteCallers), route.name)
		for i, c := range siteCallers {
			method, _, _ := strings.Cut(route.pattern, " ")
			got := g.status(method, route.path, route.name, route.access, c.sent)
			want := map[byte]int{'1': 401, '2': 200, '3': 403}[answers[i]]
			require.Equal(t, want, got, "%s: %s", route.name, c.name)
		}
	}
}

// status is what a request gets that comes through the door to its route.
func (g *siteGate) status(method, path, name string, a server.Access, sent ...func(*http.Request)) int {
	r := httptest.NewRequest(method, path, nil)
	for _, f := range sent {
		f(r)
	}
	w := httptest.NewRecorder()
	g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.True(g.t, plugins.CallerOf(r.Context()) != nil || r.Header[gatewayHeader] == nil, "the header of nobody is there still")
		app := ""
		if strings.Contains(path, "/applications/") {
			app = strings.Split(strings.SplitAfter(path, "/applications/")[1], "/")[0]
		}
		if err := g.Allow(r, name, a, app); err != nil {
			server.RefuseError(w, err, 1)
		}
	})).ServeHTTP(w, r)
	return w.Code
}

func TestTheGatewaysHeaderIsBelievedOfTheGatewayAlone(t *testing.T) {
	g := newSiteGate(t)
	who := g.takes(passedOn("app"))
	require.Equal(t, &plugins.Caller{Name: "app", App: "app", Roles: []string{"app"}, Source: "gateway"}, who)
	require.Equal(t, "app", g.takes(by(pod, pod), claiming("app")).App, "a gateway that adds nothing else")
	require.Equal(t, "app", g.takes(by("127.0.0.1", "127.0.0.1"), claiming("app"), bearing("opaque")).App)
	require.Equal(t, "app", g.takes(by("::ffff:"+pod, "::ffff:"+pod), claiming("app")).App, "an IPv4 address in IPv6's form")
	require.Equal(t, "app", g.takes(by("::1", "::1"), claiming("app")).App)
	for name, c := range map[string][]func(*http.Request){
		"twice":                        {passedOn("app"), with("X-AppinstanceID", "app", "app")},
		"of two":                       {passedOn("app"), with("X-AppinstanceID", "app", "other")},
		"empty":                        {passedOn("app"), with("X-AppinstanceID", "")},
		"a list":                       {passedOn("app"), claiming("app, other")},
		"a path":                       {passedOn("app"), claiming("../app")},
		"another's token":              {passedOn("app"), bearing(unsigned("other"))},
		"two tokens":                   {passedOn("app"), with("Authorization", "Bearer "+unsigned("app"), "Bearer "+unsigned("other"))},
		"a token in other words":       {passedOn("app"), with("Authorization", "x Bearer "+unsigned("app"))},
		"no token":                     {passedOn("app"), func(r *http.Request) { r.Header.Del("Authorization") }},
		"a token in the query":         {passedOn("app"), asking("jwt=" + unsigned("other"))},
		"the same, encoded":            {passedOn("app"), asking("x=1&%6awt=" + unsigned("other"))},
		"the same, encoded wrongly":    {passedOn("app"), asking("jw%t=" + unsigned("other"))},
		"the same, behind a semicolon": {passedOn("app"), asking("jwt=a;b")},
	} {
		g.refuses("proxy_header", c...)
		require.NotEmpty(t, name)
	}
	for _, peer := range []string{otherPod, inMultus, "10.244.0.80", "127.0.0.6", "::ffff:10.244.0.9", "fd00::9"} {
		_, _, inside := g.ask(by(pod, peer), claiming("app"), at("/health"))
		require.NotContains(t, inside.Header, gatewayHeader, peer)
		g.refuses("anonymous", by(pod, peer), claiming("app"), at("/metrics"))
	}
	g.refuses("anonymous", claiming("app"), at("/metrics"), by("fe80::8%net1", "fe80::8%eth0"))
	g.refuses("anonymous", claiming("app"), at("/metrics"), func(r *http.Request) { r.RemoteAddr = "@" })
}

// MECM names the application that it ends in the header too. A mistake there must end none.
func TestWhoNamesAnotherApplicationInTheHeaderEndsNone(t *testing.T) {
	g := newSiteGate(t)
	const path, name = "/mep/mec_app_support/v1/applications/app/AppInstanceTermination", "mm5.Terminate"
	from := by(pod, otherPod)
	require.Equal(t, 200, g.status("DELETE", path, name, server.Mm5OrOwner, from))
	require.Equal(t, 200, g.status("DELETE", path, name, server.Mm5OrOwner, from, claiming("app")))
	for _, values := range [][]string{{"other"}, {""}, {"APP"}, {"app, other"}, {"app", "app"}, {"app", "other"}} {
		require.Equal(t, 401, g.status("DELETE", path, name, server.Mm5OrOwner, from, with("X-AppinstanceID", values...)), "%q", values)
	}
	require.Equal(t, 403, g.status("DELETE", path, name, server.Mm5OrOwner, by(multus, inMultus), claiming("other")), "who may not is told that")
	require.Equal(t, 200, g.status("POST", "/mepcfg/app_lcm/v1/applications/app/appd_configuration", "mm5.PostAppD", server.Mm5, from, claiming("other")), "it is read nowhere else")
}

func asking(query string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = query }
}
