package mp1

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// As MECM's apprulemgr writes it, from its types: the names of some members are its own.
const mecmConfiguration = `{"appdRuleId":"t5abe","tenantId":"t","appInstanceId":"5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f","appName":"demo","appSupportMp1":true,
"appTrafficRule":[{"trafficRuleId":"TrafficRule1","filterType":"FLOW","priority":1,"action":"FORWARD_AS_IS","trafficFilter":[{"trafficFilterId":"f","srcAddress":["192.168.1.1/28"],
"srcPort":["8080"],"dstAddress":null,"dstPort":null,"protocol":["TCP"],"qCI":0,"dSCP":0,"tC":0,"tag":null,"srcTunnelAddress":null,"dstTunnelAddress":null,"srcTunnelPort":null,"dstTunnelPort":null}],
"dstInterface":[{"dstInterfaceId":"i","interfaceType":"","srcMacAddress":"","dstMacAddress":"","dstIpAddress":"","TunnelInfo":{"tunnelInfoId":"x","tunnelType":"","tunnelDstAddress":"","tunnelSrcAddress":"","tunnelSpecificData":""}}]}],
"appDnsRule":[{"dnsRuleId":"dnsRule1","domainName":"www.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.7","ttl":30}],"origin":"meo"}`

func TestAConfigurationOfMECMIsTaken(t *testing.T) {
	c, err := DecodeAppDConfiguration([]byte(mecmConfiguration))
	require.NoError(t, err)
	ttl := 30
	require.Equal(t, "demo", c.AppName)
	require.True(t, c.AppSupportMp1)
	require.Equal(t, []DNSRule{{DNSRuleID: "dnsRule1", DomainName: "www.example.com", IPAddressType: IPv4, IPAddress: "192.0.2.7", TTL: &ttl, State: RuleActive}}, c.Rules.DNSRules)
	require.Len(t, c.Rules.TrafficRules, 1)
	traffic := c.Rules.TrafficRules[0]
	require.Equal(t, ActionForwardEncapsulated, traffic.Action)
	require.Equal(t, RuleActive, traffic.State)
	require.Empty(t, traffic.DstInterface)
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"appTrafficRule":[{"trafficRuleId":"TrafficRule1","filterType":"FLOW","priority":1,"trafficFilter":[{"srcAddress":["192.168.1.1/28"],"srcPort":["8080"],"protocol":["TCP"],"qCI":0,"dSCP":0,"tC":0}],
		"state":"ACTIVE","action":"FORWARD_AS_IS","dstInterface":[]}],"appDNSRule":[{"dnsRuleId":"dnsRule1","domainName":"www.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.7","state":"ACTIVE","ttl":30}],
		"appSupportMp1":true,"appName":"demo"}`, string(b))

	inactive := RuleInactive
	was, err := TrafficRuleUpdate{State: inactive}.Applied(traffic)
	require.NoError(t, err, "the application may switch a rule that has too few interfaces")
	require.Equal(t, inactive, was.State)
}

func TestAConfigurationWithoutRulesIsOne(t *testing.T) {
	for _, body := range []string{`{"appName":"n"}`, `{"appName":"n","appTrafficRule":null,"appDNSRule":[],"appSupportMp1":false}`} {
		c, err := DecodeAppDConfiguration([]byte(body))
		require.NoError(t, err, body)
		require.Equal(t, AppDConfiguration{AppName: "n", Rules: RuleSet{DNSRules: []DNSRule{}, TrafficRules: []TrafficRule{}}}, c)
		b, err := json.Marshal(c)
		require.NoError(t, err)
		require.Equal(t, `{"appTrafficRule":[],"appDNSRule":[],"appSupportMp1":false,"appName":"n"}`, string(b))
	}
}

func TestAConfigurationIsReadStrictly(t *testing.T) {
	rule := `{"dnsRuleId":"d","domainName":"a.example","ipAddressType":"IPv4","ipAddress":"192.0.2.1"}`
	for body, attribute := range map[string]string{
		`{}`:                           "appName",
		`{"appName":""}`:               "appName",
		`{"appName":1}`:                "appName",
		`{"AppName":"n","appName":""}`: "appName",
		`{"appName":"n` + strings.Repeat("n", maxAppName) + `"}`:                                "appName",
		`{"appName":"n","appSupportMp1":"true"}`:                                                "appSupportMp1",
		`{"appName":"n","appDNSRule":{}}`:                                                       "appDNSRule",
		`{"appName":"n","appdnsrule":[]}`:                                                       "appDNSRule",
		`{"appName":"n","appDNSRule":[` + rule + `],"appDnsRule":[` + rule + `]}`:               "appDNSRule",
		`{"appName":"n","appDnsRule":[` + rule + `,` + rule + `]}`:                              "appDnsRule[1].dnsRuleId",
		`{"appName":"n","appDNSRule":[` + strings.Replace(rule, "192.0.2.1", "::1", 1) + `]}`:   "appDNSRule[0].ipAddress",
		`{"appName":"n","appDNSRule":[` + strings.Replace(rule, `"d"`, `"d\u0007"`, 1) + `]}`:   "appDNSRule[0].dnsRuleId",
		`{"appName":"n","appDNSRule":[` + strings.Replace(rule, `}`, `,"State":"x"}`, 1) + `]}`: "appDNSRule[0].state",
		`{"appName":"n","appTrafficRule":[{"trafficRuleId":"t"}]}`:                              "appTrafficRule[0].filterType",
	} {
		_, err := DecodeAppDConfiguration([]byte(body))
		bad, is := errors.AsType[*Invalid](err)
		require.True(t, is, "%s: %v", body, err)
		require.Equal(t, attribute, bad.Attribute, body)
	}
}

func FuzzDecodeAppDConfiguration(f *testing.F) {
	for _, s := range []string{mecmConfiguration, `{"appName":"n"}`, "null", `{"appName":"n","appDnsRule":[{"dnsRuleId":"d","domainName":"a","ipAddressType":"IPv6","ipAddress":"::1","ttl":1e3}]}`,
		`{"appName":"n","appTrafficRule":[{"trafficRuleId":"t","filterType":"PACKET","priority":0,"trafficFilter":[{}],"action":"DUPLICATE_AS_IS","dstInterface":[{"interfaceType":"MAC"},{"interfaceType":"IP"}]}]}`} {
		f.Add([]byte(s))
	}
	f.Add([]byte(configured("DUPLICATED_DECAPSULATED", `[{"dstTunnelAddress":["2.2.2.2"],"tag":[""]}]`, "["+interfaceOf("TUNNEL", "", "", "", tunnelOf("", "GTP-U", "", "", ""))+"]")))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeAppDConfiguration(data)
		if err != nil {
			if _, is := errors.AsType[*Invalid](err); !is {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeAppDConfiguration(b)
		if err != nil {
			t.Fatalf("%q was accepted, and what was made of it not: %q: %v", data, b, err)
		}
		more, err := json.Marshal(again)
		if err != nil || string(more) != string(b) {
			t.Fatalf("%q means another thing after it was written: %q, %q: %v", data, b, more, err)
		}
	})
}

func TestATTLOfADescriptorIsAtMostThatOfARecord(t *testing.T) {
	rule := func(ttl string) (AppDConfiguration, error) {
		return DecodeAppDConfiguration([]byte(`{"appName":"demo","appDNSRule":[{"dnsRuleId":"d","domainName":"a.example","ipAddressType":"IP_V4","ipAddress":"10.0.0.1","ttl":` + ttl + `}]}`))
	}
	for ttl, want := range map[string]int{"30": 30, "2147483647": MaxTTL, "2147483648": MaxTTL, "4294967295": MaxTTL} {
		c, err := rule(ttl)
		require.NoError(t, err, ttl)
		require.Equal(t, want, *c.Rules.DNSRules[0].TTL, ttl)
	}
	for _, ttl := range []string{"4294967296", "-1", "1.5"} {
		_, err := rule(ttl)
		require.ErrorContains(t, err, "ttl", ttl)
	}
}
