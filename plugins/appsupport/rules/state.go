package rules

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// This file says what follows from the rules of an application. It reads no clock and keeps
// nothing.

// defaultTTL is the time to live of a record whose rule has none, in seconds: MEC 011 says that
// such a rule does not expire, and a record must, or a change would never be seen.
const defaultTTL = 60

func nameOf(r *mp1.DNSRule) plugins.RuleName {
	return plugins.RuleName{Name: r.DomainName, Type: r.IPAddressType}
}

// shown is the rule with the state that is so.
func shown(r *plugins.DNSRule, by string) mp1.DNSRule {
	out := r.Rule
	out.State = r.Outcome.State
	if r.Outcome.Driver != "" && r.Outcome.Driver != by { // what another driver confirmed says nothing of this one
		out.State = mp1.RuleInactive
	}
	return out
}

// settled says whether the driver has confirmed what is wanted. What no driver serves needs
// no confirmation of another one.
func settled(r *plugins.DNSRule, by string) bool {
	o := r.Outcome
	return o.State == r.Rule.State && o.Reason == "" && o.Driver != "" && (o.Driver == by || r.Rule.State == mp1.RuleInactive)
}

// untouched says that the driver serves nothing of a rule.
func untouched(r *plugins.DNSRule) bool {
	return r.Rule.State == mp1.RuleInactive && settled(r, r.Outcome.Driver)
}

// wanted are the records that a name is to have, sorted.
func wanted(r *plugins.Rules, n plugins.RuleName) (records []driver.Record) {
	for i := range r.DNS {
		one := &r.DNS[i].Rule
		if one.State != mp1.RuleActive || nameOf(one) != n {
			continue
		}
		ip, err := netip.ParseAddr(one.IPAddress)
		if err != nil { // it was read before it was stored
			continue
		}
		record := driver.Record{Address: ip, TTL: defaultTTL}
		if one.TTL != nil {
			record.TTL = uint32(min(max(*one.TTL, 0), mp1.MaxTTL))
		}
		if !slices.ContainsFunc(records, func(r driver.Record) bool { return r.Address == ip }) {
			records = append(records, record)
		}
	}
	slices.SortFunc(records, func(a, b driver.Record) int { return a.Address.Compare(b.Address) })
	return records
}

// names are the domain names of the rules, each once, in their order.
func names(r *plugins.Rules) (all []plugins.RuleName) {
	for i := range r.DNS {
		if n := nameOf(&r.DNS[i].Rule); !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// unsettled are the names of which the driver has yet to confirm something.
func unsettled(r *plugins.Rules, by string) (all []plugins.RuleName) {
	for i := range r.DNS {
		if n := nameOf(&r.DNS[i].Rule); !settled(&r.DNS[i], by) && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	for _, n := range r.Removed {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// active are the names that are to be served.
func active(r *plugins.Rules) (all []plugins.RuleName) {
	for i := range r.DNS {
		if n := nameOf(&r.DNS[i].Rule); r.DNS[i].Rule.State == mp1.RuleActive && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// mostRemoved bounds the names of one application that are to be removed. Beyond it, the driver
// having failed for long, the oldest are given up.
const mostRemoved = 4 * mp1.MaxRules

// touched says whether the driver may serve a name for one of the rules.
func touched(r *plugins.Rules, n plugins.RuleName) bool {
	return slices.ContainsFunc(r.DNS, func(one plugins.DNSRule) bool { return nameOf(&one.Rule) == n && !untouched(&one) })
}

// withRemoved is next, with the names of was that next does not have any more and that the
// driver may serve. If next has such a name only in rules that nobody activated, one of them
// waits for the driver's confirmation.
func withRemoved(was, next *plugins.Rules, by string) plugins.Rules {
	out := *next
	if by == none {
		out.Removed = nil
		return out
	}
	now := names(next)
	out.Removed = nil
	add := func(n plugins.RuleName) {
		if !slices.Contains(now, n) && !slices.Contains(out.Removed, n) {
			out.Removed = append(out.Removed, n)
		}
	}
	for _, n := range was.Removed {
		add(n)
	}
	for i := range was.DNS {
		if !untouched(&was.DNS[i]) {
			add(nameOf(&was.DNS[i].Rule))
		}
	}
	out.Removed = out.Removed[max(0, len(out.Removed)-mostRemoved):]
	out.DNS = slices.Clone(next.DNS)
	for i := range out.DNS {
		if n := nameOf(&out.DNS[i].Rule); touched(was, n) && !touched(&out, n) {
			out.DNS[i].Outcome.Driver = ""
		}
	}
	return out
}

// outcomeOf is the outcome of a rule that is wanted anew. was is what it was before; nil: there
// was none. A name that may be served goes on being ACTIVE until the driver has removed it.
func outcomeOf(next mp1.DNSRule, was *plugins.DNSRule, removing bool, by string, now int64) plugins.RuleOutcome {
	o := plugins.RuleOutcome{State: mp1.RuleInactive, Time: now}
	switch {
	case by == none:
		o.State, o.Driver = next.State, none
	case next.State == mp1.RuleActive:
	case removing:
	case was == nil || untouched(was):
		o.Driver = by
	case was.Outcome.State == mp1.RuleActive && nameOf(&was.Rule) == nameOf(&next):
		o.State = mp1.RuleActive
	}
	return o
}

// result is how a call of the driver for one name ended.
type result struct {
	// sent are the rules of the application as they were when the driver was called. They may
	// have been others before, and after.
	sent plugins.Rules
	err  error
	// lost says that the driver has failed for so long that what it confirmed before counts no
	// more.
	lost bool
}

// withResults is now with the outcomes of what was applied: the names in results, as they were
// sent. What is wanted otherwise by now is left alone. changed is false if nothing is new.
func withResults(now *plugins.Rules, results map[plugins.RuleName]result, by string, wall int64) (out plugins.Rules, changed bool) {
	out = *now
	out.DNS, out.Removed = slices.Clone(now.DNS), nil
	for i := range out.DNS {
		r := &out.DNS[i]
		n := nameOf(&r.Rule)
		res, applied := results[n]
		if !applied || !reflect.DeepEqual(wanted(&res.sent, n), wanted(now, n)) || stateIn(&res.sent, r.Rule.DNSRuleID) != r.Rule.State {
			continue
		}
		if o := outcomeAfter(r, res, by, wall); o != r.Outcome {
			r.Outcome, changed = o, true
		}
	}
	current := names(now)
	for _, n := range now.Removed {
		res, applied := results[n]
		removed := res.err == nil && len(wanted(&res.sent, n)) == 0 || refused(res.err)
		if applied && removed || slices.Contains(current, n) {
			changed = true
			continue
		}
		out.Removed = append(out.Removed, n)
	}
	return out, changed
}

// stateIn is the state that is wanted of a rule; "": there is none.
func stateIn(r *plugins.Rules, id string) mp1.RuleState {
	if one := dnsRule(r, id); one != nil {
		return one.Rule.State
	}
	return ""
}

// outcomeAfter is the outcome of a rule after a call of the driver.
func outcomeAfter(r *plugins.DNSRule, res result, by string, wall int64) plugins.RuleOutcome {
	o := r.Outcome
	if refused(res.err) {
		if res.lost = true; r.Rule.State == mp1.RuleInactive {
			res.err = nil // it is not served, which is what is wanted
		}
	}
	switch {
	case res.err == nil && settled(r, by):
	case res.err == nil:
		return plugins.RuleOutcome{State: r.Rule.State, Driver: by, Time: wall}
	case settled(r, by) && !res.lost: // what was confirmed stays until the driver is silent for long
	default:
		next := plugins.RuleOutcome{State: mp1.RuleInactive, Reason: plugins.Clean(res.err.Error()), Driver: by, Time: wall}
		if r.Rule.State == mp1.RuleInactive {
			next.State = o.State // it may be served still
		}
		if next.State != o.State || next.Reason != o.Reason || next.Driver != o.Driver {
			return next
		}
	}
	return o
}
