package rules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// maxApplications bounds of how many applications there may be rules. Those that were
	// removed count until the driver has removed their names.
	maxApplications = 20000
	// maxSize is how much the rules of one application may take, in bytes: etcd takes no value
	// above 1.5 MiB.
	maxSize   = 256 << 10
	maxRounds = 8
	// answerTime is how long a change waits for the driver before it is answered with what is
	// so.
	answerTime = 1500 * time.Millisecond
	// namesTime is how long a definition waits for others, and until this replica was shown
	// their names.
	namesTime = 5 * time.Second
)

// keeper keeps the rules of applications. It is server.Rules.
type keeper struct {
	*directory
	driver string // the name of the driver for DNS rules
	zone   zone
	// failing says whether the driver fails.
	failing func() bool
	// defining holds whoever adds names, so that two of this replica do not defeat each other.
	defining chan struct{} // of 1
	// changing holds whoever changes the rules of an application, for the same reason: an
	// application activates many at once. Applications of the same hash wait for each other.
	changing [64]chan struct{} // of 1 each
}

func newKeeper(d *directory, driver string, z zone) *keeper {
	k := &keeper{directory: d, driver: driver, zone: z, defining: make(chan struct{}, 1)}
	for i := range k.changing {
		k.changing[i] = make(chan struct{}, 1)
	}
	return k
}

// change begins a change of the rules of an application, which ends by the returned function.
func (k *keeper) change(ctx context.Context, app string) (end func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(app))
	one := k.changing[h.Sum32()%uint32(len(k.changing))]
	select {
	case one <- struct{}{}:
		return func() { <-one }, nil
	case <-ctx.Done():
		return nil, heartbeat.ErrUnavailable
	}
}

var _ server.Rules = (*keeper)(nil)

// update writes what next makes of the rules as they are in the store, and begins anew if
// somebody else wrote them in between.
func (k *keeper) update(ctx context.Context, app string, next func(plugins.Rules) (plugins.Rules, error)) (plugins.Rules, error) {
	end, err := k.change(ctx, app)
	if err != nil {
		return plugins.Rules{}, err
	}
	defer end()
	for range maxRounds {
		now, err := k.store.Rules(ctx, app)
		if err != nil {
			return now, heartbeat.ErrUnavailable
		}
		r, err := next(now)
		if err != nil {
			return now, err
		}
		r = withRemoved(&now, &r, k.driver)
		if reflect.DeepEqual(r, now) {
			k.observe(now, false)
			return now, nil
		}
		r.At, err = k.save(ctx, &now, &r)
		var refused *mp1.Invalid
		switch {
		case err == nil:
			k.observe(r, len(r.DNS)+len(r.Traffic)+len(r.Removed) == 0)
			return r, nil
		case errors.Is(err, heartbeat.ErrFull), errors.Is(err, server.ErrDomainNameTaken), errors.Is(err, server.ErrTooManyRules), errors.As(err, &refused):
			return now, err
		case !errors.Is(err, heartbeat.ErrConflict):
			return now, heartbeat.ErrUnavailable
		}
	}
	return plugins.Rules{}, heartbeat.ErrUnavailable
}

// save writes next, which was made of now. Nothing is kept of an application that has no rules.
func (k *keeper) save(ctx context.Context, now, next *plugins.Rules) (heartbeat.Revision, error) {
	if len(next.DNS)+len(next.Traffic)+len(next.Removed) == 0 {
		return k.store.EraseRules(ctx, next.App, now.At)
	}
	if b, err := json.Marshal(next); err != nil || len(b) > maxSize {
		return 0, &mp1.Invalid{Rule: fmt.Sprintf("the rules of one application together must not take more than %d bytes", maxSize)}
	}
	had := names(now)
	added := slices.DeleteFunc(names(next), func(n plugins.RuleName) bool { return slices.Contains(had, n) })
	if len(added) == 0 {
		return k.store.SaveRules(ctx, *next)
	}
	ctx, cancel := context.WithTimeout(ctx, namesTime)
	defer cancel()
	select { // many that wait for a broken watch all wait for the same time
	case k.defining <- struct{}{}:
		defer func() { <-k.defining }()
	case <-ctx.Done():
		return 0, heartbeat.ErrUnavailable
	}
	last, err := k.store.RuleNames(ctx)
	if err == nil {
		err = k.awaitNames(ctx, last)
	}
	switch {
	case err != nil:
		return 0, err
	case k.taken(next.App, added):
		return 0, server.ErrDomainNameTaken
	}
	at, err := k.store.SaveRulesWithNames(ctx, *next, last)
	if err == nil {
		written := *next
		written.At = at
		k.observe(written, false) // before anybody else may define
		k.SeeRuleNames(at)
	}
	return at, err
}

// Define replaces all rules of an application by a definition. A rule whose definition is the
// same as before stays as the application has changed it.
func (k *keeper) Define(ctx context.Context, app string, s mp1.RuleSet) (plugins.Rules, error) {
	s, err := k.named(s)
	if err != nil {
		return plugins.Rules{}, err
	}
	r, err := k.update(ctx, app, func(now plugins.Rules) (plugins.Rules, error) {
		if now.At == 0 && k.count() >= maxApplications {
			return now, server.ErrTooManyRules
		}
		_, wall := k.clock()
		return k.defined(&now, &s, wall), nil
	})
	if err != nil {
		return r, err
	}
	return k.awaitDriver(ctx, app, func(r *plugins.Rules) bool { return pending(r.DNS...) || len(r.Removed) > 0 && !k.failing() }), nil
}

// defined are the rules that a definition makes of those that there are.
func (k *keeper) defined(now *plugins.Rules, s *mp1.RuleSet, wall int64) plugins.Rules {
	next := plugins.Rules{App: now.App, Removed: now.Removed, At: now.At}
	for _, def := range s.DNSRules {
		was := find(now.DNS, func(r *plugins.DNSRule) bool { return r.Defined.DNSRuleID == def.DNSRuleID })
		if was != nil && reflect.DeepEqual(was.Defined, def) {
			next.DNS = append(next.DNS, *was)
			continue
		}
		removing := slices.Contains(now.Removed, nameOf(&def))
		next.DNS = append(next.DNS, plugins.DNSRule{Defined: def, Rule: def, Outcome: outcomeOf(def, was, removing, k.driver, wall)})
	}
	for _, def := range s.TrafficRules {
		was := find(now.Traffic, func(r *plugins.TrafficRule) bool { return r.Defined.TrafficRuleID == def.TrafficRuleID })
		if was != nil && reflect.DeepEqual(was.Defined, def) {
			next.Traffic = append(next.Traffic, *was)
			continue
		}
		next.Traffic = append(next.Traffic, plugins.TrafficRule{Defined: def, Rule: def, Outcome: plugins.RuleOutcome{State: def.State, Driver: none, Time: wall}})
	}
	return next
}

func find[T any](all []T, is func(*T) bool) *T {
	for i := range all {
		if is(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// pending says whether one of the rules waits for the first result of the driver.
func pending(all ...plugins.DNSRule) bool {
	return slices.ContainsFunc(all, func(r plugins.DNSRule) bool { return r.Outcome.Driver == "" })
}

// awaitDriver waits until nothing of the rules is pending any more, for answerTime, and returns
// them as they are then.
func (k *keeper) awaitDriver(ctx context.Context, app string, pending func(*plugins.Rules) bool) plugins.Rules {
	over := time.NewTimer(answerTime)
	defer over.Stop()
	for {
		if r := k.peek(app); !pending(&r) {
			return r
		}
		r, changed := k.lookup(app)
		if !pending(&r) {
			return r
		}
		select {
		case <-changed:
		case <-over.C:
			return r
		case <-ctx.Done():
			return r
		}
	}
}

// owned are the rules of an application, which are removed together with it.
type owned struct{ k *keeper }

// errOtherRules says that the rules were written after they were listed.
var errOtherRules = errors.New("the rules are not those that were listed")

// idOf has the revision in it: rules that were written after they were listed may be those of an
// application that has registered again, and must not be removed with those before.
func idOf(r *plugins.Rules) string { return fmt.Sprintf("rules@%d", r.At) }

// Of implements plugins.Owned: the rules of an application are one thing.
func (o owned) Of(app string) []string {
	if r := o.k.peek(app); len(r.DNS)+len(r.Traffic) > 0 {
		return []string{idOf(&r)}
	}
	return nil
}

// Remove implements plugins.Owned. Rules that were written since are left, and listed as they are
// now. Their names are removed by the driver when it answers, which nobody waits for.
func (o owned) Remove(ctx context.Context, app, id string) error {
	now, err := o.k.update(ctx, app, func(now plugins.Rules) (plugins.Rules, error) {
		if idOf(&now) != id {
			return now, errOtherRules
		}
		return plugins.Rules{App: app, Removed: now.Removed, At: now.At}, nil
	})
	if errors.Is(err, errOtherRules) {
		o.k.observe(now, false) // the watch may be late, and they would not be listed
		return nil
	}
	return err
}
