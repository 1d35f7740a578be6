package mp1

import (
	"encoding/json"
	"strings"
)

// AppDConfiguration is what EdgeGallery's MECM configures an application instance with, from
// the application's descriptor. It is no type of MEC 011, which leaves it to Mm5.
type AppDConfiguration struct {
	AppName       string
	AppSupportMp1 bool // says that the application uses Mp1; nothing follows from it
	Rules         RuleSet
}

// maxAppName is how many characters an appName may have: as many as MECM allows, and twice as
// many as EdgeGallery's mepserver.
const maxAppName = 128

// The member with the DNS rules has two names: EdgeGallery's mepserver calls it by the first,
// its MECM writes the second, and Go's own decoder does not tell them apart.
const (
	appDDNSRules   = "appDNSRule"
	appDDNSRulesIn = "appDnsRule"
)

// DecodeAppDConfiguration reads a configuration. It is more lenient with rules than
// DecodeRuleSet where MECM sends what MEC 011 does not have (activeDNSRule, activeTrafficRule).
// Its errors are *Invalid.
func DecodeAppDConfiguration(data []byte) (c AppDConfiguration, err error) {
	o, err := readDocument(data)
	if err != nil {
		return c, err
	}
	if err = o.refuseOtherCase("appTrafficRule", "appSupportMp1", "appName"); err != nil {
		return c, err
	}
	for member := range o.members {
		switch {
		case !strings.EqualFold(member, appDDNSRules) || member == appDDNSRules:
		case member != appDDNSRulesIn:
			return c, &Invalid{appDDNSRules, "the name must be written exactly so"}
		case o.members[appDDNSRules] != nil:
			return c, &Invalid{appDDNSRules, "stands twice, the second time as " + appDDNSRulesIn}
		}
	}
	if c.AppName, err = o.requiredText("appName", maxAppName); err != nil {
		return c, err
	}
	supports, err := o.boolean("appSupportMp1")
	if err != nil {
		return c, err
	}
	c.AppSupportMp1 = supports != nil && *supports
	dns := appDDNSRules
	if o.members[dns] == nil {
		dns = appDDNSRulesIn
	}
	dnsID := func(r DNSRule) string { return r.DNSRuleID }
	if c.Rules.DNSRules, err = decodeRules(o, dns, "dnsRuleId", dnsRuleMembers, activeDNSRule, dnsID); err != nil {
		return c, err
	}
	trafficID := func(r TrafficRule) string { return r.TrafficRuleID }
	c.Rules.TrafficRules, err = decodeRules(o, "appTrafficRule", "trafficRuleId", trafficRuleMembers, activeTrafficRule, trafficID)
	return c, err
}

// appDTrafficRule is a traffic rule with EdgeGallery's names of actions.
type appDTrafficRule struct {
	EdgeGalleryTrafficRule
	Action string `json:"action"`
}

// appDDNSRule is a DNS rule with a number as ttl, whether or not it has one.
type appDDNSRule struct {
	DNSRule
	TTL int `json:"ttl"`
}

// MarshalJSON implements json.Marshaler.
func (c AppDConfiguration) MarshalJSON() ([]byte, error) {
	traffic, dns := []appDTrafficRule{}, []appDDNSRule{}
	for _, r := range c.Rules.TrafficRules {
		one := appDTrafficRule{r.ForEdgeGallery(), string(r.Action)}
		for former, now := range formerActions {
			if now == r.Action {
				one.Action = former
			}
		}
		traffic = append(traffic, one)
	}
	for _, r := range c.Rules.DNSRules {
		one := appDDNSRule{DNSRule: r}
		if r.TTL != nil {
			one.TTL = *r.TTL
		}
		dns = append(dns, one)
	}
	return json.Marshal(struct {
		AppTrafficRule []appDTrafficRule `json:"appTrafficRule"`
		AppDNSRule     []appDDNSRule     `json:"appDNSRule"`
		AppSupportMp1  bool              `json:"appSupportMp1"`
		AppName        string            `json:"appName"`
	}{traffic, dns, c.AppSupportMp1, c.AppName})
}
