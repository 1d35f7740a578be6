package rules

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// within has a driver of either kind serve nothing outside a zone, as setup does.
func within(in zone, by any) any {
	if by, is := by.(driver.Whole); is {
		return zonedWhole{by, in}
	}
	return zonedDNS{by.(driver.DNS), in}
}

// The zone may be set, or made smaller, when there are rules already.
func TestNamesOutsideTheZoneAreNotServed(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, within("", by), 0)
		r.define(t, "app", aRule("in", "a.edge.example", "192.0.2.1", mp1.RuleActive), aRule("out", "a.example", "192.0.2.2", mp1.RuleActive),
			aRule("later", "b.example", "192.0.2.3", mp1.RuleInactive))
		require.NotEmpty(t, dns.addresses("a.example"))
		r.stop()

		r = newReplica(t, s, within("edge.example", by), 0)
		r.zone = "edge.example"
		time.Sleep(5 * time.Second)
		require.Empty(t, dns.addresses("a.example"), "what was served is removed")
		require.Equal(t, []string{"192.0.2.1"}, dns.addresses("a.edge.example"))
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "in"))
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "out"))
		const reason = "the name is not in the zone edge.example, and this platform serves no others"
		require.Equal(t, reason, s.get("app").DNS[1].Outcome.Reason)
		one, err := r.UpdateDNSRule(t.Context(), "app", "later", withState(mp1.RuleActive), nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		require.Empty(t, dns.addresses("b.example"))
		require.Equal(t, reason, s.get("app").DNS[2].Outcome.Reason)
		require.False(t, r.failing(), "no failure of the driver")
		require.NotContains(t, r.log.String(), "fails")
		synctest.Wait() // the refused names are set once more
		calls, writes := dns.count(), s.written()
		time.Sleep(10 * resyncEvery)
		require.LessOrEqual(t, dns.count()-calls, 40, "it is set again from time to time, as others are")
		require.Equal(t, writes, s.written())
		one, err = r.UpdateDNSRule(t.Context(), "app", "later", withState(mp1.RuleInactive), nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		require.Empty(t, s.get("app").DNS[2].Outcome.Reason)
		r.stop()

		r = newReplica(t, s, within("example", by), 0)
		defer r.stop()
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"192.0.2.2"}, dns.addresses("a.example"), "the zone is as large as before")
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "out"))
		require.Empty(t, s.get("app").DNS[1].Outcome.Reason)
	})
}

func TestANameOutsideTheZoneIsRemovedWithItsRule(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, within("", by), 0)
		r.define(t, "app", aRule("out", "a.example", "192.0.2.2", mp1.RuleActive))
		r.stop()
		r = newReplica(t, s, within("edge.example", by), 0)
		defer r.stop()
		dns.set(func(d *fakeDNS) { d.fail = errors.New("down") })
		require.NoError(t, r.Remove(t.Context(), "app"))
		dns.set(func(d *fakeDNS) { d.fail = nil })
		time.Sleep(2 * longestWait)
		require.Empty(t, dns.addresses("a.example"))
		require.Zero(t, s.get("app").At)
	})
}

func TestAZoneHasItsOwnNameAndThoseBelowIt(t *testing.T) {
	for name, has := range map[string]bool{"edge.example": true, "a.edge.example": true, "aedge.example": false, "example": false, "edge.example.com": false} {
		require.Equal(t, has, zone("edge.example").has(name), name)
		require.True(t, zone("").has(name), name)
	}
}

// One bad name must not keep all others from being served.
func TestANameThatIsLeftOutLeavesTheOthersActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, pickyWhole{fakeWhole{dns}, "bad.example"}, 0)
		defer r.stop()
		r.define(t, "app", aRule("bad", "bad.example", "192.0.2.1", mp1.RuleActive), aRule("good", "good.example", "192.0.2.2", mp1.RuleActive))
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "good"))
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "bad"))
		require.Equal(t, "it is bad", s.get("app").DNS[0].Outcome.Reason)
	})
}

// pickyWhole leaves out one name.
type pickyWhole struct {
	fakeWhole
	never string
}

func (d pickyWhole) SetAll(ctx context.Context, all map[driver.Name][]driver.Record) error {
	bad := driver.Refusals{}
	for n := range all {
		if n.Name == d.never {
			delete(all, n)
			bad[n] = driver.Refusal{Reason: "it is bad"}
		}
	}
	if err := d.fakeWhole.SetAll(ctx, all); err != nil || len(bad) == 0 {
		return err
	}
	return bad
}
