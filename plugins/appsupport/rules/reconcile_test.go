package rules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// fakeDNS serves names in memory. It is a driver.DNS and, by fakeWhole, a driver.Whole.
type fakeDNS struct {
	mu     sync.Mutex
	served map[driver.Name][]driver.Record
	fail   error
	hang   bool          // no call returns before its context ends
	gate   chan struct{} // calls of Set wait for it; nil: they do not
	calls  int
	atOnce map[driver.Name]int
	twice  bool // a name was set by two at a time
}

func newFakeDNS() *fakeDNS {
	return &fakeDNS{served: map[driver.Name][]driver.Record{}, atOnce: map[driver.Name]int{}}
}

func (d *fakeDNS) begin(n driver.Name) (hang bool, gate chan struct{}, fail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	d.atOnce[n]++
	d.twice = d.twice || d.atOnce[n] > 1
	return d.hang, d.gate, d.fail
}

func (d *fakeDNS) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	n := driver.Name{Name: name, Type: t}
	hang, gate, fail := d.begin(n)
	if hang {
		<-ctx.Done()
		fail = ctx.Err()
	}
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.atOnce[n]--
	if fail != nil {
		return fail
	}
	if d.served[n] = records; len(records) == 0 {
		delete(d.served, n)
	}
	return nil
}

type fakeWhole struct{ *fakeDNS }

func (d fakeWhole) SetAll(ctx context.Context, all map[driver.Name][]driver.Record) error {
	hang, _, fail := d.begin(driver.Name{})
	if hang {
		<-ctx.Done()
		fail = ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.atOnce[driver.Name{}]--
	if fail == nil {
		d.served = all
	}
	return fail
}

func (d fakeWhole) Local() {}

func (d *fakeDNS) set(f func(*fakeDNS)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *fakeDNS) addresses(name string) (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range []mp1.IPAddressType{mp1.IPv4, mp1.IPv6} {
		for _, r := range d.served[driver.Name{Name: name, Type: t}] {
			out = append(out, r.Address.String())
		}
	}
	return out
}

// size is how many names are served.
func (d *fakeDNS) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.served)
}

func (d *fakeDNS) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// replica is one replica of the platform, as far as rules go.
type replica struct {
	*keeper
	log  *bytes.Buffer
	rank int
	mu   sync.Mutex
	stop func()
}

func (r *replica) setRank(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rank = n
}

func newReplica(t *testing.T, s *fakeStore, by any, rank int) *replica {
	t.Helper()
	clock := plugins.NewClock()
	out := &replica{log: &bytes.Buffer{}, rank: rank}
	report := newDriverReport("fake", plugins.NewLog(out.log, "INFO"), func() int64 { _, wall := clock(); return wall })
	require.NoError(t, report.Unregister(t.Context()))
	k := newKeeper(newDirectory(s, false, clock), "fake", "")
	k.failing = func() bool { _, reason := report.failure(); return reason != "" }
	out.keeper = k
	rec := reconciler{keeper: k, report: report, signals: make(chan struct{}, 1), rank: func() int {
		out.mu.Lock()
		defer out.mu.Unlock()
		return out.rank
	}}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	switch by := by.(type) {
	case driver.Whole:
		w := &whole{reconciler: rec, dns: by, local: true}
		k.directory.changed, k.reloaded = w.changed, w.signal
		work.Go(func() { w.run(ctx) })
	case driver.DNS:
		b := newByName(rec, by)
		k.directory.changed, k.reloaded = b.changed, b.reloaded
		work.Go(func() { b.run(ctx) })
	}
	s.follow(k)
	out.stop = func() { cancel(); work.Wait() }
	return out
}

// bothKinds runs a test with a driver that sets names and with one that takes everything at
// once.
func bothKinds(t *testing.T, f func(t *testing.T, dns *fakeDNS, by any)) {
	t.Helper()
	for name, by := range map[string]func(*fakeDNS) any{"by name": func(d *fakeDNS) any { return d }, "whole": func(d *fakeDNS) any { return fakeWhole{d} }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns := newFakeDNS()
				f(t, dns, by(dns))
			})
		})
	}
}

func aRule(id, name, address string, state mp1.RuleState) mp1.DNSRule {
	kind := mp1.IPv6
	if netip.MustParseAddr(address).Is4() {
		kind = mp1.IPv4
	}
	return mp1.DNSRule{DNSRuleID: id, DomainName: name, IPAddressType: kind, IPAddress: address, State: state}
}

func (r *replica) define(t *testing.T, app string, rules ...mp1.DNSRule) {
	t.Helper()
	_, err := r.Define(t.Context(), app, mp1.RuleSet{DNSRules: rules})
	require.NoError(t, err)
}

func (r *replica) state(t *testing.T, app, id string) mp1.RuleState {
	t.Helper()
	one, err := r.DNSRule(t.Context(), app, id)
	require.NoError(t, err)
	return one.State
}

func withState(state mp1.RuleState) mp1.DNSRuleUpdate { return mp1.DNSRuleUpdate{State: state} }

func accepting(mp1.DNSRule) bool { return true }

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
