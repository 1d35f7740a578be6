package conformance

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/wait"
)

// The suite's rules have this id, and its data are those of the suites.
const ruleID = "e0deee2b-6e50-4f33-ab09-8bf0585025d3"

// rulesOf is where the platform's side defines the rules of an application.
func rulesOf(app string) string { return "/mec_liveness/v1/applications/" + app + "/rules" }

// dnsRule is the suite's, under a domain name of the test's own.
func dnsRule(t *testing.T, id, state string) string {
	return fmt.Sprintf(`{"dnsRuleId":%q,"domainName":%q,"ipAddressType":"IP_V4","ipAddress":"146.241.7.3","ttl":300,"state":%q}`, id, domain(t), state)
}

func domain(t *testing.T) string {
	return strings.ToLower(strings.ReplaceAll(t.Name(), "_", "-")) + ".example.com"
}

// trafficRule is the suite's with all of its oddities: an interface for DROP, HTTP as protocol of
// packets, and token, which v2.1.1 had in the place of tag.
func trafficRule(id, action, state string) string {
	filter := func(net int, token string) string {
		return fmt.Sprintf(`{"srcAddress":["192.%[1]d.1.1","192.%[1]d.2.1"],"dstAddress":["192.%[1]d.1.2"],"srcPort":["30078","1029"],"dstPort":["30099"],"protocol":["TCP","HTTP","UDP"],
			"token":[%[2]q],"srcTunnelAddress":["159.10.1.1"],"tgtTunnelAddress":["159.10.1.2"],"srcTunnelPort":["5566"],"dstTunnelPort":["5576"],"qCI":1,"dSCP":0,"tC":1}`, net, token)
	}
	return fmt.Sprintf(`{"trafficRuleId":%q,"filterType":"FLOW","priority":1,"trafficFilter":[%s,%s],"action":%q,"state":%q,
		"dstInterface":{"interfaceType":"TUNNEL","tunnelInfo":{"tunnelType":"GTP_U","tunnelDstAddress":"169.54.61.15","tunnelSrcAddress":"169.54.61.31"},
		"srcMacAddress":"fc:3f:2b:42:dc:ba","dstMacAddress":"02:42:2c:58:6a:7d"}}`, id, filter(168, "reprehenderit esse"), filter(157, "token"), action, state)
}

// define has the platform's side define a rule of each kind.
func (p *platform) define(state string) {
	p.t.Helper()
	p.want(http.StatusOK, "PUT", rulesOf(p.app), `{"dnsRules":[`+dnsRule(p.t, ruleID, state)+`],"trafficRules":[`+trafficRule(ruleID, "PASSTHROUGH", state)+`]}`)
}

func (p *platform) dns(id string) string     { return p.support("/dns_rules/" + id) }
func (p *platform) traffic(id string) string { return p.support("/traffic_rules/" + id) }

func TestDNS_001_OK(t *testing.T) {
	p := begin(t, "7.2.9.3.1", "GET /applications/{a}/dns_rules: 200, an array of DnsRule")
	require.Empty(t, p.want(http.StatusOK, "GET", p.support("/dns_rules"), "").List(t))
	p.define("INACTIVE")
	list := p.want(http.StatusOK, "GET", p.support("/dns_rules"), "").List(t)
	require.Len(t, list, 1)
	require.Equal(t, map[string]any{"dnsRuleId": ruleID, "domainName": domain(t), "ipAddressType": "IP_V4", "ipAddress": "146.241.7.3", "ttl": 300., "state": "INACTIVE"}, list[0])
}

func TestDNS_001_NF(t *testing.T) {
	p := begin(t, "7.2.9.3.1", "GET of an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "GET", supportOf(unknownApp, "/dns_rules"), "")
}

func TestDNS_002_OK(t *testing.T) {
	p := begin(t, "7.2.10.3.1", "GET one rule: 200, the same dnsRuleId")
	p.define("INACTIVE")
	require.Equal(t, ruleID, p.want(http.StatusOK, "GET", p.dns(ruleID), "").Object(t)["dnsRuleId"])
}

func TestDNS_002_NF(t *testing.T) {
	p := begin(t, "7.2.10.3.1", "GET an unknown dnsRuleId: 404")
	p.want(http.StatusNotFound, "GET", p.dns("NON_EXISTENT_DNS_RULE_ID"), "")
}

func TestDNS_003_OK(t *testing.T) {
	p := begin(t, "7.2.10.3.2", "PUT a rule, with another dnsRuleId in the body, without and with its ETag: 200, the dnsRuleId of the URI, the ipAddress that was sent")
	p.define("INACTIVE")
	r := p.want(http.StatusOK, "PUT", p.dns(ruleID), dnsRule(t, "DnsRule1", "ACTIVE"))
	r = p.want(http.StatusOK, "PUT", p.dns(ruleID), strings.Replace(dnsRule(t, "DnsRule1", "ACTIVE"), "146.241.7.3", "146.241.7.4", 1), "If-Match", r.Header.Get("ETag"))
	m := r.Object(t)
	require.Equal(t, ruleID, m["dnsRuleId"])
	require.Equal(t, "146.241.7.4", m["ipAddress"])
}

func TestDNS_003_BR(t *testing.T) {
	p := begin(t, "7.2.10.3.2", "PUT with an unknown state: 400, and nothing changes")
	p.define("INACTIVE")
	before := p.want(http.StatusOK, "GET", p.dns(ruleID), "").Body
	p.want(http.StatusBadRequest, "PUT", p.dns(ruleID), dnsRule(t, ruleID, "UNKNOWN_VALUE"))
	require.Equal(t, string(before), string(p.want(http.StatusOK, "GET", p.dns(ruleID), "").Body))
}

func TestDNS_003_NF(t *testing.T) {
	p := begin(t, "7.2.10.3.2", "PUT an unknown dnsRuleId, also with a body that is none: 404")
	p.want(http.StatusNotFound, "PUT", p.dns("NON_EXISTENT_DNS_RULE_ID"), dnsRule(t, "DnsRule1", "ACTIVE"))
	p.want(http.StatusNotFound, "PUT", p.dns("NON_EXISTENT_DNS_RULE_ID"), "{}")
}

func TestDNS_003_PF(t *testing.T) {
	p := begin(t, "7.2.10.3.2", "PUT with If-Match: INVALID_ETAG: 412, and nothing changes")
	p.define("INACTIVE")
	p.want(http.StatusPreconditionFailed, "PUT", p.dns(ruleID), dnsRule(t, ruleID, "ACTIVE"), "If-Match", "INVALID_ETAG")
	require.Equal(t, "INACTIVE", p.want(http.StatusOK, "GET", p.dns(ruleID), "").Object(t)["state"])
}

func TestTRAF_001_OK(t *testing.T) {
	p := begin(t, "7.2.7.3.1", "GET /applications/{a}/traffic_rules: 200, an array of TrafficRule")
	require.Empty(t, p.want(http.StatusOK, "GET", p.support("/traffic_rules"), "").List(t))
	p.define("INACTIVE")
	list := p.want(http.StatusOK, "GET", p.support("/traffic_rules"), "").List(t)
	require.Len(t, list, 1)
	for _, mandatory := range []string{"trafficRuleId", "filterType", "priority", "trafficFilter", "action", "state"} {
		require.Contains(t, list[0], mandatory)
	}
	require.IsType(t, map[string]any{}, list[0]["dstInterface"], "one interface is an object (§7.1.2.2)")
}

func TestTRAF_001_NF(t *testing.T) {
	p := begin(t, "7.2.7.3.1", "GET of an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "GET", supportOf(unknownApp, "/traffic_rules"), "")
}

func TestTRAF_002_OK(t *testing.T) {
	p := begin(t, "7.2.8.3.1", "GET one rule: 200, the same trafficRuleId")
	p.define("INACTIVE")
	require.Equal(t, ruleID, p.want(http.StatusOK, "GET", p.traffic(ruleID), "").Object(t)["trafficRuleId"])
}

func TestTRAF_002_NF(t *testing.T) {
	p := begin(t, "7.2.8.3.1", "GET an unknown trafficRuleId: 404")
	p.want(http.StatusNotFound, "GET", p.traffic("NON_EXISTENT_TRAFFIC_RULE_ID"), "")
}

func TestTRAF_003_OK(t *testing.T) {
	p := begin(t, "7.2.8.3.2", "PUT a rule as the suite has it, with another trafficRuleId in the body: 200, the trafficRuleId of the URI, the action DROP")
	p.define("INACTIVE")
	m := p.want(http.StatusOK, "PUT", p.traffic(ruleID), trafficRule("traffic_rule_01", "DROP", "ACTIVE")).Object(t)
	require.Equal(t, ruleID, m["trafficRuleId"])
	require.Equal(t, "DROP", m["action"])
}

func TestTRAF_003_BR(t *testing.T) {
	p := begin(t, "7.2.8.3.2", "PUT with an unknown action, or with addresses and ports that are none: 400, and nothing changes")
	p.define("INACTIVE")
	before := p.want(http.StatusOK, "GET", p.traffic(ruleID), "").Body
	for _, body := range []string{trafficRule(ruleID, "UNKNOWN_VALUE", "ACTIVE"),
		strings.Replace(trafficRule(ruleID, "DROP", "ACTIVE"), "192.168.1.1", "magna tempor do", 1), strings.Replace(trafficRule(ruleID, "DROP", "ACTIVE"), "1029", "et anim", 1)} {
		p.want(http.StatusBadRequest, "PUT", p.traffic(ruleID), body)
	}
	require.Equal(t, string(before), string(p.want(http.StatusOK, "GET", p.traffic(ruleID), "").Body))
}

func TestTRAF_003_NF(t *testing.T) {
	p := begin(t, "7.2.8.3.2", "PUT an unknown trafficRuleId: 404")
	p.want(http.StatusNotFound, "PUT", p.traffic("NON_EXISTENT_TRAFFIC_RULE_ID"), trafficRule("traffic_rule_01", "DROP", "ACTIVE"))
}

func TestTRAF_003_PF(t *testing.T) {
	p := begin(t, "7.2.8.3.2", "PUT with If-Match: INVALID_ETAG: 412, and nothing changes")
	p.define("INACTIVE")
	p.want(http.StatusPreconditionFailed, "PUT", p.traffic(ruleID), trafficRule(ruleID, "DROP", "ACTIVE"), "If-Match", "INVALID_ETAG")
	require.Equal(t, "PASSTHROUGH", p.want(http.StatusOK, "GET", p.traffic(ruleID), "").Object(t)["action"])
}

// resolved says what the file of the driver hosts has for a domain name.
func resolved(t *testing.T, name string) string {
	b, err := os.ReadFile(hostsFile())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^(\S+)\s+` + regexp.QuoteMeta(name) + `$`).FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return ""
}

func TestOWN_ARuleIsActiveOnceItsNameResolves(t *testing.T) {
	p := begin(t, "7.1.2.3", "a DNS rule that the application activates: its name resolves once ACTIVE is answered, to the address that the application sets, and not any more once INACTIVE is")
	p.define("INACTIVE")
	require.Empty(t, resolved(t, domain(t)))
	for _, step := range []struct{ address, state, resolves string }{
		{"146.241.7.3", "ACTIVE", "146.241.7.3"}, {"146.241.7.4", "ACTIVE", "146.241.7.4"}, {"146.241.7.5", "INACTIVE", ""}, {"146.241.7.6", "ACTIVE", "146.241.7.6"},
	} {
		body := strings.Replace(dnsRule(t, ruleID, step.state), "146.241.7.3", step.address, 1)
		require.Equal(t, step.state, p.want(http.StatusOK, "PUT", p.dns(ruleID), body).Object(t)["state"])
		require.Equal(t, step.resolves, resolved(t, domain(t)))
	}
}

func TestOWN_TheDomainNameIsThePlatforms(t *testing.T) {
	p := begin(t, "7.2.10.3.2", "PUT of a DNS rule with another domainName: 400, and nothing changes; a domainName that another application has: refused where it is defined")
	p.define("INACTIVE")
	p.want(http.StatusBadRequest, "PUT", p.dns(ruleID), strings.Replace(dnsRule(t, ruleID, "ACTIVE"), domain(t), "other.example.com", 1))
	require.Equal(t, domain(t), p.want(http.StatusOK, "GET", p.dns(ruleID), "").Object(t)["domainName"])
	other := with(t, p.Server)
	other.want(http.StatusConflict, "PUT", rulesOf(other.app), `{"dnsRules":[`+dnsRule(t, "mine", "INACTIVE")+`],"trafficRules":[]}`)
	require.Empty(t, other.want(http.StatusOK, "GET", other.support("/dns_rules"), "").List(t))
}

func TestOWN_RulesGoWithTheirApplication(t *testing.T) {
	p := begin(t, "7.2.14.3.5", "DELETE of a registration: its rules are gone, and their names do not resolve any more")
	p.define("ACTIVE")
	wait.Until(t, "it resolves", func() bool { return resolved(t, domain(t)) == "146.241.7.3" })
	p.want(http.StatusNoContent, "DELETE", p.registration(), "")
	p.want(http.StatusNotFound, "GET", p.dns(ruleID), "")
	wait.Until(t, "it does not resolve", func() bool { return resolved(t, domain(t)) == "" })
}
