package client

import (
	"context"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// The platform's side defines an application's rules. The application reads them, activates
// them and changes what MEC 011 lets it change. A rule that was changed is shown as the platform
// could carry it out: ACTIVE is what is in force.

// DNSRules returns the DNS rules of app (§7.2.9.3.1).
func (c *Client) DNSRules(ctx context.Context, app string) ([]mp1.DNSRule, error) {
	path, err := c.supported(app, "/dns_rules")
	if err != nil {
		return nil, err
	}
	return collect(each[mp1.DNSRule](ctx, c, path, "", maxList))
}

// DNSRule returns one DNS rule of app (§7.2.10.3.1). Its [ETag] is the one for [IfMatch].
func (c *Client) DNSRule(ctx context.Context, app, id string, options ...RequestOption) (out mp1.DNSRule, err error) {
	return rule[mp1.DNSRule](ctx, c, app, "/dns_rules/", id, http.MethodGet, nil, options)
}

// UpdateDNSRule replaces a DNS rule of app, whose id is that of rule, and returns it as it is
// then (§7.2.10.3.2). The platform changes its address, TTL and state, and refuses another
// domain name. Without [IfMatch], a change that somebody else made meanwhile is overwritten.
func (c *Client) UpdateDNSRule(ctx context.Context, app string, r mp1.DNSRule, options ...RequestOption) (out mp1.DNSRule, err error) {
	return rule[mp1.DNSRule](ctx, c, app, "/dns_rules/", r.DNSRuleID, http.MethodPut, r, options)
}

// TrafficRules returns the traffic rules of app (§7.2.7.3.1).
func (c *Client) TrafficRules(ctx context.Context, app string) ([]mp1.TrafficRule, error) {
	path, err := c.supported(app, "/traffic_rules")
	if err != nil {
		return nil, err
	}
	return collect(each[mp1.TrafficRule](ctx, c, path, "", maxList))
}

// TrafficRule returns one traffic rule of app (§7.2.8.3.1). Its [ETag] is the one for
// [IfMatch].
func (c *Client) TrafficRule(ctx context.Context, app, id string, options ...RequestOption) (out mp1.TrafficRule, err error) {
	return rule[mp1.TrafficRule](ctx, c, app, "/traffic_rules/", id, http.MethodGet, nil, options)
}

// UpdateTrafficRule replaces a traffic rule of app, whose id is that of rule, and returns it as
// it is then (§7.2.8.3.2). Without [IfMatch], a change that somebody else made meanwhile is
// overwritten.
func (c *Client) UpdateTrafficRule(ctx context.Context, app string, r mp1.TrafficRule, options ...RequestOption) (out mp1.TrafficRule, err error) {
	return rule[mp1.TrafficRule](ctx, c, app, "/traffic_rules/", r.TrafficRuleID, http.MethodPut, r, options)
}

// rule sends a request of one rule, whose answer is the rule.
func rule[T any](ctx context.Context, c *Client, app, below, id, method string, body any, options []RequestOption) (out T, err error) {
	path, err := c.supported(app, below+id)
	if err != nil {
		return out, err
	}
	if err := mp1.CheckID("ruleId", id); err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: method, path: path, body: body, status: http.StatusOK, options: options}, &out)
	return out, err
}
