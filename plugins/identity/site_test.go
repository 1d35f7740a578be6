package identity

import (
	"context"
	"crypto"
	"crypto/rand"
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

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

// The addresses of a pod of EdgeGallery's platform, and of those that call it.
const (
	pod      = "10.244.0.8"
	multus   = "200.1.1.2" // of the pod, in a network of applications
	otherPod = "10.244.0.9"
	inMultus = "200.1.1.7"
	pod6     = "fd00::8"
)

// podNetwork is the network of the pod.
type podNetwork struct {
	names  []netip.Addr
	routes map[string]string // prefix: source
	asked  int
}

func (n *podNetwork) addresses() map[netip.Addr]string {
	n.asked++
	return map[netip.Addr]string{netip.MustParseAddr(pod): "eth0", netip.MustParseAddr("10.244.0.80"): "eth0", netip.MustParseAddr(multus): "net1",
		netip.MustParseAddr("127.0.0.1"): "lo", netip.MustParseAddr(pod6): "eth0", netip.MustParseAddr("2001:db8:1::2"): "net1"}
}

func (n *podNetwork) named() []netip.Addr { return n.names }

func (n *podNetwork) source(to netip.Addr) (best netip.Addr) {
	n.asked++
	bits := -1
	for prefix, from := range n.routes {
		if p := netip.MustParsePrefix(prefix); p.Contains(to) && p.Bits() > bits {
			best, bits = netip.MustParseAddr(from), p.Bits()
		}
	}
	return best
}

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
	g.site, g.routes.site = newSite(conf.Identities{}, m), http.NewServeMux()
	g.proxy, g.tokens.verifier = newProxy(conf.ProxyIdentity{}), nil
	for _, r := range siteRoutes {
		g.Route(r.pattern, r.name, r.access)
	}
	return g
}

// knowsMepauth has the platform know the key of mepauth.
func (g *siteGate) knowsMepauth() {
	var err error
	g.mepauth, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(g.t, err)
	g.tokens.mepauth = mepauthVerifier(&heldKeys{keys.NewSet([]*keys.Key{{Public: g.mepauth.Public()}})})
}

// mepauthToken makes a token of mepauth; nil leaves a claim out.
func (g *siteGate) mepauthToken(key crypto.Signer, change map[string]any) string {
	claims := map[string]any{"iss": "mepauth", "sub": "app", "exp": g.now.Unix() + 3600, "clientip": otherPod}
	for k, v := range change {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	body, err := json.Marshal(claims)
	require.NoError(g.t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS512, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(g.t, err)
	signed, err := signer.Sign(body)
	require.NoError(g.t, err)
	raw, err := signed.CompactSerialize()
	require.NoError(g.t, err)
	return raw
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
	//                                                                                                                                   kong    around      elsewhere
	{"GET /metrics", "mep.Metrics", server.Reading, "/metrics", "331 111 1111 11 11"},
	{"PUT /mep/mec_service_mgmt/v1/applications/{appInstanceId}/services/{serviceId}/liveness", "mp1.PutLiveness", server.Owner, "/mep/mec_service_mgmt/v1/applications/app/services/s/liveness", "231 111 1111 11 11"},
	{"GET /mep/mec_service_mgmt/v1/services", "mp1.GetServices", server.Identified, "/mep/mec_service_mgmt/v1/services", "221 122 2211 11 11"},
	{"GET /mep/mec_service_mgmt/v1/services/{serviceId}", "mp1.GetService", server.Identified, "/mep/mec_service_mgmt/v1/services/s", "221 122 2211 11 11"},
	{"GET /mep/mec_service_mgmt/v1/transports", "mp1.GetTransports", server.Identified, "/mep/mec_service_mgmt/v1/transports", "221 122 2211 11 11"},
	{"GET /mep/mec_app_support/v1/timing/current_time", "mp1.GetCurrentTime", server.Identified, "/mep/mec_app_support/v1/timing/current_time", "221 122 2211 11 11"},
	{"GET /mep/mec_app_support/v1/timing/timing_caps", "mp1.GetTimingCaps", server.Identified, "/mep/mec_app_support/v1/timing/timing_caps", "221 122 2211 11 11"},
	{"POST /mep/mec_app_support/v1/applications/{appInstanceId}/confirm_ready", "mp1.ConfirmReady", server.Owner, "/mep/mec_app_support/v1/applications/app/confirm_ready", "231 122 2211 11 11"},
	{"POST /mep/mec_app_support/v1/applications/{appInstanceId}/confirm_termination", "mp1.ConfirmTermination", server.Owner, "/mep/mec_app_support/v1/applications/app/confirm_termination", "231 122 2211 11 11"},
	{"POST /mep/mec_app_support/v1/applications/{appInstanceId}/subscriptions", "mp1.PostTerminationSubscription", server.Owner, "/mep/mec_app_support/v1/applications/app/subscriptions", "231 122 2211 11 11"},
	{"GET /mep/mec_app_support/v1/applications/{appInstanceId}/dns_rules", "mp1.GetDNSRules", server.Owner, "/mep/mec_app_support/v1/applications/app/dns_rules", "231 111 1111 11 11"},
	{"POST /mep/mec_service_mgmt/v1/applications/{appInstanceId}/subscriptions", "mp1.PostSubscription", server.Owner, "/mep/mec_service_mgmt/v1/applications/app/subscriptions", "231 111 1111 11 11"},
	{"POST /mep/service_govern/v1/kong_log", "mm5.PostKongLog", server.Mm5, "/mep/service_govern/v1/kong_log", "331 122 2233 33 31"},
	{"DELETE /mep/mec_app_support/v1/applications/{appInstanceId}/AppInstanceTermination", "mm5.Terminate", server.Mm5OrOwner, "/mep/mec_app_support/v1/applications/app/AppInstanceTermination", "231 122 2233 33 31"},
	{"POST /mepcfg/app_lcm/v1/applications/{appInstanceId}/appd_configuration", "mm5.PostAppD", server.Mm5, "/mepcfg/app_lcm/v1/applications/app/appd_configuration", "331 122 2233 33 31"},
	{"GET /ready", "mep.Ready", server.Open, "/ready", "221 122 2222 22 22"},
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

func asking(query string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = query }
}

func TestATokenOfMepauthCountsWithoutTheGateway(t *testing.T) {
	g := newSiteGate(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	without := g.mepauthToken(stranger, nil)
	g.refuses("anonymous", by(pod, otherPod), bearing(without), at("/metrics"))
	require.Nil(t, g.takes(by(pod, otherPod), bearing(without), at("/mep/mec_service_mgmt/v1/services")), "whose key is not known proves nothing")
	g.refuses("issuer", by(pod, pod), bearing(without), at("/mep/mec_service_mgmt/v1/services"))
	g.refuses("issuer", by(pod, otherPod), bearing(g.mepauthToken(stranger, map[string]any{"iss": "x"})))
	g.knowsMepauth()
	good := g.mepauthToken(g.mepauth, nil)
	require.Equal(t, &plugins.Caller{Name: "app", App: "app", Roles: []string{"app"}, Source: "token"}, g.takes(by(pod, otherPod), bearing(good)))
	require.Equal(t, "app", g.takes(by(multus, "::ffff:"+otherPod), bearing(good)).App)
	roles := g.mepauthToken(g.mepauth, map[string]any{"roles": "admin", "apps": []string{"b"}})
	require.Equal(t, []string{"app"}, g.takes(by(pod, otherPod), bearing(roles)).Roles, "mepauth gives no roles")
	for fault, change := range map[string]map[string]any{
		"claims":          {"exp": nil},
		"expired":         {"exp": g.now.Unix()},
		"audience":        {"aud": "mep"},
		"address_binding": {"clientip": inMultus},
	} {
		g.refuses(fault, by(pod, otherPod), bearing(g.mepauthToken(g.mepauth, change)))
	}
	for _, bound := range []any{nil, "", "UNKNOWN_IP", 1, "10.244.0.9 ", otherPod + "/32", "::"} {
		g.refuses("address_binding", by(pod, otherPod), bearing(g.mepauthToken(g.mepauth, map[string]any{"clientip": bound})))
	}
	g.refuses("claims", by(pod, otherPod), bearing(g.mepauthToken(g.mepauth, map[string]any{"sub": "../x"})))
	g.refuses("address_binding", by(pod, inMultus), bearing(good))
	g.refuses("unknown_key", by(pod, otherPod), bearing(without))
	g.refuses("algorithm", by(pod, otherPod), bearing(strings.Replace(good, strings.Split(good, ".")[0], jwtPart(map[string]any{"alg": "none"}), 1)))
}

func TestATokenThatTheGatewayPassesOnMustBeOfWhomItNames(t *testing.T) {
	g := newSiteGate(t)
	g.knowsMepauth()
	good := g.mepauthToken(g.mepauth, nil)
	who := g.takes(passedOn("app"), bearing(good))
	require.Equal(t, "gateway", who.Source)
	g.refuses("proxy_header", passedOn("other"), bearing(good))
	g.refuses("malformed", passedOn("app"), bearing("opaque"))
	g.refuses("unknown_key", passedOn("app"), bearing(strings.Join([]string{strings.Split(good, ".")[0], strings.Split(good, ".")[1], "AAAA"}, ".")))
	before := g.reads
	g.takes(passedOn("app"), bearing(good))
	require.Equal(t, before, g.reads, "it is verified once")
}

func TestThePrimaryAddressIsThePodsOwn(t *testing.T) {
	parse := func(texts ...string) (out []netip.Addr) {
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out
	}
	defaults := map[string]string{"0.0.0.0/0": pod, "::/0": pod6}
	for _, c := range []struct {
		name   string
		names  []netip.Addr
		routes map[string]string
		want   []netip.Addr
	}{
		{"as Kubernetes names it", parse(pod, pod6), nil, parse(pod, pod6)},
		{"though another network took the default route over", parse(pod), map[string]string{"0.0.0.0/0": multus}, parse(pod)},
		{"by the default route", nil, defaults, parse(pod, pod6)},
		{"not by a name on loopback", parse("127.0.0.1"), defaults, parse(pod, pod6)},
		{"not by a name of another machine's", parse("10.244.0.9"), defaults, parse(pod, pod6)},
		{"not by a route that the applications' network announced", nil, map[string]string{"0.0.0.0/0": pod, "::/0": "2001:db8:1::2"}, parse(pod)},
		{"of IPv6 alone", nil, map[string]string{"::/0": pod6}, parse(pod6)},
		{"not in a network of addresses for documents", nil, map[string]string{"0.0.0.0/0": pod, "192.0.2.0/24": multus, "198.51.100.0/24": multus, "203.0.113.0/24": multus}, parse(pod)},
		{"none", nil, nil, nil},
	} {
		n := &podNetwork{names: c.names, routes: c.routes}
		require.Equal(t, c.want, primaryOf(n, n.addresses()), c.name)
	}
}

func TestWhatIsKnownOfTheNetworksIsKeptForAWhile(t *testing.T) {
	g := newSiteGate(t)
	m := g.site.machine
	admits := func(peer string) bool { return m.admits(netip.MustParseAddr(pod), netip.MustParseAddr(peer)) }
	require.True(t, admits(otherPod))
	asked := g.network.asked
	require.True(t, admits(otherPod))
	require.Equal(t, asked, g.network.asked)
	g.network.routes["10.244.0.9/32"] = multus
	require.True(t, admits(otherPod))
	g.since += knownFor + 1
	require.False(t, admits(otherPod))
	g.network.routes["10.244.0.9/32"] = "10.244.0.80"
	g.since += knownFor + 1
	require.True(t, admits(otherPod), "another address of the same network")
	for i := range 2 * mostRoutes {
		admits(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())
	}
	require.LessOrEqual(t, len(m.routes), mostRoutes)
	require.True(t, admits("10.1.7.255"), "there is an answer without room, too")
}

func TestTheKernelSaysWhichAddressesAreOurs(t *testing.T) {
	own := kernel{}.addresses()
	require.NotEmpty(t, own[netip.MustParseAddr("127.0.0.1")])
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), kernel{}.source(netip.MustParseAddr("127.0.0.1")))
	for _, a := range (kernel{}).named() {
		require.True(t, a.IsValid())
	}
}
