package contract

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// What docs/requests.md says of application support, asked of the running program.

var support = mp1.AppSupportBase + "/applications/forms"

func TestEveryFormOfATerminationSubscriptionIsDecidedOnce(t *testing.T) {
	s := mep.Start(t)
	all := support + "/subscriptions"
	plain := strings.Replace(termination, `"app"`, `"forms"`, 1)
	with := func(old, now string) string { return strings.Replace(plain, old, now, 1) }
	for body, detail := range map[string]string{
		with(`"forms"`, `"other"`): "appInstanceId: ", with(`,"appInstanceId":"forms"`, ``): "appInstanceId: ", with(`"appInstanceId"`, `"AppInstanceId"`): "appInstanceId: ",
		with(`"AppTerm`, `"appTerm`): "subscriptionType: ", with(`"http://127.0.0.1:9/cb"`, `"ftp://127.0.0.1/"`): "callbackReference: ", with(`"http://127.0.0.1:9/cb"`, `null`): "callbackReference: ",
	} {
		refusedWith(t, s, all, "POST", all, body, detail)
	}
	for _, body := range []string{plain, with(`{"sub`, `{"_links":null,"sub`), with(`{"sub`, `{"_links":{"self":{"href":"x"}},"vendor":{},"sub`), with(`127.0.0.1:9`, `nowhere.invalid`)} {
		res := s.Do("POST", all, body)
		require.Equal(t, 201, res.Status, "%s: %s", body, res.Body)
		require.Equal(t, res.Header.Get("Location"), string(self.FindSubmatch(res.Body)[1]))
	}
}

func TestEveryFormOfARuleIsDecidedOnce(t *testing.T) {
	s := mep.Start(t)
	define := strings.Replace(rulesPath, "{appInstanceId}", "forms", 1)
	require.Equal(t, 200, s.Do("PUT", define, `{"dnsRules":[`+dnsRule+`],"trafficRules":[`+trafficRule+`]}`).Status)
	dns, traffic := support+"/dns_rules/id", support+"/traffic_rules/id"
	for _, f := range []struct{ path, body, has string }{
		{dns, `{"state":"INACTIVE"}`, `"state":"INACTIVE"`},
		{dns, `{"DnsRule":{"state":"ACTIVE"}}`, `"domainName":"a.example"`},
		{dns, `{"dnsRuleId":"another","domainName":"A.example","ttl":null,"ipAddress":"","state":"ACTIVE"}`, `"dnsRuleId":"id"`},
		{dns, `{"ipAddressType":"IPv6","ipAddress":"2001:DB8::1"}`, `"ipAddressType":"IP_V6","ipAddress":"2001:db8::1"`},
		{traffic, `{"action":"DROP"}`, `"action":"DROP","state"`},
		{traffic, `{"trafficRuleId":"another","action":"FORWARD_AS_IS","dstInterface":[{"interfaceType":"IP","dstIpAddress":"192.0.2.7"}]}`, `"action":"FORWARD_ENCAPSULATED","dstInterface":{"interfaceType":"IP"`},
		{traffic, `{"trafficFilter":[{"token":["x y"],"srcPort":[80,"8000-8080"],"srcAddress":["192.0.2.1-192.0.2.9","2001:db8::/32"]}]}`, `"token":["x y"]`},
		{traffic, `{"priority":255.0}`, `"priority":255`},
	} {
		res := s.Do("PUT", f.path, f.body)
		require.Equal(t, 200, res.Status, "%s: %s", f.body, res.Body)
		require.Contains(t, string(res.Body), f.has, f.body)
	}
	for body, path := range map[string]string{
		`{}`: dns, `{"domainName":"b.example"}`: dns, `{"ttl":-1}`: dns, `{"ttl":2147483648}`: dns, `{"ipAddress":"192.0.2.1"}`: dns, `{"state":"ACTIVE","state":"ACTIVE"}`: dns,
		`{"priority":256}`: traffic, `{"trafficFilter":[]}`: traffic, `{"trafficFilter":[{"dSCP":64}]}`: traffic, `{"trafficFilter":[{"srcPort":["8080-80"]}]}`: traffic, `{"action":"DUPLICATE_DECAPSULATED"}`: traffic,
	} {
		refusedWith(t, s, define, "PUT", path, body, "")
	}
}
