package contract

import (
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	rulesPath   = lifePath + "/{appInstanceId}/rules"
	dnsRule     = `{"dnsRuleId":"id","domainName":"a.example","ipAddressType":"IP_V4","ipAddress":"192.0.2.1","ttl":60,"state":"ACTIVE"}`
	trafficRule = `{"trafficRuleId":"id","filterType":"FLOW","priority":0,"trafficFilter":[{"srcAddress":["192.0.2.0/24"],"dstPort":["80","8000-8080"],"protocol":["TCP"],"token":["x"],"dSCP":0}],
		"action":"DUPLICATE_DECAPSULATED","dstInterface":[{"interfaceType":"TUNNEL","tunnelInfo":{"tunnelType":"GRE","tunnelDstAddress":"192.0.2.7"}},{"interfaceType":"IP","dstIpAddress":"192.0.2.8"}],"state":"ACTIVE"}`
)

// ofDefinitions says whether an answer to administrators is one of a starting program, of a
// broken store or of a very full platform.
func ofDefinitions(pattern, status string) bool {
	return strings.HasSuffix(pattern, rulesPath) && (status == "403" || status == "503" || status == "507")
}

// rules are defined by the platform's side, for two applications that may come to want one name.
func (j *checker) rules(s *mep.Server) {
	at := func(app string) string { return strings.Replace(rulesPath, "{appInstanceId}", app, 1) }
	both := `{"dnsRules":[` + dnsRule + `],"trafficRules":[` + trafficRule + `]}`
	j.do(s, 200, "GET", at("rules"), "")
	j.do(s, 200, "PUT", at("rules"), both)
	j.do(s, 200, "GET", at("rules"), "")
	j.bad(s, 400, "GET", at("rules")+"?x=1", "")
	j.bad(s, 400, "PUT", at("rules"), `{"rules":[]}`)
	j.bad(s, 413, "PUT", at("rules"), strings.Repeat(" ", 4<<20))
	j.bad(s, 415, "PUT", at("rules"), "x", "Content-Type", "text/plain")
	j.do(s, 409, "PUT", at("others"), both)
	six := strings.NewReplacer("IP_V4", "IP_V6", "192.0.2.1", "2001:db8::1").Replace(dnsRule)
	j.do(s, 200, "PUT", at("others"), `{"dnsRules":[`+six+`],"trafficRules":[]}`)
	for kind, rule := range map[string]string{"dns_rules": dnsRule, "traffic_rules": trafficRule} {
		all := mp1.AppSupportBase + "/applications/rules/" + kind
		j.do(s, 200, "GET", all, "")
		j.bad(s, 400, "GET", all+"?x=1", "")
		one := all + "/id"
		j.bad(s, 400, "GET", one+"?x=1", "")
		j.do(s, 404, "GET", all+"/other", "")
		j.do(s, 404, "PUT", all+"/other", rule)
		j.do(s, 200, "PUT", one, rule, "If-Match", j.do(s, 200, "GET", one, "").Header.Get("ETag"))
		j.do(s, 412, "PUT", one, rule, "If-Match", "INVALID_ETAG")
		j.bad(s, 400, "PUT", one, `{"state":"UNKNOWN_VALUE"}`)
		j.bad(s, 413, "PUT", one, strings.Repeat(" ", 70000))
		j.bad(s, 415, "PUT", one, "x", "Content-Type", "text/plain")
	}
	j.do(s, 409, "PUT", mp1.AppSupportBase+"/applications/rules/dns_rules/id", six)
}
