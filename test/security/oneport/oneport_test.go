//go:build linux

// Package oneport calls the built program as everybody of EdgeGallery's site does, who all come
// by one port: from its pod, from other pods and from the networks of applications, each in a
// network namespace of its own. The routes are those that the running server says it has. It
// knows the wire, and what the documents say about who may call what; it must not know how the
// program tells them apart.
//
// It needs Linux, its ip, unshare and nsenter, and the right to make namespaces. Elsewhere it
// skips, and says why.
package oneport

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }

const (
	// foreign is a token of another platform's, {"alg":"RS256"} and {"iss":"mecm"}.
	foreign = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJtZWNtIn0.AAAA"

	app   = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
	other = "9a2f6d1c-6b7e-4f0a-8f3d-0a8e5b9c7d21"
)

// route is a row of the server's own table.
type route struct{ Pattern, Name, Access string }

// around are the routes that EdgeGallery's applications and its portal call without the gateway.
var around = []string{"mp1.ConfirmReady", "mp1.ConfirmTermination", "mp1.PostTerminationSubscription", "mp1.GetTerminationSubscriptions",
	"mp1.GetTerminationSubscription", "mp1.DeleteTerminationSubscription", "mp1.GetServices", "mp1.GetService", "mp1.GetTransports",
	"mp1.GetCurrentTime", "mp1.GetTimingCaps"}

// exchanges are the routes at which credentials are exchanged for tokens.
var exchanges = []string{"POST /mep/token", "POST /oauth2/token", "POST /v4/token", "GET /login", "POST /login", "POST /logout"}

// caller is somebody of the site, and what becomes of his requests.
type caller struct {
	name   string
	from   *namespace
	to     string
	header []string // pairs
	is     kind
}

type kind int

const (
	owner    kind = iota // the gateway calls for the application
	stranger             // the gateway calls for another
	forged               // the gateway cannot have sent it like this
	unproved             // presents a credential that is not known, where only the gateway has any
	trusted              // proves nothing, at the primary address or on loopback
	mistaken             // trusted, with a header that names another application
	outside              // proves nothing, elsewhere
	passed               // proves nothing, and the gateway passed it on
)

// wanted is the refusal that a caller gets on a route; 0: none.
func (k kind) wanted(r route) int {
	mm5 := strings.HasPrefix(r.Access, "mm5")
	switch {
	case k == unproved && slices.Contains(exchanges, r.Pattern):
		return 0
	case k == forged, k == unproved, k == mistaken && r.Access == "mm5 or owner":
		return http.StatusUnauthorized
	case k == mistaken:
		return trusted.wanted(r)
	case r.Access == "open", k == trusted && (mm5 || slices.Contains(around, r.Name)):
		return 0
	case k == outside && mm5:
		return http.StatusForbidden
	case k == trusted, k == outside, k == passed:
		return http.StatusUnauthorized
	case r.Access == "owner" || r.Access == "mm5 or owner":
		return map[kind]int{stranger: http.StatusForbidden}[k]
	case r.Access == "identified", r.Access == "owner in body", r.Access == "owners in body":
		return 0
	}
	return http.StatusForbidden
}

// TestWhoMayCallWhatByOnePort is the table route × caller × answer.
func TestWhoMayCallWhatByOnePort(t *testing.T) {
	w := newWorld(t)
	kong := func(of, token string, more ...string) []string {
		return append([]string{"Authorization", "Bearer " + token, "X-AppinstanceID", of, "X-Forwarded-Host", "mep-api-gw.mep", "X-Forwarded-Port", "8443", "X-Forwarded-Proto", "https"}, more...)
	}
	callers := []caller{
		{"the gateway", w.pod, primary, kong(app, unsigned(app)), owner},
		{"the gateway on loopback", w.pod, loopback, kong(app, unsigned(app)), owner},
		{"the gateway for another", w.pod, primary, kong(other, unsigned(other)), stranger},
		{"the gateway, with a header of its client's", w.pod, primary, kong(app, unsigned(other)), forged},
		{"the gateway, with two headers", w.pod, primary, kong(app, unsigned(app), "x-appinstanceid", other), forged},
		{"the gateway, whose header was taken away", w.pod, primary, kong(app, unsigned(app))[4:], passed},
		{"a gateway that adds nothing, whose header was taken away", w.pod, primary, kong(app, unsigned(app))[:2], unproved},
		{"somebody in the pod", w.pod, primary, nil, trusted},
		{"somebody in the pod by IPv6", w.pod, primary6, nil, trusted},
		{"another pod", w.others, primary, nil, trusted},
		{"another pod by IPv6", w.others, primary6, nil, trusted},
		{"another pod, with the gateway's header", w.others, primary, []string{"X-AppinstanceID", app, "X-Real-Ip", "10.244.0.9"}, trusted},
		{"another pod, with the gateway's header for another", w.others, primary, []string{"X-AppinstanceID", other}, mistaken},
		{"another pod, as if it were the gateway", w.others, primary, kong(app, unsigned(app)), passed},
		{"the applications' network", w.applications, multus, nil, outside},
		{"the applications' network, with the gateway's header", w.applications, multus, []string{"X-APPINSTANCEID", app}, outside},
		{"the applications' network by IPv6", w.applications, multus6, nil, outside},
		{"the applications' network, at the primary address", w.applications, primary, nil, outside},
		{"the applications' network, at the primary address, with the gateway's header", w.applications, primary, []string{"x-appinstanceid", app}, outside},
		{"the applications' network, at the primary address by IPv6", w.applications, primary6, nil, outside},
	}
	proxy := []string{"X-Forwarded-Host", "portal.example", "X-Forwarded-Port", "443", "X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.9", "Forwarded", "host=portal.example"}
	callers = append(callers,
		caller{"another pod behind a proxy of its own", w.others, primary, proxy, trusted},
		caller{"another pod behind a proxy, by IPv6", w.others, primary6, proxy, trusted},
		caller{"another pod with tokens of MECM's", w.others, primary, []string{"access_token", unsigned(app), "Authorization", "Bearer " + foreign}, trusted},
		caller{"another pod with a browser's password", w.others, primary, []string{"Authorization", "Basic cG9ydGFsOnBvcnRhbA"}, trusted},
		caller{"somebody in the pod behind a proxy", w.pod, primary, proxy, passed},
		caller{"somebody in the pod with a browser's password", w.pod, primary, []string{"Authorization", "Basic cG9ydGFsOnBvcnRhbA"}, unproved},
		caller{"the applications' network behind a proxy", w.applications, multus, proxy, outside},
		caller{"the applications' network at the primary address, with tokens of MECM's", w.applications, primary, []string{"Authorization", "Bearer " + foreign}, outside})
	cells := 0
	for i, c := range callers {
		client := w.client(c.from, c.to, i%2 == 0)
		for _, r := range w.routes {
			method, path, known := r.request()
			if !known {
				continue
			}
			status := w.send(t, client, method, path, c.header)
			cells++
			switch want := c.is.wanted(r); {
			case want == 0:
				require.NotContains(t, []int{401, 403, 421}, status, "%s: %s", r.Pattern, c.name)
			default:
				require.Equal(t, want, status, "%s: %s", r.Pattern, c.name)
			}
		}
	}
	t.Logf("%d cells: %d routes, %d callers", cells, len(w.routes), len(callers))
	require.Greater(t, cells, 100*len(callers))
}

// TestAPathIsNoWayAround: what the gateway passes on by its prefixes may be written in many ways.
func TestAPathIsNoWayAround(t *testing.T) {
	w := newWorld(t)
	header := []string{"Authorization", "Bearer " + unsigned(app), "X-AppinstanceID", app, "X-Forwarded-Host", "mep-api-gw.mep"}
	victim := "/mep/mec_app_support/v1/applications/" + other
	for _, path := range []string{
		"/mep/mec_app_support/../service_govern/v1/services", "/mep/mec_app_support/..%2fservice_govern/v1/services",
		"/mep/mec_app_support/%2e%2e/service_govern/v1/services", "/mep/mec_app_support%2f..%2fservice_govern%2fv1%2fservices",
		"/mep/mec_app_support/..;/service_govern/v1/services", "//mep/service_govern/v1/services", "/mep//service_govern/v1/services",
		"/mep/mep/service_govern/v1/services", "/mep/mec_app_support/v1/../../service_govern/v1/services", "/mep/service_govern/v1/services",
		"/mep/service_govern/v1/services/", "/mep/service_govern%2fv1/services", "/MEP/service_govern/v1/services",
		"/mepcfg/mec_platform_config/v1/capabilities", "/mep/mec_service_mgmt/%2e%2e/%2e%2e/mepcfg/mec_platform_config/v1/capabilities",
		victim + "/AppInstanceTermination", "/mep/mec_app_support/v1/applications/" + app + "%2f..%2f" + other + "/AppInstanceTermination",
		"/mep/mec_app_support/v1/applications/" + app + "/../" + other + "/AppInstanceTermination", "/mec_app_support/v1/applications/" + other + "/AppInstanceTermination",
		victim + "/AppInstanceTermination?jwt=x", victim + "/AppInstanceTermination/", victim + "/appinstancetermination",
	} {
		for _, method := range []string{"GET", "DELETE", "POST", "HEAD", "PUT", "PATCH"} {
			status := w.sendLine(t, method+" "+path, header)
			require.GreaterOrEqual(t, status, 400, "%s %s", method, path)
			require.Less(t, status, 500, "%s %s", method, path)
		}
	}
}

// request is one for a route, if it has a method of its own.
func (r route) request() (method, path string, known bool) {
	method, path, known = strings.Cut(r.Pattern, " ")
	path = strings.NewReplacer("{appInstanceId}", app, "{$}", "").Replace(path)
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") || strings.HasPrefix(s, ":") {
			segments[i] = "unknown"
		}
	}
	return method, strings.Join(segments, "/"), known
}

func (w *world) readRoutes(t *testing.T) {
	var table struct{ Routes []route }
	require.NoError(t, json.Unmarshal(w.admin(t, "/routes"), &table))
	w.routes = table.Routes
	names := map[string]bool{}
	for _, r := range table.Routes {
		names[r.Name] = true
	}
	for _, name := range around {
		require.True(t, names[name], "there is no route %s any more", name)
	}
}
