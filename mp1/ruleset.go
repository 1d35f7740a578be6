package mp1

import "fmt"

// MaxRules is the most rules of each kind that an application may have.
const MaxRules = 64

// RuleSet are all rules of an application, as the platform's side defines them. It is no type
// of MEC 011, which leaves to Mm5 how rules get there.
type RuleSet struct {
	DNSRules     []DNSRule     `json:"dnsRules"`
	TrafficRules []TrafficRule `json:"trafficRules"`
}

var ruleSetMembers = []string{"dnsRules", "trafficRules"}

// DecodeRuleSet reads the definition of an application's rules. It replaces all of them: a list
// that is absent is empty. One of the two must be there, and no other members: were a misspelt
// list ignored, its rules would be removed. Its errors are *Invalid, and name the entry by its
// place, from 0.
func DecodeRuleSet(data []byte) (s RuleSet, err error) {
	o, err := readDocument(data)
	if err != nil {
		return s, err
	}
	if err = o.refuseUnknown(ruleSetMembers...); err != nil {
		return s, err
	}
	if o.members["dnsRules"] == nil && o.members["trafficRules"] == nil {
		return s, &Invalid{"", "the body must have dnsRules, trafficRules or both; both are replaced"}
	}
	dnsID := func(r DNSRule) string { return r.DNSRuleID }
	if s.DNSRules, err = decodeRules(o, "dnsRules", "dnsRuleId", dnsRuleMembers, completeDNSRule, dnsID); err != nil {
		return s, err
	}
	trafficID := func(r TrafficRule) string { return r.TrafficRuleID }
	s.TrafficRules, err = decodeRules(o, "trafficRules", "trafficRuleId", trafficRuleMembers, completeTrafficRule, trafficID)
	return s, err
}

func decodeRules[T any](o object, name, idName string, members []string, read func(object) (T, error), id func(T) string) ([]T, error) {
	l, err := o.list(name)
	switch {
	case err != nil:
		return nil, err
	case len(l) > MaxRules:
		return nil, &Invalid{o.pathTo(name), fmt.Sprintf("must not have more than %d entries", MaxRules)}
	}
	out, seen := make([]T, 0, len(l)), map[string]bool{}
	for i, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{o.pathTo(name), "must be an array of objects"}
		}
		one := object{path: fmt.Sprintf("%s[%d]", name, i), members: m}
		if err := one.refuseOtherCase(members...); err != nil {
			return nil, err
		}
		r, err := read(one)
		if err != nil {
			return nil, err
		}
		if seen[id(r)] {
			return nil, &Invalid{one.pathTo(idName), "stands twice; ids of rules are unique in their list"}
		}
		seen[id(r)] = true
		out = append(out, r)
	}
	return out, nil
}
