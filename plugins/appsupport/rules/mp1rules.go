package rules

import (
	"context"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// DNSRules implements server.Rules.
func (k *keeper) DNSRules(ctx context.Context, app string) (all []mp1.DNSRule, err error) {
	r, err := k.find(ctx, app, func(r *plugins.Rules) bool { return r.At != 0 })
	for i := range r.DNS {
		all = append(all, shown(&r.DNS[i], k.driver))
	}
	return all, err
}

// dnsRule is the rule of an id; nil: there is none.
func dnsRule(r *plugins.Rules, id string) *plugins.DNSRule {
	return find(r.DNS, func(r *plugins.DNSRule) bool { return r.Rule.DNSRuleID == id })
}

func trafficRule(r *plugins.Rules, id string) *plugins.TrafficRule {
	return find(r.Traffic, func(r *plugins.TrafficRule) bool { return r.Rule.TrafficRuleID == id })
}

// DNSRule implements server.Rules.
func (k *keeper) DNSRule(ctx context.Context, app, id string) (mp1.DNSRule, error) {
	r, err := k.find(ctx, app, func(r *plugins.Rules) bool { return dnsRule(r, id) != nil })
	if err != nil {
		return mp1.DNSRule{}, err
	}
	if one := dnsRule(&r, id); one != nil {
		return shown(one, k.driver), nil
	}
	return mp1.DNSRule{}, server.ErrNoRule
}

// UpdateDNSRule implements server.Rules.
func (k *keeper) UpdateDNSRule(ctx context.Context, app, id string, u mp1.DNSRuleUpdate, accepts func(mp1.DNSRule) bool) (mp1.DNSRule, error) {
	_, err := k.update(ctx, app, func(now plugins.Rules) (plugins.Rules, error) {
		was := dnsRule(&now, id)
		if was == nil {
			return now, server.ErrNoRule
		}
		rule, err := u.Applied(was.Rule, func(text string) bool {
			name, err := domainName(text, "")
			return err == nil && name == was.Rule.DomainName
		})
		switch {
		case err != nil:
			return now, err
		case accepts != nil && !accepts(shown(was, k.driver)):
			return now, heartbeat.ErrStale
		}
		_, wall := k.clock()
		return withDNSRule(now, rule, k.driver, wall), nil
	})
	if err != nil {
		return mp1.DNSRule{}, err
	}
	r := k.awaitDriver(ctx, app, func(r *plugins.Rules) bool {
		one := dnsRule(r, id)
		return one != nil && pending(*one)
	})
	if one := dnsRule(&r, id); one != nil {
		return shown(one, k.driver), nil
	}
	return mp1.DNSRule{}, server.ErrNoRule // it was removed meanwhile
}

// withDNSRule is r with one rule changed. One that is wanted as before keeps its outcome.
func withDNSRule(r plugins.Rules, rule mp1.DNSRule, by string, wall int64) plugins.Rules {
	out := r
	out.DNS = append([]plugins.DNSRule(nil), r.DNS...)
	was := dnsRule(&out, rule.DNSRuleID)
	if sameRule(&was.Rule, &rule) {
		return out
	}
	removing := slices.Contains(r.Removed, nameOf(&rule))
	was.Outcome = outcomeOf(rule, dnsRule(&r, rule.DNSRuleID), removing, by, wall)
	was.Rule = rule
	return out
}

func sameRule(a, b *mp1.DNSRule) bool {
	x, y := *a, *b
	x.TTL, y.TTL = nil, nil
	return x == y && (a.TTL == nil) == (b.TTL == nil) && (a.TTL == nil || *a.TTL == *b.TTL)
}

// TrafficRules implements server.Rules.
func (k *keeper) TrafficRules(ctx context.Context, app string) (all []mp1.TrafficRule, err error) {
	r, err := k.find(ctx, app, func(r *plugins.Rules) bool { return r.At != 0 })
	for i := range r.Traffic {
		all = append(all, r.Traffic[i].Rule)
	}
	return all, err
}

// TrafficRule implements server.Rules.
func (k *keeper) TrafficRule(ctx context.Context, app, id string) (mp1.TrafficRule, error) {
	r, err := k.find(ctx, app, func(r *plugins.Rules) bool { return trafficRule(r, id) != nil })
	if err != nil {
		return mp1.TrafficRule{}, err
	}
	if one := trafficRule(&r, id); one != nil {
		return one.Rule, nil
	}
	return mp1.TrafficRule{}, server.ErrNoRule
}

// UpdateTrafficRule implements server.Rules. There is no driver for traffic rules: whoever
// applies them reads them here, and the state is what is wanted.
func (k *keeper) UpdateTrafficRule(ctx context.Context, app, id string, u mp1.TrafficRuleUpdate, accepts func(mp1.TrafficRule) bool) (mp1.TrafficRule, error) {
	r, err := k.update(ctx, app, func(now plugins.Rules) (plugins.Rules, error) {
		was := trafficRule(&now, id)
		if was == nil {
			return now, server.ErrNoRule
		}
		rule, err := u.Applied(was.Rule)
		switch {
		case err != nil:
			return now, err
		case accepts != nil && !accepts(was.Rule):
			return now, heartbeat.ErrStale
		}
		out := now
		out.Traffic = append([]plugins.TrafficRule(nil), now.Traffic...)
		one := trafficRule(&out, id)
		one.Rule = rule
		if rule.State != was.Outcome.State {
			_, wall := k.clock()
			one.Outcome = plugins.RuleOutcome{State: rule.State, Driver: none, Time: wall}
		}
		return out, nil
	})
	if err != nil {
		return mp1.TrafficRule{}, err
	}
	return trafficRule(&r, id).Rule, nil
}
