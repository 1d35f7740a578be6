package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

var _ plugins.RuleDefiner = (*keeper)(nil)

// Check implements plugins.RuleDefiner.
func (k *keeper) Check(_ context.Context, app string, s mp1.RuleSet) error {
	s, err := k.named(s)
	if err != nil {
		return err
	}
	now := k.peek(app)
	next := k.defined(&now, &s, 0)
	switch {
	case k.taken(app, names(&next)):
		return server.ErrDomainNameTaken
	case now.At == 0 && k.count() >= maxApplications:
		return server.ErrTooManyRules
	}
	return nil
}

// Defined implements plugins.RuleDefiner.
func (k *keeper) Defined(ctx context.Context, app string) (plugins.Rules, error) {
	return k.find(ctx, app, func(r *plugins.Rules) bool { return r.At != 0 })
}

// named is a definition with its domain names in the one form in which they are kept.
func (k *keeper) named(s mp1.RuleSet) (mp1.RuleSet, error) {
	s.DNSRules = slices.Clone(s.DNSRules)
	for i := range s.DNSRules {
		name, err := domainName(s.DNSRules[i].DomainName, k.zone)
		if bad, is := errors.AsType[*mp1.Invalid](err); is {
			return s, &mp1.Invalid{Attribute: fmt.Sprintf("dnsRules[%d].%s", i, bad.Attribute), Rule: bad.Rule}
		}
		s.DNSRules[i].DomainName = name
	}
	return s, nil
}
