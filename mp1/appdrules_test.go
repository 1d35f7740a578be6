package mp1

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tunnelOf is what MECM's apprulemgr writes of a tunnel in every interface: its type has no tag.
func tunnelOf(id, kind, dst, src, data string) string {
	return fmt.Sprintf(`"TunnelInfo":{"tunnelInfoId":%q,"tunnelType":%q,"tunnelDstAddress":%q,"tunnelSrcAddress":%q,"tunnelSpecificData":%q}`, id, kind, dst, src, data)
}

// interfaceOf is what it writes of an interface, member for member.
func interfaceOf(kind, srcMAC, dstMAC, dstIP, tunnel string) string {
	return fmt.Sprintf(`{"dstInterfaceId":"i","interfaceType":%q,"srcMacAddress":%q,"dstMacAddress":%q,"dstIpAddress":%q,%s}`, kind, srcMAC, dstMAC, dstIP, tunnel)
}

// configured is a configuration with one traffic rule as apprulemgr writes it.
func configured(action, filters, interfaces string) string {
	return `{"appName":"demo","appTrafficRule":[{"trafficRuleId":"t","filterType":"FLOW","priority":1,"action":"` + action + `","trafficFilter":` + filters +
		`,"dstInterface":` + interfaces + `}],"appDnsRule":null}`
}

func trafficOf(t *testing.T, body string) TrafficRule {
	t.Helper()
	c, err := DecodeAppDConfiguration([]byte(body))
	require.NoError(t, err, body)
	require.Len(t, c.Rules.TrafficRules, 1)
	return c.Rules.TrafficRules[0]
}

func TestMECMConfiguresAnInterfaceOfEveryType(t *testing.T) {
	const srcMAC, dstMAC = "02-00-00-00-00-01", "02-00-00-00-00-02"
	none, noID := tunnelOf("", "", "", "", ""), tunnelOf("x", "", "", "", "")
	gre := &TunnelInfo{TunnelGRE, "3.3.3.3", "4.4.4.4"}
	// What the portal's form has in all of its fields from the beginning.
	form := tunnelOf("", "GRE", "3.3.3.3", "4.4.4.4", "any")
	for name, c := range map[string]struct {
		sent string
		want DestinationInterface
	}{
		"MAC":                   {interfaceOf("MAC", srcMAC, dstMAC, "", none), DestinationInterface{InterfaceType: InterfaceMAC, SrcMACAddress: srcMAC, DstMACAddress: dstMAC}},
		"IP":                    {interfaceOf("IP", "", "", "192.0.2.1", none), DestinationInterface{InterfaceType: InterfaceIP, DstIPAddress: "192.0.2.1"}},
		"IP, of a kept rule":    {interfaceOf("IP", "", "", "192.0.2.1", noID), DestinationInterface{InterfaceType: InterfaceIP, DstIPAddress: "192.0.2.1"}},
		"TUNNEL":                {interfaceOf("TUNNEL", "", "", "", form), DestinationInterface{InterfaceType: InterfaceTunnel, TunnelInfo: gre}},
		"TUNNEL, as the portal": {interfaceOf("TUNNEL", "", "", "", tunnelOf("", "GTP-U", "3.3.3.3", "", "")), DestinationInterface{InterfaceType: InterfaceTunnel, TunnelInfo: &TunnelInfo{TunnelGTPU, "3.3.3.3", ""}}},
		"all of the form": {interfaceOf("IP", srcMAC, dstMAC, "5.5.5.5", form),
			DestinationInterface{InterfaceType: InterfaceIP, TunnelInfo: gre, SrcMACAddress: srcMAC, DstMACAddress: dstMAC, DstIPAddress: "5.5.5.5"}},
		"by MEC 011's name": {interfaceOf("TUNNEL", "", "", "", strings.Replace(form, "TunnelInfo", "tunnelInfo", 1)), DestinationInterface{InterfaceType: InterfaceTunnel, TunnelInfo: gre}},
	} {
		t.Run(name, func(t *testing.T) {
			got := trafficOf(t, configured("PASSTHROUGH", `[{"trafficFilterId":""}]`, "["+c.sent+"]"))
			require.Equal(t, DestinationInterfaces{c.want}, got.DstInterface)
		})
	}
}

func TestTheFiltersAndActionsOfMECMAreTaken(t *testing.T) {
	require.Equal(t, []TrafficFilter{{}}, trafficOf(t, configured("DROP", "[]", "null")).TrafficFilter, "every packet")
	rule := trafficOf(t, configured("DUPLICATED_DECAPSULATED", `[{"trafficFilterId":"","srcAddress":["192.168.1.1/32"],"srcPort":[""],"protocol":["ANY"],"tag":[""],
		"srcTunnelAddress":[""],"dstTunnelAddress":["2.2.2.2"],"srcTunnelPort":null,"dstTunnelPort":["8080"]},{"dstTunnelAddress":[""]}]`, "null"))
	require.Equal(t, ActionDuplicateDecapsulated, rule.Action)
	require.Equal(t, []TrafficFilter{{SrcAddress: []string{"192.168.1.1/32"}, Protocol: []string{"ANY"}, TgtTunnelAddress: []string{"2.2.2.2"}, DstTunnelPort: []string{"8080"}}, {}}, rule.TrafficFilter)
}

// MECM takes any text of 128 characters as the id of a rule.
func TestARuleOfMECMMayBeCalledAnything(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{"dns rule 1", "dns rule-1", "规则一", "规则二", "../d", " ", strings.Repeat("规", 128), strings.Repeat("a b", 40), "plain-1"} {
		body, err := json.Marshal(map[string]any{"appName": "n", "appDNSRule": []any{map[string]any{"dnsRuleId": id, "domainName": "a.example", "ipAddressType": "IP_V4", "ipAddress": "192.0.2.1"}}})
		require.NoError(t, err)
		c, err := DecodeAppDConfiguration(body)
		require.NoError(t, err, id)
		got := c.Rules.DNSRules[0].DNSRuleID
		require.True(t, ValidID(got), got)
		require.False(t, seen[got], "two rules are one: %s", id)
		seen[got] = true
		again, err := DecodeAppDConfiguration(body)
		require.NoError(t, err)
		require.Equal(t, c, again, "an update means the same rule")
		traffic := trafficOf(t, strings.Replace(configured("DROP", "[{}]", "null"), `"trafficRuleId":"t"`, `"trafficRuleId":`+string(mustJSON(t, id)), 1))
		require.Equal(t, got, traffic.TrafficRuleID)
	}
	require.True(t, seen["plain-1"], "an id stays what it is")
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func TestWhatMECMCannotMeanIsRefused(t *testing.T) {
	form, filter := tunnelOf("", "GRE", "3.3.3.3", "", ""), `[{}]`
	for body, attribute := range map[string]string{
		configured("DROP", filter, "["+interfaceOf("TUNNEL", "", "", "", tunnelOf("x", "", "", "", ""))+"]"):                    "appTrafficRule[0].dstInterface.tunnelInfo.tunnelType",
		configured("DROP", filter, "["+interfaceOf("IP", "", "", "", form+","+strings.Replace(form, "T", "t", 1))+"]"):          "appTrafficRule[0].dstInterface.tunnelInfo",
		configured("DROP", filter, "["+interfaceOf("IP", "", "", "", strings.Replace(form, "TunnelInfo", "TUNNELINFO", 1))+"]"): "appTrafficRule[0].dstInterface.tunnelInfo",
		configured("DROP", filter, "["+interfaceOf("IP", "", "", "x", form)+"]"):                                                "appTrafficRule[0].dstInterface.dstIpAddress",
		configured("DROP", `[{"dstTunnelAddress":["2.2.2.2"],"tgtTunnelAddress":["2.2.2.3"]}]`, "null"):                         "appTrafficRule[0].trafficFilter.tgtTunnelAddress",
		configured("DROP", "null", "null"): "appTrafficRule[0].trafficFilter",
	} {
		_, err := DecodeAppDConfiguration([]byte(body))
		bad, is := errors.AsType[*Invalid](err)
		require.True(t, is, "%s: %v", body, err)
		require.Equal(t, attribute, bad.Attribute, body)
	}
}
