package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const (
	dnsRuleJSON     = `{"dnsRuleId":"d1","domainName":"a.example","ipAddressType":"IP_V4","ipAddress":"10.0.0.1","ttl":30,"state":"INACTIVE"}`
	trafficRuleJSON = `{"trafficRuleId":"t1","filterType":"FLOW","priority":1,"trafficFilter":[{"dstPort":["80"]}],"action":"DROP","state":"ACTIVE"}`
)

func TestARuleIsListedReadAndChangedUnderItsETag(t *testing.T) {
	ctx := t.Context()
	const root = "/mep/mec_app_support/v1/applications/a"
	var tag string
	p := newFakePlatform(t, respond(200, "["+dnsRuleJSON+"]"))
	dns, err := p.client(t, "/mep").DNSRules(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "GET "+root+"/dns_rules", p.method+" "+p.uri)
	p = newFakePlatform(t, respond(200, dnsRuleJSON, "ETag", `"1"`))
	c := p.client(t, "/mep")
	one, err := c.DNSRule(ctx, "a", "d1", ETag(&tag))
	require.NoError(t, err)
	require.Equal(t, "GET "+root+"/dns_rules/d1", p.method+" "+p.uri)
	require.Equal(t, dns, []mp1.DNSRule{one})
	require.Equal(t, `"1"`, tag)
	one.State = mp1.RuleActive
	shown, err := c.UpdateDNSRule(ctx, "a", one, IfMatch(tag))
	require.NoError(t, err)
	require.Equal(t, "PUT "+root+"/dns_rules/d1", p.method+" "+p.uri)
	require.Contains(t, p.body, `"state":"ACTIVE"`)
	require.Equal(t, mp1.RuleInactive, shown.State, "what is in force counts")

	p = newFakePlatform(t, respond(200, "["+trafficRuleJSON+"]"))
	traffic, err := p.client(t, "").TrafficRules(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "GET /mec_app_support/v1/applications/a/traffic_rules", p.method+" "+p.uri)
	p = newFakePlatform(t, respond(200, trafficRuleJSON))
	c = p.client(t, "/mep")
	read, err := c.TrafficRule(ctx, "a", "t1")
	require.NoError(t, err)
	require.Equal(t, traffic, []mp1.TrafficRule{read})
	_, err = c.UpdateTrafficRule(ctx, "a", read)
	require.NoError(t, err)
	require.Equal(t, "PUT "+root+"/traffic_rules/t1", p.method+" "+p.uri)
	require.JSONEq(t, trafficRuleJSON, p.body)

	_, err = newFakePlatform(t, respond(412, "")).client(t, "").UpdateDNSRule(ctx, "a", one, IfMatch(`"0"`))
	require.ErrorIs(t, err, ErrStale)
	p.method = ""
	_, err = c.UpdateDNSRule(ctx, "a", mp1.DNSRule{})
	require.Error(t, err)
	_, err = c.TrafficRule(ctx, "a", "../x")
	require.Error(t, err)
	require.Empty(t, p.method, "nothing was sent")
}
