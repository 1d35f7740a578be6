package mp1

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const aDNSRule = `{"dnsRuleId":"d1","domainName":"www.example.com","ipAddressType":"IP_V4","ipAddress":"192.0.2.1","ttl":60,"state":"ACTIVE"}`

func TestADefinitionOfRulesIsReadWhole(t *testing.T) {
	traffic := `{"trafficRuleId":"t1","filterType":"FLOW","priority":1,"trafficFilter":[{"srcAddress":["10.0.0.0/8"],"dstPort":["80","8000-8080"],"protocol":["TCP"],"dSCP":0}],"action":"DROP","state":"INACTIVE"}`
	s, err := DecodeRuleSet([]byte(`{"dnsRules":[` + aDNSRule + `],"trafficRules":[` + traffic + `]}`))
	require.NoError(t, err)
	b, err := json.Marshal(s.DNSRules[0])
	require.NoError(t, err)
	require.JSONEq(t, aDNSRule, string(b))
	b, err = json.Marshal(s.TrafficRules[0])
	require.NoError(t, err)
	require.JSONEq(t, traffic, string(b))
	s, err = DecodeRuleSet([]byte(`{"dnsRules":[{"dnsRuleId":"d","domainName":"a.b","ipAddressType":"IPv6","ipAddress":"2001:DB8::1"}]}`))
	require.NoError(t, err)
	require.Equal(t, []DNSRule{{DNSRuleID: "d", DomainName: "a.b", IPAddressType: IPv6, IPAddress: "2001:db8::1", State: RuleInactive}}, s.DNSRules)
}

func TestADefinitionOfRulesThatIsWrongIsRefused(t *testing.T) {
	dns := func(old, instead string) string {
		return `{"dnsRules":[` + strings.Replace(aDNSRule, old, instead, 1) + `]}`
	}
	for body, names := range map[string]string{
		`{}`: "dnsRules", `[]`: "object", `{"dnsRule":[]}`: "dnsRules", `{"dnsRules":{}}`: "dnsRules", `{"dnsRules":[1]}`: "dnsRules",
		`{"dnsrules":[]}`:                                  "dnsRules",
		dns(`"dnsRuleId":"d1",`, ``):                       "dnsRules[0].dnsRuleId",
		dns(`"d1"`, `"a b"`):                               "dnsRules[0].dnsRuleId",
		dns(`"dnsRuleId"`, `"dnsRuleID"`):                  "dnsRules[0].dnsRuleId",
		dns(`"www.example.com"`, `""`):                     "dnsRules[0].domainName",
		dns(`"IP_V4"`, `"IP_V5"`):                          "dnsRules[0].ipAddressType",
		dns(`"IP_V4"`, `"IP_V6"`):                          "dnsRules[0].ipAddress",
		dns(`"192.0.2.1"`, `"192.0.2.01"`):                 "dnsRules[0].ipAddress",
		dns(`"192.0.2.1"`, `"2001:db8::1"`):                "dnsRules[0].ipAddress",
		dns(`60`, `-1`):                                    "dnsRules[0].ttl",
		dns(`60`, `2147483648`):                            "dnsRules[0].ttl",
		dns(`60`, `"60"`):                                  "dnsRules[0].ttl",
		dns(`60`, `1.5`):                                   "dnsRules[0].ttl",
		dns(`"ACTIVE"`, `"SUSPENDED"`):                     "dnsRules[0].state",
		`{"dnsRules":[` + aDNSRule + `,` + aDNSRule + `]}`: "dnsRules[1].dnsRuleId",
		`{"dnsRules":[` + strings.Repeat(aDNSRule+`,`, MaxRules) + aDNSRule + `]}`: "dnsRules: must not have more",
	} {
		_, err := DecodeRuleSet([]byte(body))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
		require.Contains(t, err.Error(), names, body)
	}
	_, err := DecodeRuleSet([]byte(dns(`60`, `2147483647`)))
	require.NoError(t, err)
	_, err = DecodeRuleSet([]byte(dns(`60`, `0`)))
	require.NoError(t, err)
}

func TestAnUpdateOfADNSRuleChangesWhatItSays(t *testing.T) {
	rule := DNSRule{DNSRuleID: "d1", DomainName: "www.example.com", IPAddressType: IPv4, IPAddress: "192.0.2.1", State: RuleInactive}
	same := func(name string) bool { return strings.EqualFold(name, "www.example.com") }
	apply := func(body string) (DNSRule, error) {
		u, err := DecodeDNSRuleUpdate([]byte(body))
		if err != nil {
			return rule, err
		}
		return u.Applied(rule, same)
	}
	for _, body := range []string{`{"state":"ACTIVE"}`, `{"DnsRule":{"state":"ACTIVE"}}`, `{"state":"ACTIVE","other":1,"ttl":null,"dnsRuleId":"another","domainName":"WWW.example.com"}`} {
		got, err := apply(body)
		require.NoError(t, err, body)
		want := rule
		want.State = RuleActive
		require.Equal(t, want, got, body)
	}
	got, err := apply(`{"ipAddressType":"IP_V6","ipAddress":"2001:db8::1","ttl":5}`)
	require.NoError(t, err)
	require.Equal(t, "2001:db8::1", got.IPAddress)
	require.Equal(t, IPv6, got.IPAddressType)
	require.Equal(t, 5, *got.TTL)
	for body, names := range map[string]string{
		`{}`: "", `{"wrong":1}`: "", `{"state":"active"}`: "state", `{"State":"ACTIVE"}`: "state",
		`{"domainName":"other.example.com"}`: "domainName", `{"ipAddressType":"IP_V6"}`: "ipAddress", `{"ipAddress":"::ffff:192.0.2.1"}`: "ipAddress",
		`{"ipAddress":"fe80::1%eth0","ipAddressType":"IP_V6"}`: "ipAddress", `{"DnsRule":"x"}`: "DnsRule", `{"DnsRule":{}}`: "DnsRule",
	} {
		_, err := apply(body)
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
		require.Equal(t, names, bad.Attribute, body)
	}
}

func TestEachActionHasItsDestinations(t *testing.T) {
	one := `{"interfaceType":"IP","dstIpAddress":"192.0.2.1"}`
	body := func(action, to string) string {
		return `{"trafficRules":[{"trafficRuleId":"t","filterType":"PACKET","priority":0,"trafficFilter":[{}],"action":"` + action + `"` + to + `}]}`
	}
	forms := map[string]string{"none": ``, "null": `,"dstInterface":null`, "empty": `,"dstInterface":[]`,
		"EdgeGallery's empty": `,"dstInterface":[{"interfaceType":"","tunnelInfo":{"tunnelType":""},"srcMacAddress":""}]`,
		"object":              `,"dstInterface":` + one, "list": `,"dstInterface":[` + one + `]`, "two": `,"dstInterface":[` + one + `,` + one + `]`}
	count := map[string]int{"object": 1, "list": 1, "two": 2}
	want := map[string]int{"FORWARD_DECAPSULATED": 1, "FORWARD_ENCAPSULATED": 1, "PASSTHROUGH": 1, "DUPLICATE_DECAPSULATED": 2, "DUPLICATE_ENCAPSULATED": 2,
		"FORWARD_AS_IS": 1, "DUPLICATE_AS_IS": 2}
	for action, n := range want {
		for form, text := range forms {
			s, err := DecodeRuleSet([]byte(body(action, text)))
			require.Equal(t, count[form] == n, err == nil, "%s %s: %v", action, form, err)
			if err == nil {
				require.Len(t, s.TrafficRules[0].DstInterface, n)
			}
		}
	}
	for form, text := range forms {
		s, err := DecodeRuleSet([]byte(body("DROP", text)))
		require.NoError(t, err, form)
		require.Empty(t, s.TrafficRules[0].DstInterface, form)
	}
	b, err := json.Marshal(DestinationInterfaces{{InterfaceType: InterfaceIP}})
	require.NoError(t, err)
	require.JSONEq(t, `{"interfaceType":"IP"}`, string(b), "one is an object, as the schemas of v2.1.1 and v3.1.1 have it")
	_, err = DecodeRuleSet([]byte(body("DROP", `,"dstInterface":[`+one+`,`+one+`,`+one+`]`)))
	require.Error(t, err)
	_, err = DecodeRuleSet([]byte(body("UNKNOWN_VALUE", ``)))
	require.Error(t, err)
}

func TestAddressesAndPortsOfFilters(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1/24", "192.0.2.0/255.255.255.0", "0.0.0.0/0", "192.0.2.1-192.0.2.9", "192.0.2.1 - 192.0.2.9", "2001:db8::/32",
		"2001:db8::1", "2001:db8::/48-2001:db8:1::/48"} {
		require.True(t, addressOK(s), s)
	}
	for _, s := range []string{"", "?", "192.0.2", "192.0.2.1/33", "192.0.2.0/255.0.255.0", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.1-", "fe80::1%e", "a", "1/2/3",
		"2001:db8::/255.255.0.0", "192.0.2.1/-1"} {
		require.False(t, addressOK(s), s)
	}
	for _, s := range []string{"0", "80", "65535", "8000-8080", "1 - 2", "80-80"} {
		require.True(t, portOK(s), s)
	}
	for _, s := range []string{"", "-", "-1", "+1", "65536", "80-", "-80", "81-80", "1-2-3", "http", "6666666666", "٣"} {
		require.False(t, portOK(s), s)
	}
}

func TestWhatOtherPlatformsSendAsTrafficRulesIsTaken(t *testing.T) {
	// the members of an update as ETSI's suite sends it, with names of v2.1.1, and ports as numbers
	u, err := DecodeTrafficRuleUpdate([]byte(`{"trafficRuleId":"t","filterType":"FLOW","priority":1,"trafficFilter":[{"srcAddress":["192.168.1.1"],"srcPort":[30078,"1029"],
		"protocol":["TCP","HTTP"],"token":["some text"],"tgtTunnelAddress":["159.10.1.2"],"dstTunnelPort":["5576"],"qCI":1,"dSCP":0,"tC":1}],"action":"DROP","state":"ACTIVE",
		"dstInterface":{"interfaceType":"TUNNEL","tunnelInfo":{"tunnelType":"GTP_U","tunnelDstAddress":"169.54.61.15","tunnelSrcAddress":"169.54.61.31"},"srcMacAddress":"fc:3f:2b:42:dc:ba"}}`))
	require.NoError(t, err)
	require.Equal(t, []string{"30078", "1029"}, u.TrafficFilter[0].SrcPort)
	got, err := u.Applied(TrafficRule{TrafficRuleID: "t"})
	require.NoError(t, err)
	require.Equal(t, ActionDrop, got.Action)
	require.Empty(t, got.DstInterface)
	got, err = u.Applied(TrafficRule{TrafficRuleID: "of the URI"})
	require.NoError(t, err)
	require.Equal(t, "of the URI", got.TrafficRuleID)
	for _, body := range []string{`{}`, `{"trafficRuleId":null}`, `{"priority":256}`, `{"priority":-1}`, `{"priority":"1"}`, `{"trafficFilter":[]}`, `{"trafficFilter":[{"dSCP":64}]}`,
		`{"trafficFilter":[{"tC":256}]}`, `{"trafficFilter":[{"srcAddress":["?"]}]}`, `{"trafficFilter":[{"srcAddress":"192.0.2.1"}]}`, `{"action":"drop"}`,
		`{"dstInterface":{"interfaceType":"TUNNEL"}}`, `{"dstInterface":{"dstIpAddress":"192.0.2.1"}}`, `{"dstInterface":{"interfaceType":"MAC","dstMacAddress":"x"}}`,
		`{"dstInterface":"x"}`, `{"filterType":"FLOWS"}`} {
		_, err := DecodeTrafficRuleUpdate([]byte(body))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
	}
}

func FuzzDecodeRules(f *testing.F) {
	f.Add([]byte(`{"dnsRules":[` + aDNSRule + `],"trafficRules":[{"trafficRuleId":"t","filterType":"FLOW","priority":2.55e2,"trafficFilter":[{"srcAddress":["10.0.0.0/8-11.0.0.0/8"],"srcPort":[1,"2-3"],"token":["x"],"qCI":0}],"action":"DUPLICATE_AS_IS","dstInterface":[{"interfaceType":"TUNNEL","tunnelInfo":{"tunnelType":"GRE"}},{"interfaceType":"MAC","srcMacAddress":"02-00-00-00-00-00"}]}]}`))
	f.Add([]byte(`{"DnsRule":{"state":"ACTIVE","ttl":0}}`))
	f.Add([]byte(`{"TrafficRule":{"dstInterface":{"interfaceType":"IP","dstIpAddress":"::1"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, dnsErr := DecodeDNSRuleUpdate(data)
		_, trafficErr := DecodeTrafficRuleUpdate(data)
		s, err := DecodeRuleSet(data)
		for _, err := range []error{dnsErr, trafficErr, err} {
			var bad *Invalid
			if err != nil && !errors.As(err, &bad) {
				t.Fatalf("%q: %v", data, err)
			}
		}
		if err != nil {
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeRuleSet(b)
		if err != nil {
			t.Fatalf("%q was accepted, and what was made of it not: %q: %v", data, b, err)
		}
		var stored RuleSet
		if err := json.Unmarshal(b, &stored); err != nil {
			t.Fatalf("%q cannot be read from the store: %q: %v", data, b, err)
		}
		for _, other := range []RuleSet{again, stored} {
			if o, _ := json.Marshal(other); string(o) != string(b) {
				t.Fatalf("%q means another thing after it was written: %q, %q", data, b, o)
			}
		}
	})
}
