package rules

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

func TestARuleIsActiveOnceTheDriverSaidSo(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive), aRule("e", "b.example", "2001:db8::1", mp1.RuleActive))
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "d"))
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "e"))
		require.Empty(t, dns.addresses("a.example"))
		one, err := r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), accepting)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleActive, one.State)
		require.Equal(t, []string{"192.0.2.1"}, dns.addresses("a.example"))
		one, err = r.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleActive, one.State)
		require.Equal(t, []string{"192.0.2.2"}, dns.addresses("a.example"))
		one, err = r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleInactive), nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		require.Empty(t, dns.addresses("a.example"))
		writes := s.written()
		_, err = r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleInactive), nil)
		require.NoError(t, err)
		time.Sleep(3 * resyncEvery)
		require.Equal(t, writes, s.written(), "what is as it is to be is not written, however often the driver is called")
	})
}

func TestADriverThatFailsLeavesTheRuleInactiveWithItsReason(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive))
		dns.set(func(d *fakeDNS) { d.fail = errors.New("REFUSED\x1b[31m") })
		one, err := r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		require.Equal(t, "REFUSED[31m", s.get("app").DNS[0].Outcome.Reason)
		time.Sleep(5 * time.Minute)
		require.Equal(t, 1, bytes.Count(r.log.Bytes(), []byte("fails")), "an episode is logged once: %s", r.log)
		require.Less(t, dns.count(), 40, "it is asked less and less often")
		writes := s.written()
		time.Sleep(5 * time.Minute)
		require.Equal(t, writes, s.written())

		dns.set(func(d *fakeDNS) { d.fail = nil })
		time.Sleep(2 * longestWait)
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "d"))
		require.Empty(t, s.get("app").DNS[0].Outcome.Reason)
		require.Contains(t, r.log.String(), "answers again")
	})
}

func TestADriverThatNeverAnswersHoldsNobodyUp(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		defer r.stop()
		dns.set(func(d *fakeDNS) { d.hang = true })
		begun := time.Now()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		require.LessOrEqual(t, time.Since(begun), 2*time.Second)
		begun = time.Now()
		one, err := r.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		require.LessOrEqual(t, time.Since(begun), 2*time.Second)
		begun = time.Now()
		require.NoError(t, owned{r.keeper}.Remove(t.Context(), "app", owned{r.keeper}.Of("app")[0]))
		require.Zero(t, time.Since(begun), "an application leaves, whatever the driver does")
		require.Empty(t, owned{r.keeper}.Of("app"))
		require.NotEmpty(t, s.get("app").Removed)
		dns.set(func(d *fakeDNS) { d.hang = false })
		time.Sleep(3 * time.Minute)
		require.Zero(t, s.size(), "nothing is kept once the driver has removed the name")
	})
}

// The driver was down when the application left, and is when it comes back with the same rules.
func TestNamesOfARemovedApplicationGoOnceTheDriverIsBack(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		defer r.stop()
		rules := []mp1.DNSRule{aRule("d", "a.example", "192.0.2.1", mp1.RuleActive), aRule("e", "b.example", "192.0.2.1", mp1.RuleActive)}
		r.define(t, "app", rules...)
		dns.set(func(d *fakeDNS) { d.fail = errors.New("down") })
		require.NoError(t, r.Remove(t.Context(), "app"))
		time.Sleep(time.Minute)
		require.Len(t, s.get("app").Removed, 2)
		r.define(t, "app", rules[0])
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "d"))
		r.define(t, "other", aRule("x", "b.example", "192.0.2.7", mp1.RuleActive))
		dns.set(func(d *fakeDNS) { d.fail = nil })
		time.Sleep(3 * time.Minute)
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "d"))
		require.Equal(t, []string{"192.0.2.1"}, dns.addresses("a.example"))
		require.Equal(t, []string{"192.0.2.7"}, dns.addresses("b.example"), "the name has another owner by now")
		require.Empty(t, s.get("app").Removed)
		dns.set(func(d *fakeDNS) { require.False(t, d.twice) })
	})
}

func TestTwoApplicationsCannotHaveOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r, other := newReplica(t, s, dns, 1), newReplica(t, s, dns, 2)
		defer func() { r.stop(); other.stop() }()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		_, err := other.Define(t.Context(), "b", mp1.RuleSet{DNSRules: []mp1.DNSRule{aRule("d", "A.Example.", "192.0.2.2", mp1.RuleActive)}})
		require.ErrorIs(t, err, server.ErrDomainNameTaken)
		require.Zero(t, s.get("b").At, "nothing is stored")
		r.define(t, "b", aRule("d", "a.example", "2001:db8::1", mp1.RuleActive))
		_, err = r.UpdateDNSRule(t.Context(), "b", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.3", IPAddressType: mp1.IPv4}, nil)
		require.ErrorIs(t, err, server.ErrDomainNameTaken)
		require.Equal(t, mp1.RuleActive, r.state(t, "b", "d"))

		// two at the same moment, of two replicas: one of them
		var errs [2]error
		var both sync.WaitGroup
		for i, at := range []*replica{r, other} {
			both.Go(func() {
				_, errs[i] = at.Define(t.Context(), fmt.Sprint("racer", i), mp1.RuleSet{DNSRules: []mp1.DNSRule{aRule("d", "race.example", "192.0.2.1", mp1.RuleActive)}})
			})
		}
		both.Wait()
		require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v", errs)
		require.ErrorIs(t, errors.Join(errs[:]...), server.ErrDomainNameTaken)
	})
}

func TestAnApplicationsChangeOutlivesTheSameDefinition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		rule, traffic := aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive), mp1.TrafficRule{TrafficRuleID: "t", Action: mp1.ActionDrop, State: mp1.RuleInactive}
		set := mp1.RuleSet{DNSRules: []mp1.DNSRule{rule}, TrafficRules: []mp1.TrafficRule{traffic}}
		_, err := r.Define(t.Context(), "app", set)
		require.NoError(t, err)
		_, err = r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), nil)
		require.NoError(t, err)
		got, err := r.UpdateTrafficRule(t.Context(), "app", "t", mp1.TrafficRuleUpdate{State: mp1.RuleActive}, func(now mp1.TrafficRule) bool { return now.State == mp1.RuleInactive })
		require.NoError(t, err)
		require.Equal(t, mp1.RuleActive, got.State)
		_, err = r.UpdateTrafficRule(t.Context(), "app", "t", mp1.TrafficRuleUpdate{State: mp1.RuleActive}, func(now mp1.TrafficRule) bool { return now.State == mp1.RuleInactive })
		require.ErrorIs(t, err, heartbeat.ErrStale)
		_, err = r.Define(t.Context(), "app", set)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "d"))
		set.DNSRules[0].IPAddress, set.TrafficRules[0].Priority = "192.0.2.9", 1
		_, err = r.Define(t.Context(), "app", set)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "d"), "another definition replaces what the application changed")
		one, err := r.TrafficRule(t.Context(), "app", "t")
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		require.Empty(t, dns.addresses("a.example"))
	})
}

// A rule that nobody activated must not remove what somebody else serves under its name.
func TestTheDriverIsNotGivenRulesThatWereNeverActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive))
		r.define(t, "app", aRule("d", "a.example", "192.0.2.2", mp1.RuleInactive))
		r.define(t, "app")
		time.Sleep(5 * time.Minute)
		require.Zero(t, dns.count())
		require.Zero(t, s.size())
	})
}

func TestARestartGivesTheDriverEverythingAndDoubtsNothing(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		for i := range 20 {
			r.define(t, fmt.Sprint("app", i), aRule("d", fmt.Sprintf("n%d.example", i), "192.0.2.1", mp1.RuleActive))
		}
		r.stop()
		writes := s.written()
		dns.set(func(d *fakeDNS) { d.served = map[driver.Name][]driver.Record{} }) // the DNS server lost them
		r = newReplica(t, s, by, 0)
		defer r.stop()
		require.Equal(t, mp1.RuleActive, r.state(t, "app3", "d"))
		time.Sleep(5 * time.Second)
		for i := range 20 {
			require.NotEmpty(t, dns.addresses(fmt.Sprintf("n%d.example", i)))
		}
		require.Equal(t, writes, s.written())
		dns.set(func(d *fakeDNS) { d.served = map[driver.Name][]driver.Record{} })
		time.Sleep(3 * resyncEvery)
		require.NotEmpty(t, dns.addresses("n7.example"), "what is lost later is found, too")

		dns.set(func(d *fakeDNS) { d.fail = errors.New("down") })
		time.Sleep(lostAfter - 5*time.Second)
		require.Equal(t, mp1.RuleActive, r.state(t, "app3", "d"), "a short failure changes nothing")
		time.Sleep(5 * time.Minute)
		require.Equal(t, mp1.RuleInactive, r.state(t, "app3", "d"), "a long one does")
		dns.set(func(d *fakeDNS) { d.fail = nil })
		time.Sleep(3 * time.Minute)
		require.Equal(t, mp1.RuleActive, r.state(t, "app3", "d"))
	})
}

func TestAChangeDuringACallOfTheDriverIsNotConfirmedByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive))
		dns.set(func(d *fakeDNS) { d.hang = true })
		go func() { _, _ = r.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), nil) }()
		time.Sleep(time.Second)
		dns.set(func(d *fakeDNS) { d.hang = false })
		one, err := r.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		time.Sleep(setTimeout + 2*time.Second)
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "d"))
		require.Equal(t, []string{"192.0.2.2"}, dns.addresses("a.example"))
	})
}

// The driver says yes to the address that was wanted before, and no to the one that is.
func TestAResultForAnEarlierStateIsNoneForTheLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		dns.gate = make(chan struct{})
		r := newReplica(t, s, dns, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		_, err := r.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, nil)
		require.NoError(t, err)
		dns.set(func(d *fakeDNS) { d.fail = errors.New("REFUSED") })
		close(dns.gate)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"192.0.2.1"}, dns.addresses("a.example"))
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "d"))
		require.Equal(t, "REFUSED", s.get("app").DNS[0].Outcome.Reason)
	})
}
