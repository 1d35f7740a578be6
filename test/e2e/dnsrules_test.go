package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/nameserver"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

const dnsRule = "/mec_app_support/v1/applications/app-1/dns_rules/r1"

// definition is that of the rule r1 of app-1, which waits for the application to activate it.
func definition(name, address string) string {
	return fmt.Sprintf(`{"dnsRules":[{"dnsRuleId":"r1","domainName":%q,"ipAddressType":"IP_V4","ipAddress":%q,"ttl":60}],"trafficRules":[]}`, name, address)
}

func activation(name, address string) string {
	return fmt.Sprintf(`{"dnsRuleId":"r1","domainName":%q,"ipAddressType":"IP_V4","ipAddress":%q,"ttl":60,"state":"ACTIVE"}`, name, address)
}

const rulesOfApp1 = "/mec_liveness/v1/applications/app-1/rules"

func TestANameResolvesByUpdatesOfItsZone(t *testing.T) {
	t.Parallel()
	ns := nameserver.Start(t)
	key := nameserver.WriteKey(t, "mep", nameserver.Algorithm, nameserver.Secret)
	s := mep.Start(t, append([]string{"MEP_RULES_DNS_DRIVER=rfc2136", "MEP_RULES_DNS_SERVER=" + ns.Address, "MEP_RULES_DNS_ZONE=apps.edge.example", "MEP_RULES_DNS_TSIG_KEY_FILE=" + key}, mep.Fast...)...)
	const name = "cam.apps.edge.example"
	serves := func(address string) bool {
		got := ns.Serves(name, nameserver.A)
		return len(got) == 1 && strings.HasSuffix(got[0], "\t60\tIN\tA\t"+address)
	}
	state := func() any { return s.Want(200, "GET", dnsRule, "").Object(t)["state"] }

	r := s.Want(400, "PUT", rulesOfApp1, definition("cam.example.org", "10.0.0.1"))
	require.Contains(t, r.Object(t)["detail"], "apps.edge.example")
	require.Empty(t, ns.Updates(), "what is not of the zone is never sent")

	s.Want(200, "PUT", rulesOfApp1, definition(name, "10.0.0.1"))
	require.Equal(t, "INACTIVE", state())
	require.Empty(t, ns.Serves(name, nameserver.A))
	activated(s, dnsRule, activation(name, "10.0.0.1"))
	require.True(t, serves("10.0.0.1"))

	ns.Refuse(nameserver.Refused)
	require.Equal(t, "INACTIVE", s.Want(200, "PUT", dnsRule, activation(name, "10.0.0.2")).Object(t)["state"])
	wait.Until(t, "the reason", func() bool {
		return strings.Contains(string(s.Want(200, "GET", rulesOfApp1, "").Body), "REFUSED, it does not let us change this name")
	})
	require.True(t, serves("10.0.0.1"), "what was served stays")
	s.Kill()
	ns.Refuse(0)
	s.Restart()
	wait.Until(t, "the rule to be applied by the next process", func() bool { return state() == "ACTIVE" && serves("10.0.0.2") })

	s.Want(200, "PUT", rulesOfApp1, `{"dnsRules":[],"trafficRules":[]}`)
	wait.Until(t, "the name to go with its rule", func() bool { return len(ns.Serves(name, nameserver.A)) == 0 })
	require.NotContains(t, s.Log(), nameserver.Secret)
}

func TestAKeyThatCannotBeUsedIsAFaultOfTheConfiguration(t *testing.T) {
	t.Parallel()
	key := nameserver.WriteKey(t, "mep", "hmac-md5", nameserver.Secret)
	refused := func() string {
		code, p := proc.Command{Program: mep.Binary(), Env: []string{"MEP_RULES_DNS_DRIVER=rfc2136", "MEP_RULES_DNS_SERVER=127.0.0.1:53",
			"MEP_RULES_DNS_ZONE=apps.edge.example", "MEP_RULES_DNS_TSIG_KEY_FILE=" + key}}.Run(t, time.Minute)
		require.Equal(t, 1, code)
		require.NotContains(t, p.Both.String(), nameserver.Secret)
		return p.Stderr.String()
	}
	require.Regexp(t, `^MEP_RULES_DNS_TSIG_KEY_FILE: rules.dns.tsigKeyFile: ".*" must have the algorithm hmac-sha256, hmac-sha384 or hmac-sha512; .*\n$`, refused())
	require.NoError(t, os.Chmod(key, 0o644)) //nolint:gosec // which is what is refused
	require.Regexp(t, `rules.dns.tsigKeyFile: ".*" has the mode 0644: .*; chmod 600 makes it private\n$`, refused())
}

// dnsServer answers as EdgeGallery's dns-server does: PUT of what is not there is a 400, and so
// is POST of what is; DELETE of what is not there is a 500.
type dnsServer struct {
	mu      sync.Mutex
	records map[string]string
	down    bool
}

func (d *dnsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const root = "/mep/dns_server_mgmt/v1/rrecord"
	body, _ := io.ReadAll(r.Body)
	var rr struct{ Name, Type, Class string }
	_ = json.Unmarshal(body, &rr)
	key := strings.TrimPrefix(r.URL.Path, root+"/")
	if r.Method == http.MethodPost {
		key = rr.Name + "/" + rr.Type
	}
	_, exists := d.records[key]
	switch {
	case d.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodDelete && !exists, rr.Class == "*" && exists:
		w.WriteHeader(http.StatusInternalServerError)
	case r.Method == http.MethodDelete:
		delete(d.records, key)
	case r.URL.Query().Get("zone") != ".", (r.Method == http.MethodPut) != exists:
		w.WriteHeader(http.StatusBadRequest)
	default:
		d.records[key] = string(body)
	}
}

func (d *dnsServer) set(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *dnsServer) has() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprint(d.records)
}

func TestANameResolvesByEdgeGallerysServer(t *testing.T) {
	t.Parallel()
	d := &dnsServer{records: map[string]string{}}
	listening := httptest.NewServer(d)
	defer listening.Close()
	s := mep.Start(t, append([]string{"MEP_RULES_DNS_DRIVER=edgegallery", "MEP_RULES_DNS_URL=" + listening.URL}, mep.Fast...)...)
	const name = "cam.mec.example"
	s.Want(200, "PUT", rulesOfApp1, definition(name, "10.0.0.1"))
	activated(s, dnsRule, activation(name, "10.0.0.1"))
	require.Equal(t, `map[cam.mec.example./A:{"name":"cam.mec.example.","type":"A","class":"IN","ttl":60,"rData":["10.0.0.1"]}]`, d.has())
	d.set(true)
	require.Equal(t, "INACTIVE", s.Want(200, "PUT", dnsRule, activation(name, "10.0.0.2")).Object(t)["state"])
	d.set(false)
	wait.Until(t, "the rule to be applied", func() bool { return s.Want(200, "GET", dnsRule, "").Object(t)["state"] == "ACTIVE" })
	require.Contains(t, d.has(), "10.0.0.2")
	s.Want(200, "PUT", rulesOfApp1, `{"dnsRules":[],"trafficRules":[]}`)
	wait.Until(t, "the name to go with its rule", func() bool { return d.has() == "map[]" })
}
