package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Remove removes all rules of an application, as its removal does.
func (r *replica) Remove(ctx context.Context, app string) error {
	o, done := owned{r.keeper}, map[string]bool{}
	for ids := o.Of(app); len(ids) > 0 && !done[ids[0]]; ids = o.Of(app) {
		done[ids[0]] = true
		if err := o.Remove(ctx, app, ids[0]); err != nil {
			return err
		}
	}
	return nil
}

// An application may register again while its last life is being removed.
func TestALateRemovalLeavesTheRulesOfTheNextLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		o := owned{r.keeper}
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		listed := o.Of("app")
		require.NoError(t, r.Remove(t.Context(), "app"))
		r.define(t, "app", aRule("d", "b.example", "192.0.2.1", mp1.RuleActive)) // the new life
		require.NoError(t, o.Remove(t.Context(), "app", listed[0]))
		require.NotEmpty(t, o.Of("app"))
		require.Equal(t, []string{"192.0.2.1"}, dns.addresses("b.example"))
	})
}

// A result of the driver, or another replica, may write the rules between a listing and the
// removal.
func TestRulesThatWereWrittenSinceTheyWereListedAreListedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		s.set(func(s *fakeStore) { s.readers = nil }) // the watch is late
		other := newReplica(t, s, dns, 2)
		defer other.stop()
		_, err := other.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, nil)
		require.NoError(t, err)
		s.set(func(s *fakeStore) { // and the driver writes at the first write of the removal
			s.before = func() {
				doc := s.get("app")
				doc.DNS = slices.Clone(doc.DNS) // others read these
				doc.DNS[0].Outcome.Time++
				_, err := s.SaveRules(t.Context(), doc)
				require.NoError(t, err)
			}
		})
		require.NoError(t, r.Remove(t.Context(), "app"))
		require.Empty(t, s.get("app").DNS)
	})
}

func TestAnAnswerThatWaitsForNothingLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		for _, app := range []string{"a1", "a2", "a3"} {
			r.define(t, app)
		}
		require.Empty(t, r.waiting)
	})
}

// A watch that is broken shows nobody's names.
func TestDefinitionsThatWaitDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r, other := newReplica(t, s, dns, 1), newReplica(t, s, dns, 2)
		defer func() { r.stop(); other.stop() }()
		s.set(func(s *fakeStore) { s.readers = s.readers[1:] }) // r's watch is broken
		other.define(t, "other", aRule("d", "other.example", "192.0.2.9", mp1.RuleInactive))
		begun := time.Now()
		var all sync.WaitGroup
		for _, app := range []string{"a1", "a2", "a3", "a4"} {
			all.Go(func() {
				_, err := r.Define(t.Context(), app, mp1.RuleSet{DNSRules: []mp1.DNSRule{aRule("d", app+".example", "192.0.2.1", mp1.RuleActive)}})
				require.ErrorIs(t, err, heartbeat.ErrUnavailable)
			})
		}
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.Define(gone, "a5", mp1.RuleSet{DNSRules: []mp1.DNSRule{aRule("d", "a5.example", "192.0.2.1", mp1.RuleActive)}})
		require.ErrorIs(t, err, heartbeat.ErrUnavailable)
		require.Equal(t, time.Second, time.Since(begun), "nobody waits on for a client that has gone")
		all.Wait()
		require.Equal(t, namesTime, time.Since(begun))
		s.follow(r.keeper)
		r.define(t, "a1", aRule("d", "a1.example", "192.0.2.1", mp1.RuleActive))
	})
}

func TestTwoChangesAtOnceAreBothMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive), aRule("e", "b.example", "192.0.2.1", mp1.RuleInactive))
		other := newReplica(t, s, dns, 2)
		defer other.stop()
		synctest.Wait()
		var both sync.WaitGroup
		for id, by := range map[string]*replica{"d": r, "e": other} {
			both.Go(func() {
				one, err := by.UpdateDNSRule(t.Context(), "app", id, withState(mp1.RuleActive), nil)
				require.NoError(t, err)
				require.Equal(t, mp1.RuleActive, one.State)
			})
		}
		both.Wait()
		current := func(now mp1.DNSRule) bool { return now.IPAddress == "192.0.2.1" }
		faster := func() {
			_, err := other.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, current)
			require.NoError(t, err)
		}
		s.set(func(s *fakeStore) { s.before = faster })
		_, err := r.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.3"}, current)
		require.ErrorIs(t, err, heartbeat.ErrStale, "the condition is asked of what is in the store")
	})
}

func TestAStoreThatIsFullOrDownIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive))
		s.set(func(s *fakeStore) { s.full = heartbeat.ErrFull })
		_, err := r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), nil)
		require.ErrorIs(t, err, heartbeat.ErrFull)
		s.set(func(s *fakeStore) { s.full, s.fail = nil, errors.New("no leader") })
		_, err = r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), nil)
		require.ErrorIs(t, err, heartbeat.ErrUnavailable)
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "d"), "what is known is shown")
		_, err = r.DNSRule(t.Context(), "app", "unknown")
		require.ErrorIs(t, err, heartbeat.ErrUnavailable, "what is not known is no 404")
	})
}

// An application activates many rules at once when it starts; none of these changes may be
// refused because of the others.
func TestManyChangesAtOnceAreAllMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		var rules []mp1.DNSRule
		for i := range 64 {
			rules = append(rules, aRule(fmt.Sprint("r", i), fmt.Sprintf("n%d.example", i), "192.0.2.1", mp1.RuleInactive))
		}
		r.define(t, "app", rules...)
		var all sync.WaitGroup
		for _, rule := range rules {
			all.Go(func() {
				_, err := r.UpdateDNSRule(t.Context(), "app", rule.DNSRuleID, withState(mp1.RuleActive), nil)
				require.NoError(t, err)
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		for _, rule := range rules {
			require.Equal(t, mp1.RuleActive, r.state(t, "app", rule.DNSRuleID))
		}
	})
}

// Changes during a short failure are tried at once, and must not make the driver wait for as long
// as a long failure does.
func TestChangesDuringAFailureMakeNothingWaitLonger(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		synctest.Wait()
		dns.set(func(d *fakeDNS) { d.fail = errors.New("REFUSED") })
		for i := range 12 {
			_, err := r.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: fmt.Sprint("192.0.2.", i+10)}, nil)
			require.NoError(t, err)
		}
		dns.set(func(d *fakeDNS) { d.fail = nil })
		begun := time.Now()
		for r.state(t, "app", "d") != mp1.RuleActive || len(dns.addresses("a.example")) != 1 || dns.addresses("a.example")[0] != "192.0.2.21" {
			time.Sleep(100 * time.Millisecond)
			require.Less(t, time.Since(begun), 10*time.Second)
		}
	})
}
