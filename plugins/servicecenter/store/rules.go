package store

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

var _ plugins.RuleStore = (*Store)(nil)

// rules is the value of the key of one application's rules.
type rules struct {
	Schema  int                     `json:"schema"`
	DNS     []rule[mp1.DNSRule]     `json:"dns,omitempty"`
	Traffic []rule[mp1.TrafficRule] `json:"traffic,omitempty"`
	Removed []ruleName              `json:"removed,omitempty"`
}

// rule is one rule. Changed is what the application made of it; nil: it is as it was defined.
type rule[T any] struct {
	Defined T             `json:"defined"`
	Changed *T            `json:"changed,omitempty"`
	State   mp1.RuleState `json:"state"`
	Reason  string        `json:"reason,omitempty"`
	Driver  string        `json:"driver,omitempty"`
	Time    int64         `json:"time"`
}

type ruleName struct {
	Name string            `json:"name"`
	Type mp1.IPAddressType `json:"type"`
}

func ruleOf[T any](defined, now T, o plugins.RuleOutcome) rule[T] {
	r := rule[T]{Defined: defined, State: o.State, Reason: o.Reason, Driver: o.Driver, Time: o.Time}
	if !reflect.DeepEqual(defined, now) {
		r.Changed = &now
	}
	return r
}

func (r *rule[T]) now() T {
	if r.Changed != nil {
		return *r.Changed
	}
	return r.Defined
}

func (r *rule[T]) outcome() plugins.RuleOutcome {
	return plugins.RuleOutcome{State: r.State, Reason: r.Reason, Driver: r.Driver, Time: r.Time}
}

func encodeRules(r *plugins.Rules) (string, error) {
	v := rules{Schema: heartbeat.Schema}
	for _, one := range r.DNS {
		v.DNS = append(v.DNS, ruleOf(one.Defined, one.Rule, one.Outcome))
	}
	for _, one := range r.Traffic {
		v.Traffic = append(v.Traffic, ruleOf(one.Defined, one.Rule, one.Outcome))
	}
	for _, n := range r.Removed {
		v.Removed = append(v.Removed, ruleName(n))
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// decodeRules also returns the members that this release does not know.
func decodeRules(kv *mvccpb.KeyValue) (r plugins.Rules, unknown string, ok bool) {
	var v rules
	app := strings.TrimPrefix(string(kv.Key), keys.RulesPrefix)
	unknown, err := decode(kv.Value, &v)
	if err != nil || v.Schema != heartbeat.Schema || !mp1.ValidID(app) {
		return plugins.Rules{}, "", false
	}
	r = plugins.Rules{App: app, At: heartbeat.Revision(kv.ModRevision)}
	for i := range v.DNS {
		one := &v.DNS[i]
		r.DNS = append(r.DNS, plugins.DNSRule{Defined: one.Defined, Rule: one.now(), Outcome: one.outcome()})
	}
	for i := range v.Traffic {
		one := &v.Traffic[i]
		r.Traffic = append(r.Traffic, plugins.TrafficRule{Defined: one.Defined, Rule: one.now(), Outcome: one.outcome()})
	}
	for _, n := range v.Removed {
		r.Removed = append(r.Removed, plugins.RuleName(n))
	}
	return r, unknown, true
}

// SaveRules implements plugins.RuleStore.
func (s *Store) SaveRules(ctx context.Context, r plugins.Rules) (heartbeat.Revision, error) {
	return s.saveRules(ctx, quota.Change, r)
}

// SaveRulesWithNames implements plugins.RuleStore.
func (s *Store) SaveRulesWithNames(ctx context.Context, r plugins.Rules, names heartbeat.Revision) (heartbeat.Revision, error) {
	return s.saveRules(ctx, quota.Grow, r, names)
}

// rulesGrow says whether rules become larger than those that are stored. Without an answer they
// do. What the driver said does not count, nor which domain names are to be served: a full store
// must not keep a name from being removed.
func (s *Store) rulesGrow(ctx context.Context, r *plugins.Rules) bool {
	kv, err := s.one(ctx, keys.RulesPrefix+r.App)
	if kv == nil || err != nil {
		return true
	}
	was, _, ok := decodeRules(kv)
	return !ok || wishSize(r) > wishSize(&was)
}

// wishSize is how much the rules take in the store without what does not count.
func wishSize(r *plugins.Rules) (size int) {
	bare := plugins.Rules{}
	for i := range r.DNS {
		one := plugins.DNSRule{Defined: r.DNS[i].Defined, Rule: r.DNS[i].Rule}
		one.Defined.State, one.Rule.State = "", ""
		bare.DNS = append(bare.DNS, one)
	}
	for i := range r.Traffic {
		bare.Traffic = append(bare.Traffic, plugins.TrafficRule{Defined: r.Traffic[i].Defined, Rule: r.Traffic[i].Rule})
	}
	value, _ := encodeRules(&bare) // it was encoded before
	return len(value)
}

// saveRules writes the names' key, too, if names is given. It is put behind the rules, so that a
// watch shows the rules first.
func (s *Store) saveRules(ctx context.Context, c quota.Class, r plugins.Rules, names ...heartbeat.Revision) (heartbeat.Revision, error) {
	value, err := encodeRules(&r)
	if err != nil {
		return 0, err
	}
	key := keys.RulesPrefix + r.App
	more := s.unknown.members(key, int64(r.At))
	cmps := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", int64(r.At))}
	ops := []clientv3.Op{clientv3.OpPut(key, withMembers(value, more))}
	for _, at := range names {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(keys.RuleNames), "=", int64(at)))
		ops = append(ops, clientv3.OpPut(keys.RuleNames, r.App))
	}
	switch {
	case len(r.DNS)+len(r.Traffic) == 0:
		c = quota.Free // what is left of them is about to go
	case r.At == 0, c == quota.Change && s.client.Gate.Short(etcd.Cost(ops)) && s.rulesGrow(ctx, &r):
		c = quota.Grow
	}
	res, err := s.commit(ctx, c, cmps, ops...)
	if err != nil {
		return 0, err
	}
	s.unknown.set(key, res.Header.Revision, more)
	return heartbeat.Revision(res.Header.Revision), nil
}

// RuleNames implements plugins.RuleStore.
func (s *Store) RuleNames(ctx context.Context) (heartbeat.Revision, error) {
	kv, err := s.one(ctx, keys.RuleNames)
	if kv == nil || err != nil {
		return 0, err
	}
	return heartbeat.Revision(kv.ModRevision), nil
}

// EraseRules implements plugins.RuleStore.
func (s *Store) EraseRules(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	return s.writeAt(ctx, quota.Free, keys.RulesPrefix+app, at, clientv3.OpDelete(keys.RulesPrefix+app))
}

// Rules implements plugins.RuleStore. What cannot be read is as good as not there; its
// revision lets it be replaced.
func (s *Store) Rules(ctx context.Context, app string) (plugins.Rules, error) {
	kv, err := s.one(ctx, keys.RulesPrefix+app)
	if kv == nil || err != nil {
		return plugins.Rules{App: app}, err
	}
	r, ok := s.readRules(kv)
	if !ok {
		r = plugins.Rules{App: app, At: heartbeat.Revision(kv.ModRevision)}
	}
	return r, nil
}

// readRules reads a value that may be written again.
func (s *Store) readRules(kv *mvccpb.KeyValue) (plugins.Rules, bool) {
	r, unknown, ok := decodeRules(kv)
	if ok {
		s.unknown.setRead(kv, unknown)
	}
	return r, ok
}

// FollowRules implements plugins.RuleStore.
func (s *Store) FollowRules(ctx context.Context, r plugins.RulesReader, failed func(reason string, err error)) {
	s.follow(ctx, watchRange{name: "rules", from: keys.RulesPrefix, end: keys.RulesEnd,
		load:   func(ctx context.Context) (heartbeat.Revision, error) { return s.listRules(ctx, r) },
		loaded: func() {}, restored: func() {}, // the reader tells from the list's revision
		see: func(events []*clientv3.Event, _ heartbeat.Revision) {
			for _, ev := range events {
				s.showRules(ev, r)
			}
		},
	}, failed)
}

func (s *Store) listRules(ctx context.Context, reader plugins.RulesReader) (heartbeat.Revision, error) {
	var all []plugins.Rules
	var names heartbeat.Revision
	at, err := s.each(ctx, keys.RulesPrefix, 0, func(kv *mvccpb.KeyValue) {
		if string(kv.Key) == keys.RuleNames {
			names = heartbeat.Revision(kv.ModRevision)
		} else if r, ok := s.readRules(kv); ok {
			all = append(all, r)
		}
	})
	if err == nil {
		reader.LoadRules(all, names, heartbeat.Revision(at))
	}
	return heartbeat.Revision(at), err
}

// showRules shows a write. Rules that cannot be read are as good as erased.
func (s *Store) showRules(ev *clientv3.Event, reader plugins.RulesReader) {
	key, at := string(ev.Kv.Key), heartbeat.Revision(ev.Kv.ModRevision)
	if key == keys.RuleNames {
		reader.SeeRuleNames(at)
		return
	}
	if ev.Type == mvccpb.PUT {
		if r, ok := s.readRules(ev.Kv); ok {
			reader.SeeRules(r, false)
			return
		}
	}
	s.unknown.set(key, ev.Kv.ModRevision, "")
	reader.SeeRules(plugins.Rules{App: strings.TrimPrefix(key, keys.RulesPrefix), At: at}, true)
}
