package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/nameserver"
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
	require.Equal(t, "ACTIVE", s.Want(200, "PUT", dnsRule, activation(name, "10.0.0.1")).Object(t)["state"])
	require.True(t, serves("10.0.0.1"))

	ns.Refuse(nameserver.Refused)
	require.Equal(t, "INACTIVE", s.Want(200, "PUT", dnsRule, activation(name, "10.0.0.2")).Object(t)["state"])
	wait.For(t, "the reason", func() bool {
		return strings.Contains(string(s.Want(200, "GET", rulesOfApp1, "").Body), "REFUSED, it does not let us change this name")
	})
	require.True(t, serves("10.0.0.1"), "what was served stays")
	s.Kill()
	ns.Refuse(0)
	s.Restart()
	wait.For(t, "the rule to be applied by the next process", func() bool { return state() == "ACTIVE" && serves("10.0.0.2") })

	s.Want(200, "PUT", rulesOfApp1, `{"dnsRules":[],"trafficRules":[]}`)
	wait.For(t, "the name to go with its rule", func() bool { return len(ns.Serves(name, nameserver.A)) == 0 })
	require.NotContains(t, s.Log(), nameserver.Secret)
}

func TestAKeyThatCannotBeUsedIsAFaultOfTheConfiguration(t *testing.T) {
	t.Parallel()
	key := nameserver.WriteKey(t, "mep", "hmac-md5", nameserver.Secret)
	env := []string{"MEP_RULES_DNS_DRIVER=rfc2136", "MEP_RULES_DNS_SERVER=127.0.0.1:53", "MEP_RULES_DNS_ZONE=apps.edge.example", "MEP_RULES_DNS_TSIG_KEY_FILE=" + key}
	_, errs := refusesToStart(t, env)
	require.Contains(t, errs, "MEP_RULES_DNS_TSIG_KEY_FILE: rules.dns.tsigKeyFile: ")
	require.Contains(t, errs, "must have the algorithm hmac-sha256, hmac-sha384 or hmac-sha512")
	require.NotContains(t, errs, nameserver.Secret)
	require.NoError(t, os.WriteFile(key, []byte(strings.Replace(read(t, key), "hmac-md5", "hmac-sha256", 1)), 0o600))
	require.NoError(t, os.Chmod(key, 0o644)) //nolint:gosec // which is what is refused
	_, errs = refusesToStart(t, env)
	require.Contains(t, errs, "has the mode 0644")
}
