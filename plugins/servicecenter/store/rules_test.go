package store

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// rulesReader remembers what it was shown.
type rulesReader struct {
	mu    sync.Mutex
	now   map[string]plugins.Rules
	names heartbeat.Revision
	// early says that names were shown before the rules that they came with.
	early bool
}

func (r *rulesReader) LoadRules(all []plugins.Rules, names, _ heartbeat.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.names = map[string]plugins.Rules{}, names
	for _, one := range all {
		r.now[one.App] = one
	}
}

func (r *rulesReader) SeeRules(one plugins.Rules, erased bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.early = r.early || one.At < r.names
	r.now[one.App] = one
	if erased {
		delete(r.now, one.App)
	}
}

func (r *rulesReader) SeeRuleNames(at heartbeat.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = at
}

func (r *rulesReader) get(app string) (plugins.Rules, heartbeat.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now[app], r.names
}

func someRules(app string) plugins.Rules {
	ttl := 5
	dns := mp1.DNSRule{DNSRuleID: "d", DomainName: "a.example", IPAddressType: mp1.IPv4, IPAddress: "192.0.2.1", TTL: &ttl, State: mp1.RuleInactive}
	changed := dns
	changed.State = mp1.RuleActive
	traffic := mp1.TrafficRule{TrafficRuleID: "t", FilterType: mp1.FilterFlow, TrafficFilter: []mp1.TrafficFilter{{Protocol: []string{"<TCP>"}}}, Action: mp1.ActionPassthrough,
		DstInterface: mp1.DestinationInterfaces{{InterfaceType: mp1.InterfaceIP, DstIPAddress: "192.0.2.9"}}, State: mp1.RuleActive}
	return plugins.Rules{App: app,
		DNS: []plugins.DNSRule{{Defined: dns, Rule: changed, Outcome: plugins.RuleOutcome{State: mp1.RuleActive, Driver: "hosts", Time: 7}},
			{Defined: dns, Rule: dns, Outcome: plugins.RuleOutcome{State: mp1.RuleInactive, Reason: "it is full", Driver: "hosts", Time: 8}}},
		Traffic: []plugins.TrafficRule{{Defined: traffic, Rule: traffic, Outcome: plugins.RuleOutcome{State: mp1.RuleActive, Driver: "none", Time: 9}}},
		Removed: []plugins.RuleName{{Name: "b.example", Type: mp1.IPv6}}}
}

func TestRulesAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	reader := &rulesReader{now: map[string]plugins.Rules{}}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { store.FollowRules(ctx, reader, func(string, error) {}) })
	defer func() { cancel(); work.Wait() }()

	r := someRules("app-rules")
	names, err := store.RuleNames(t.Context())
	require.NoError(t, err)
	r.At, err = store.SaveRulesWithNames(t.Context(), r, names)
	require.NoError(t, err)
	got, err := store.Rules(t.Context(), r.App)
	require.NoError(t, err)
	require.Equal(t, r, got)
	require.Eventually(t, func() bool { got, at := reader.get(r.App); return got.At == r.At && at == r.At }, time.Minute, time.Millisecond)
	got, _ = reader.get(r.App)
	require.Equal(t, r, got)
	require.False(t, reader.early)

	_, err = store.SaveRulesWithNames(t.Context(), someRules("app-rules-2"), names)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "names that were added meanwhile may be the same")
	stale := r
	stale.At--
	_, err = store.SaveRules(t.Context(), stale)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	_, err = store.EraseRules(t.Context(), r.App, stale.At)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	_, err = store.EraseRules(t.Context(), r.App, r.At)
	require.NoError(t, err)
	require.Eventually(t, func() bool { got, _ := reader.get(r.App); return got.At == 0 }, time.Minute, time.Millisecond)
	got, err = store.Rules(t.Context(), r.App)
	require.NoError(t, err)
	require.Equal(t, plugins.Rules{App: r.App}, got)
}

// What a later release adds survives what this one writes, and what cannot be read is as good
// as not there.
func TestRulesKeepWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	r := someRules("app-rules-later")
	_, err := store.SaveRules(t.Context(), r)
	require.NoError(t, err)
	key := keys.RulesPrefix + r.App
	_, err = store.client.Put(t.Context(), key, strings.TrimSuffix(storetest.Value(t, store.client, key), "}")+`,"younger":[1]}`)
	require.NoError(t, err)
	r, err = store.Rules(t.Context(), r.App)
	require.NoError(t, err)
	r.DNS = nil
	_, err = store.SaveRules(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, storetest.Value(t, store.client, key), `"removed":[{"name":"b.example","type":"IP_V6"}],"younger":[1]}`)
	for _, value := range []string{"{", `{"schema":2}`, `{"schema":1,"dns":1}`} {
		put, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
		r, err = store.Rules(t.Context(), r.App)
		require.NoError(t, err)
		require.Equal(t, plugins.Rules{App: r.App, At: heartbeat.Revision(put.Header.Revision)}, r)
	}
	_, err = store.SaveRules(t.Context(), r)
	require.NoError(t, err)
}

// What an application makes of one small rule may be large.
func TestRulesDoNotGrowInAFullStore(t *testing.T) {
	t.Parallel()
	s := New(Options{Client: etcd.Over(store.client.Client, keys.Cluster, etcdtest.Discard), Log: etcdtest.Discard})
	defer s.Close()
	r := someRules("app-rules-full")
	var err error
	r.At, err = s.SaveRules(t.Context(), r)
	require.NoError(t, err)
	s.client.Gate = etcdtest.Gate(92)
	save := func(change func(*plugins.Rules)) error {
		next := r
		next.DNS, next.Traffic = append([]plugins.DNSRule(nil), r.DNS...), append([]plugins.TrafficRule(nil), r.Traffic...)
		change(&next)
		at, err := s.SaveRules(t.Context(), next)
		if err == nil {
			r = next
			r.At = at
		}
		return err
	}
	grow := func(r *plugins.Rules) {
		r.Traffic[0].Rule.TrafficFilter = []mp1.TrafficFilter{{SrcAddress: []string{strings.Repeat("1", 200<<10)}}}
	}
	require.ErrorIs(t, save(grow), heartbeat.ErrNoAdditions)
	require.NoError(t, save(func(r *plugins.Rules) { r.DNS[0].Outcome.Reason = strings.Repeat("x", 1000) }), "what the driver said")
	require.NoError(t, save(func(r *plugins.Rules) { r.DNS[1].Rule.State = mp1.RuleActive }))
	require.NoError(t, save(func(r *plugins.Rules) { r.DNS[0].Rule.State = mp1.RuleInactive }))
	require.ErrorIs(t, save(func(r *plugins.Rules) { r.DNS[0].Rule.IPAddress = "192.0.2.2" }), heartbeat.ErrNoAdditions, "it is kept beside the definition")
	_, err = s.SaveRules(t.Context(), someRules("app-rules-full-2"))
	require.ErrorIs(t, err, heartbeat.ErrNoAdditions)
	require.NoError(t, save(func(r *plugins.Rules) { r.DNS = r.DNS[:1] }))
	s.client.Gate = etcdtest.Gate(99)
	require.NoError(t, save(func(r *plugins.Rules) { r.DNS, r.Traffic = nil, nil }), "what is removed makes room")
	_, err = s.EraseRules(t.Context(), r.App, r.At)
	require.NoError(t, err)
}
