//go:build linux

package oneport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mepauth"
)

// TestATokenOfMepauthProvesItsApplicationFromItsAddress: where its key is known, with and without
// the gateway.
func TestATokenOfMepauthProvesItsApplicationFromItsAddress(t *testing.T) {
	auth := mepauth.Start(t)
	w := newWorld(t, "MEP_EDGEGALLERY_TOKEN_KEY_FILE="+auth.KeyFile)
	const from = "10.244.0.9"
	good := auth.Token(app, from)
	parts := strings.Split(good, ".")
	gateway := func(token string) []string {
		return []string{"Authorization", "Bearer " + token, "X-AppinstanceID", app, "X-Forwarded-Host", "mep-api-gw.mep"}
	}
	direct := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	services := "/mep/mec_service_mgmt/v1/applications/" + app + "/services"
	for _, c := range []struct {
		name   string
		from   *namespace
		to     string
		header []string
		status int
	}{
		{"without the gateway", w.others, primary, direct(good), 200},
		{"with a header that counts for nothing", w.others, primary, append(direct(good), "X-AppinstanceID", other), 200},
		{"of another application", w.others, primary, direct(auth.Token(other, from)), 403},
		{"from another address", w.others, primary, direct(auth.Token(app, "10.244.0.7")), 401},
		{"from another network", w.applications, multus, direct(good), 401},
		{"from its own network", w.applications, multus, direct(auth.Token(app, "200.1.1.7")), 200},
		{"from an address in IPv6's form", w.others, primary, direct(auth.Token(app, "::ffff:"+from)), 200},
		{"from an unknown address", w.others, primary, direct(auth.Token(app, "UNKNOWN_IP")), 401},
		{"from no address", w.others, primary, direct(auth.Token(app, from, map[string]any{"clientip": nil})), 401},
		{"ended", w.others, primary, direct(auth.Token(app, from, map[string]any{"exp": 1})), 401},
		{"without an end", w.others, primary, direct(auth.Token(app, from, map[string]any{"exp": nil})), 401},
		{"for an audience", w.others, primary, direct(auth.Token(app, from, map[string]any{"aud": "mep"})), 401},
		{"of another issuer", w.others, primary, direct(auth.Token(app, from, map[string]any{"iss": "mepauth2"})), 401},
		{"unsigned", w.others, primary, direct(unsigned(app)), 401},
		{"by the gateway", w.pod, primary, gateway(good), 200},
		{"by the gateway, which has not verified it", w.pod, primary, gateway(parts[0] + "." + parts[1] + ".AAAA"), 401},
		{"by the gateway, of another application", w.pod, primary, gateway(auth.Token(other, from)), 401},
		{"by the gateway, whose header was taken away", w.pod, primary, direct(good), 401},
	} {
		require.Equal(t, c.status, w.send(t, w.client(c.from, c.to, false), "GET", services, c.header), c.name)
	}
}
