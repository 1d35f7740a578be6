package rules

import (
	"context"
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

// The driver's word, or another replica, may write the rules between a listing and the removal.
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
