package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

const appSupport = "/mec_app_support/v1/applications/"

// rulesOf is where the rules of an application are defined.
func rulesOf(app string) string { return "/mec_liveness/v1/applications/" + app + "/rules" }

func ruleFor(id, name, address, state string) string {
	kind := "IP_V4"
	if strings.Contains(address, ":") {
		kind = "IP_V6"
	}
	return fmt.Sprintf(`{"dnsRuleId":%q,"domainName":%q,"ipAddressType":%q,"ipAddress":%q,"ttl":30,"state":%q}`, id, name, kind, address, state)
}

func ruleSet(rules ...string) string { return `{"dnsRules":[` + strings.Join(rules, ",") + `]}` }

func hostsFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func startWithHosts(t *testing.T, path string, env ...string) *mep.Server {
	t.Helper()
	return mep.Start(t, append(append([]string{"MEP_RULES_DNS_DRIVER=hosts", "MEP_RULES_DNS_HOSTS_FILE=" + path}, env...), mep.Fast...)...)
}

// activated changes a rule to one that is to be ACTIVE, and waits until it is: the answer does not
// wait for who is slow to apply it.
func activated(s *mep.Server, path, body string, header ...string) (shown mep.Answer) {
	s.T().Helper()
	shown = s.Want(200, "PUT", path, body, header...)
	wait.Until(s.T(), "the rule is active", func() bool {
		if shown.Object(s.T())["state"] == "ACTIVE" {
			return true
		}
		shown = s.Want(200, "GET", path, "")
		return false
	})
	return shown
}

func TestRulesAreAppliedAndOutliveAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hosts")
	s := startWithHosts(t, path)
	traffic := `{"trafficRuleId":"t1","filterType":"FLOW","priority":1,"trafficFilter":[{"srcAddress":["192.0.2.0/24"],"dstPort":["80"]}],"action":"FORWARD_DECAPSULATED","dstInterface":{"interfaceType":"IP","dstIpAddress":"192.0.2.7"}}`
	s.Want(200, "PUT", rulesOf("app"), `{"dnsRules":[`+ruleFor("d1", "Web.Example.", "192.0.2.1", "INACTIVE")+`],"trafficRules":[`+traffic+`]}`)
	one, rule := appSupport+"app/dns_rules/d1", appSupport+"app/traffic_rules/t1"
	got := s.Want(200, "GET", one, "")
	require.JSONEq(t, ruleFor("d1", "web.example", "192.0.2.1", "INACTIVE"), string(got.Body))
	require.Len(t, s.Want(200, "GET", "/mep"+appSupport+"app/dns_rules", "").List(t), 1)
	s.Want(412, "PUT", one, `{"state":"ACTIVE"}`, "If-Match", "INVALID_ETAG")
	got = activated(s, one, `{"state":"ACTIVE"}`, "If-Match", got.Header.Get("ETag"))
	require.Contains(t, hostsFile(t, path), "192.0.2.1\tweb.example\n")
	require.Equal(t, got.Header.Get("ETag"), s.Want(200, "GET", one, "").Header.Get("ETag"))
	require.Equal(t, "INACTIVE", s.Want(200, "GET", rule, "").Object(t)["state"])
	require.Equal(t, "ACTIVE", s.Want(200, "PUT", rule, `{"TrafficRule":{"state":"ACTIVE"}}`).Object(t)["state"])
	require.Len(t, s.Want(200, "GET", appSupport+"app/traffic_rules", "").List(t), 1)

	s.Kill()
	require.NoError(t, os.Remove(path))
	s.Restart()
	require.Equal(t, "ACTIVE", s.Want(200, "GET", one, "").Object(t)["state"])
	require.Equal(t, "ACTIVE", s.Want(200, "GET", rule, "").Object(t)["state"])
	wait.Until(t, "the file is back", func() bool { b, _ := os.ReadFile(path); return strings.Contains(string(b), "web.example") })
	require.Equal(t, 1, s.Metric(`mep_rules_dns{state="ACTIVE"}`))
	require.Equal(t, 1, s.Metric(`mep_rules_traffic{state="ACTIVE"}`))
	s.Want(200, "PUT", rulesOf("app"), ruleSet())
	s.Want(404, "GET", one, "")
	s.Want(404, "PUT", rule, `{"state":"ACTIVE"}`)
	require.NotContains(t, hostsFile(t, path), "web.example")
}

func TestRulesThatAreWrongAreNotStored(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append([]string{"MEP_APPLICATIONS_ADMISSION=registered", "MEP_APPLICATIONS_KNOWN=app,other"}, mep.Fast...)...)
	good := ruleFor("d1", "a.example", "192.0.2.1", "ACTIVE")
	s.Want(200, "PUT", rulesOf("app"), ruleSet(good))
	require.Equal(t, "ACTIVE", s.Want(200, "GET", appSupport+"app/dns_rules/d1", "").Object(t)["state"], "without a driver what is wanted is so")
	for _, bad := range []string{"", "{}", "[]", `{"dnsRule":[]}`, ruleSet(good, good), ruleSet(ruleFor("d1", "*.example", "192.0.2.1", "ACTIVE")), ruleSet(ruleFor("d1", "localhost.", "192.0.2.1", "ACTIVE")),
		ruleSet(ruleFor("d1", "192.0.2.1", "192.0.2.1", "ACTIVE")), ruleSet(ruleFor("d1", "a..example", "192.0.2.1", "ACTIVE")), ruleSet(ruleFor("d1", "a b.example", "192.0.2.1", "ACTIVE")),
		ruleSet(ruleFor("d1", strings.Repeat("a", 64)+".example", "192.0.2.1", "ACTIVE")), ruleSet(ruleFor("d1", strings.Repeat("a.", 127)+"example", "192.0.2.1", "ACTIVE")),
		ruleSet(ruleFor("d1", `a.example\n192.0.2.9 b`, "192.0.2.1", "ACTIVE")), ruleSet(good, ruleFor("d2", "b.example", "192.0.2.256", "ACTIVE")), ruleSet(ruleFor("../x", "b.example", "192.0.2.1", "ACTIVE"))} {
		r := s.Do("PUT", rulesOf("app"), bad)
		require.Equal(t, 400, r.Status, bad)
		require.NotEmpty(t, r.Object(t)["detail"])
	}
	s.Want(409, "PUT", rulesOf("other"), ruleSet(ruleFor("x", "A.EXAMPLE.", "192.0.2.2", "ACTIVE")))
	require.Empty(t, s.Want(200, "GET", appSupport+"other/dns_rules", "").List(t))
	require.Len(t, s.Want(200, "GET", appSupport+"app/dns_rules", "").List(t), 1)
	r := s.Want(400, "PUT", appSupport+"app/dns_rules/d1", `{"domainName":"b.example"}`)
	require.Contains(t, r.Object(t)["detail"], "administrator")
	s.Want(404, "PUT", rulesOf("stranger"), ruleSet(good))
	s.Want(404, "GET", appSupport+"stranger/dns_rules", "")
	s.Want(404, "PUT", appSupport+"stranger/dns_rules/d1", `{"state":"ACTIVE"}`)
	s.Want(405, "DELETE", rulesOf("app"), "")
	require.Equal(t, 200, s.Admin("GET", rulesOf("app"), "").Status, "the admin socket has it, too")
}

func TestADriverThatCannotWriteLeavesTheReason(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	path := filepath.Join(dir, "hosts")
	s := startWithHosts(t, path, "MEP_APPLICATIONS_ADMISSION=registered")
	s.Want(201, "POST", registrations, appInfo("app"))
	s.Want(200, "PUT", rulesOf("app"), ruleSet(ruleFor("d1", "a.example", "192.0.2.1", "INACTIVE")))
	begun := time.Now()
	require.Equal(t, "INACTIVE", s.Want(200, "PUT", appSupport+"app/dns_rules/d1", `{"state":"ACTIVE"}`).Object(t)["state"])
	t.Logf("answered after %s", time.Since(begun).Round(time.Millisecond))
	view := s.Want(200, "GET", rulesOf("app"), "").Object(t)
	shown := view["dnsRules"].([]any)[0].(map[string]any)
	require.Equal(t, "ACTIVE", shown["wantedState"])
	require.Contains(t, shown["reason"], "no such file or directory")
	require.Contains(t, view["driver"].(map[string]any)["reason"], path)
	require.Equal(t, 1, s.Metric("mep_rules_names_failing"))

	require.NoError(t, os.Mkdir(dir, 0o755))
	wait.Until(t, "the rule is active", func() bool {
		return s.Want(200, "GET", appSupport+"app/dns_rules/d1", "").Object(t)["state"] == "ACTIVE"
	})
	require.Contains(t, hostsFile(t, path), "a.example")

	// the application leaves while nothing can be written, and is back with the same rules
	require.NoError(t, os.Rename(dir, dir+".gone"))
	s.Want(204, "DELETE", registrations+"/app", "")
	s.Want(404, "GET", appSupport+"app/dns_rules", "")
	s.Want(201, "POST", registrations, appInfo("app"))
	require.Empty(t, s.Want(200, "GET", appSupport+"app/dns_rules", "").List(t))
	s.Want(200, "PUT", rulesOf("app"), ruleSet(ruleFor("d2", "a.example", "192.0.2.2", "ACTIVE"), ruleFor("d3", "b.example", "2001:db8::1", "INACTIVE")))
	s.Kill()
	require.NoError(t, os.Rename(dir+".gone", dir))
	require.Contains(t, hostsFile(t, path), "192.0.2.1\ta.example")
	s.Restart()
	wait.Until(t, "the new rule is active", func() bool {
		return s.Want(200, "GET", appSupport+"app/dns_rules/d2", "").Object(t)["state"] == "ACTIVE"
	})
	require.Equal(t, "192.0.2.2\ta.example\n", strings.SplitAfterN(hostsFile(t, path), "\n", 2)[1])
	s.Want(204, "DELETE", registrations+"/app", "")
	wait.Until(t, "the file is empty", func() bool { return strings.Count(hostsFile(t, path), "\n") == 1 })
	wait.Until(t, "nothing is left to remove", func() bool { return s.Metric("mep_rules_names_removing") == 0 })
}
