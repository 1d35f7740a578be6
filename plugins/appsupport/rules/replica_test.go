package rules

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

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
