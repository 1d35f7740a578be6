package plugins

import (
	"context"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Rules are the DNS and traffic rules of one application, as the platform keeps them.
type Rules struct {
	App     string
	DNS     []DNSRule
	Traffic []TrafficRule
	// Removed are the domain names that were served for rules which are gone or were changed,
	// until the driver has confirmed that they are served no more.
	Removed []RuleName
	At      heartbeat.Revision // of their last write; 0: there is none
}

// DNSRule is one DNS rule of an application.
type DNSRule struct {
	Defined mp1.DNSRule // by the platform's side
	Rule    mp1.DNSRule // as the application has changed it; its State is what is wanted
	Outcome RuleOutcome
}

// TrafficRule is one traffic rule of an application.
type TrafficRule struct {
	Defined mp1.TrafficRule
	Rule    mp1.TrafficRule
	Outcome RuleOutcome
}

// RuleOutcome is what came of a rule as it is wanted now.
type RuleOutcome struct {
	State  mp1.RuleState // what the driver said last; INACTIVE until it said anything
	Reason string        // of the failure, if the driver failed; "": it did not
	Driver string        // whose word it is; "": nobody has said anything yet
	Time   int64         // of the word, or of the wish; wall clock, Unix nanoseconds
}

// RuleName is a domain name with the type of its addresses.
type RuleName struct {
	Name string
	Type mp1.IPAddressType
}

// RuleStore is what the store offers to those who keep rules. Its errors are those of
// heartbeat.Store.
type RuleStore interface {
	// SaveRules writes the rules of an application whose last write is still r.At (0: there is
	// none) and returns the new one; ErrConflict: it is not. Rules that have no more domain
	// names than before need nothing else.
	SaveRules(ctx context.Context, r Rules) (heartbeat.Revision, error)
	// SaveRulesWithNames is SaveRules for rules with other domain names. No two applications
	// may have one, so names is the revision of the last such write that the caller has seen,
	// of whichever application; ErrConflict: there was a later one.
	SaveRulesWithNames(ctx context.Context, r Rules, names heartbeat.Revision) (heartbeat.Revision, error)
	// RuleNames is the revision of the last SaveRulesWithNames; 0: there was none.
	RuleNames(ctx context.Context) (heartbeat.Revision, error)
	// EraseRules erases the rules of an application whose last write is still at; ErrConflict:
	// it is not.
	EraseRules(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error)
	// Rules reads the rules of one application; their At is 0 if there are none.
	Rules(ctx context.Context, app string) (Rules, error)
	// FollowRules shows r all rules, and then every write until ctx ends. Whatever breaks the
	// watch leads to a new load.
	FollowRules(ctx context.Context, r RulesReader, failed func(reason string, err error))
}

// RulesReader is shown all rules. Its methods must not block.
type RulesReader interface {
	// LoadRules replaces everything that was shown. names is that of RuleStore.RuleNames.
	LoadRules(all []Rules, names, at heartbeat.Revision)
	// SeeRules shows a write; erased says whether it erased the rules, of which only App and At
	// are set then.
	SeeRules(r Rules, erased bool)
	// SeeRuleNames says that names were added at a revision, and that every write up to it was
	// shown.
	SeeRuleNames(at heartbeat.Revision)
}
