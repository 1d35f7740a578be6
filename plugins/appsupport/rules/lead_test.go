package rules

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestOneReplicaCallsASharedDriverAndAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns, idle := newFakeStore(), newFakeDNS(), newFakeDNS()
		first, second := newReplica(t, s, dns, 1), newReplica(t, s, idle, 2)
		defer second.stop()
		second.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleInactive))
		one, err := second.UpdateDNSRule(t.Context(), "app", "d", withState(mp1.RuleActive), nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleActive, one.State, "the result of the other's call counts here, too")
		require.Zero(t, idle.count())
		first.stop()
		one, err = second.UpdateDNSRule(t.Context(), "app", "d", mp1.DNSRuleUpdate{IPAddress: "192.0.2.2"}, nil)
		require.NoError(t, err)
		require.Equal(t, mp1.RuleInactive, one.State)
		second.setRank(0)
		time.Sleep(3 * time.Second)
		require.Equal(t, mp1.RuleActive, second.state(t, "app", "d"))
		require.Equal(t, []string{"192.0.2.2"}, idle.addresses("a.example"))
	})
}

func TestEachReplicaWritesItsOwnFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, one, two := newFakeStore(), newFakeDNS(), newFakeDNS()
		first, second := newReplica(t, s, fakeWhole{one}, 1), newReplica(t, s, fakeWhole{two}, 2)
		defer func() { first.stop(); second.stop() }()
		first.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		synctest.Wait()
		require.Equal(t, []string{"192.0.2.1"}, one.addresses("a.example"))
		require.Equal(t, []string{"192.0.2.1"}, two.addresses("a.example"))
		second.define(t, "app")
		synctest.Wait()
		require.Empty(t, one.addresses("a.example"))
		require.Empty(t, two.addresses("a.example"))
	})
}

// Another replica calls the driver since; calls that were under way then still fail.
func TestAReplicaThatLostTheLeadDoesNotGoOnFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns, dead := newFakeStore(), newFakeDNS(), newFakeDNS()
		r, other := newReplica(t, s, dead, 1), newReplica(t, s, dns, 2)
		defer func() { r.stop(); other.stop() }()
		dead.set(func(d *fakeDNS) { d.hang = true })
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		time.Sleep(setTimeout + time.Second)
		require.True(t, r.failing())
		time.Sleep(time.Second) // it is being called
		r.setRank(2)
		other.setRank(1)
		time.Sleep(3 * time.Second)
		require.False(t, r.failing())
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "d"))
		require.Empty(t, s.get("app").DNS[0].Outcome.Reason)
		time.Sleep(2 * setTimeout)
		require.False(t, r.failing())
	})
}

// A call was under way when the lead was lost, and the next replica's call may be the later one.
func TestALateResultOfTheReplicaThatLedCountsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns, slow := newFakeStore(), newFakeDNS(), newFakeDNS()
		dns.gate = make(chan struct{})
		slow.hang = true
		r, other := newReplica(t, s, slow, 1), newReplica(t, s, dns, 2)
		defer func() { r.stop(); other.stop() }()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		r.setRank(2)
		other.setRank(1)
		time.Sleep(2 * setTimeout)
		require.Empty(t, s.get("app").DNS[0].Outcome.Driver, "nobody who leads has heard from the driver")
		close(dns.gate)
		time.Sleep(time.Second)
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "d"))
	})
}
