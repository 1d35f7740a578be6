package rules

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// pickyDNS cannot serve one name, which has an alias there.
type pickyDNS struct {
	*fakeDNS
	never string
}

func (d pickyDNS) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	if name == d.never {
		return errors.New("the name is an alias")
	}
	return d.fakeDNS.Set(ctx, name, t, records)
}

// A name that never can be served must not keep others of its application from being repaired.
func TestWhatIsLostIsFoundBesideANameThatCannotBeServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		by := pickyDNS{dns, "alias.example"}
		r := newReplica(t, s, by, 0)
		r.define(t, "app", aRule("bad", "alias.example", "192.0.2.1", mp1.RuleActive), aRule("good", "good.example", "192.0.2.2", mp1.RuleActive))
		time.Sleep(time.Second)
		require.NotEmpty(t, dns.addresses("good.example"))
		lose := func() { dns.set(func(d *fakeDNS) { d.served = map[driver.Name][]driver.Record{} }) }
		lose()
		time.Sleep(3 * resyncEvery)
		require.NotEmpty(t, dns.addresses("good.example"), "from time to time")
		r.stop()
		lose()
		r = newReplica(t, s, by, 0)
		defer r.stop()
		time.Sleep(5 * time.Second)
		require.NotEmpty(t, dns.addresses("good.example"), "at a start")
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "good"))
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "bad"))
	})
}

// Its watch was cut, and another replica removed and deactivated rules meanwhile.
func TestWhatAListShowsToBeRemovedIsNotServed(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r, other := newReplica(t, s, by, 1), newReplica(t, s, newFakeDNS(), 2)
		defer func() { r.stop(); other.stop() }()
		for _, app := range []string{"gone", "silent", "stays"} {
			r.define(t, app, aRule("d", app+".example", "192.0.2.1", mp1.RuleActive))
		}
		time.Sleep(5 * time.Second)
		require.Equal(t, 3, dns.size())
		s.set(func(s *fakeStore) { s.readers = s.readers[1:] })
		require.NoError(t, other.Remove(t.Context(), "gone"))
		_, err := other.UpdateDNSRule(t.Context(), "silent", "d", withState(mp1.RuleInactive), nil)
		require.NoError(t, err)
		s.follow(r.keeper)
		time.Sleep(time.Second)
		require.Empty(t, dns.addresses("gone.example"))
		require.Empty(t, dns.addresses("silent.example"))
		require.NotEmpty(t, dns.addresses("stays.example"))
		require.Zero(t, s.get("gone").At, "its removal is confirmed")
		require.Equal(t, mp1.RuleInactive, other.state(t, "silent", "d"))
	})
}

// The driver is to be given three names, and the second is wanted otherwise when it is called for
// it, and as before when the result is written down.
func TestAResultCountsForWhatTheDriverWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 1)
		defer r.stop()
		three := func(state mp1.RuleState) (all []mp1.DNSRule) {
			for i := range 3 {
				all = append(all, aRule(fmt.Sprint(i), fmt.Sprint(i, ".example"), "192.0.2.1", state))
			}
			return all
		}
		r.define(t, "app", three(mp1.RuleInactive)...)
		dns.set(func(d *fakeDNS) { d.gate = make(chan struct{}) })
		move := func(address string) {
			_, _ = r.UpdateDNSRule(t.Context(), "app", "1", mp1.DNSRuleUpdate{IPAddress: address}, nil)
		}
		go r.define(t, "app", three(mp1.RuleActive)...)
		synctest.Wait()
		go move("192.0.2.9")
		synctest.Wait()
		dns.gate <- struct{}{}
		synctest.Wait()
		dns.gate <- struct{}{} // 1.example has the other address
		synctest.Wait()
		go move("192.0.2.1")
		synctest.Wait()
		close(dns.gate)
		time.Sleep(10 * time.Second)
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "1"))
		require.Equal(t, []string{"192.0.2.1"}, dns.addresses("1.example"))
	})
}

// Three names are being removed; the second is wanted again when the driver is called for
// it, so that it is served, and removed again at once.
func TestARemovalIsConfirmedOnlyByACallThatRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		r := newReplica(t, s, dns, 1)
		defer r.stop()
		var all []mp1.DNSRule
		for i := range 3 {
			all = append(all, aRule(fmt.Sprint(i), fmt.Sprint(i, ".example"), "192.0.2.1", mp1.RuleActive))
		}
		r.define(t, "app", all...)
		dns.set(func(d *fakeDNS) { d.gate = make(chan struct{}) })
		require.NoError(t, r.Remove(t.Context(), "app"))
		synctest.Wait()
		go r.define(t, "app", all[1])
		synctest.Wait()
		dns.gate <- struct{}{}
		synctest.Wait()
		dns.gate <- struct{}{}
		synctest.Wait()
		require.NotEmpty(t, dns.addresses("1.example"))
		require.NoError(t, r.Remove(t.Context(), "app"))
		close(dns.gate)
		time.Sleep(10 * time.Second)
		require.Zero(t, dns.size())
		require.Zero(t, s.size())
	})
}

// An application whose names wait for a worker is queued once, and again after it ran.
func TestAnApplicationIsQueuedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		b := newByName(reconciler{keeper: &keeper{directory: newDirectory(s, true, plugins.NewClock())}, signals: make(chan struct{}, 1)}, newFakeDNS())
		b.enqueue("app")
		b.enqueue("app")
		require.Len(t, b.runnable, 1)
		one := b.next()
		b.enqueue("app")
		require.Empty(t, b.runnable)
		require.True(t, one.rerun)
		b.finish(one, true)
		require.Len(t, b.runnable, 1)
		b.finish(b.next(), false)
		require.Len(t, b.delayed, 1)
		b.enqueue("app")
		require.Empty(t, b.delayed)
		require.Len(t, b.runnable, 1)
	})
}

// A name goes from a rule that is served to one that nobody activated.
func TestANameThatMovesToAnInactiveRuleIsNotServed(t *testing.T) {
	bothKinds(t, func(t *testing.T, dns *fakeDNS, by any) {
		s := newFakeStore()
		r := newReplica(t, s, by, 0)
		defer r.stop()
		r.define(t, "app", aRule("d", "a.example", "192.0.2.1", mp1.RuleActive))
		r.define(t, "app", aRule("e", "a.example", "192.0.2.1", mp1.RuleInactive))
		time.Sleep(time.Second)
		require.Empty(t, dns.addresses("a.example"))
	})
}
