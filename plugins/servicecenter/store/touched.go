package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// view is what stands at some keys; nil: nothing does.
type view map[string]*mvccpb.KeyValue

// each calls f for what stands below a prefix, in order.
func (v view) each(prefix string, f func(*mvccpb.KeyValue)) {
	var below []string
	for key, kv := range v {
		if kv != nil && strings.HasPrefix(key, prefix) {
			below = append(below, key)
		}
	}
	slices.Sort(below)
	for _, key := range below {
		f(v[key])
	}
}

const (
	// mostTouched bounds what is looked at one by one: of more, a list costs less.
	mostTouched = 10_000
	maxClosures = 5
)

// touched is what must be looked at because something was written: which instances and which
// microservices, and all keys that say how these are.
type touched struct {
	*Store
	at       int64
	view     view
	ids      map[heartbeat.ID]struct{}
	walked   map[heartbeat.ID]struct{} // those of ids of which nothing was written
	services map[string]struct{}
	indexes  map[string]struct{}       // index keys
	shown    map[string]bool           // services of which a record is among the ids, or there is none
	followed map[heartbeat.ID]struct{} // ids whose record has said what else is to be looked at
}

func newTouched(s *Store) *touched {
	return &touched{Store: s, view: view{}, ids: map[heartbeat.ID]struct{}{}, walked: map[heartbeat.ID]struct{}{}, services: map[string]struct{}{},
		indexes: map[string]struct{}{}, shown: map[string]bool{}, followed: map[heartbeat.ID]struct{}{}}
}

// written notes a write: what it put or erased, and what had stood there.
func (t *touched) written(ev *clientv3.Event) {
	if !t.note(ev.Kv) {
		return
	}
	if ev.PrevKv != nil {
		t.note(ev.PrevKv)
	}
	t.view[string(ev.Kv.Key)] = ev.Kv
	if ev.Type == mvccpb.DELETE {
		t.view[string(ev.Kv.Key)] = nil
	}
}

// note notes what a key with this value is about; false: nothing of ours.
func (t *touched) note(kv *mvccpb.KeyValue) bool {
	key := string(kv.Key)
	below := func(prefix string) string {
		first, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), path.SPLIT)
		return first
	}
	switch in := func(prefix string) bool { return strings.HasPrefix(key, prefix) }; {
	case in(keys.RecordPrefix):
		t.ids[heartbeat.ID(strings.TrimPrefix(key, keys.RecordPrefix))] = struct{}{}
	case in(keys.InstancePrefix):
		t.noteInstance(key)
		t.noteService(below(keys.InstancePrefix))
	case in(keys.LeasePrefix):
		t.noteInstance(keys.InstancePrefix + strings.TrimPrefix(key, keys.LeasePrefix))
		t.noteService(below(keys.LeasePrefix))
	case in(keys.MarkPrefix):
		t.noteService(strings.TrimPrefix(key, keys.MarkPrefix))
		t.noteIndex(string(kv.Value))
	case in(keys.ServicePrefix):
		t.noteService(strings.TrimPrefix(key, keys.ServicePrefix))
	case in(keys.IndexPrefix):
		t.noteIndex(key)
		t.noteService(string(kv.Value))
	case in(keys.AliasPrefix):
		t.noteIndex(keys.IndexPrefix + strings.TrimPrefix(key, keys.AliasPrefix))
		t.noteService(string(kv.Value))
	case in(keys.ConsumerPrefix):
		t.noteIndex(keys.IndexPrefix + strings.TrimPrefix(key, keys.ConsumerPrefix))
	case in(keys.ProviderPrefix):
		t.noteProviders(kv.Value)
	default:
		for _, prefix := range append([]string{keys.TagPrefix}, keys.BelowService...) {
			if in(prefix) {
				t.noteService(below(prefix))
				return true
			}
		}
		return false
	}
	return true
}

func (t *touched) noteService(id string) {
	if keys.IsServiceID(id) {
		t.services[id] = struct{}{}
	}
}

func (t *touched) noteIndex(key string) {
	if strings.HasPrefix(key, keys.IndexPrefix) {
		t.indexes[key] = struct{}{}
		t.noteService(keys.ServiceIDAt(key))
	}
}

// noteInstance notes whose projection may stand at a key: that of an instance that has the name
// it was registered with, or had another one meanwhile.
func (t *touched) noteInstance(key string) {
	if at, ok := keys.ParseInstance(key); ok {
		t.ids[at.ID()] = struct{}{}
		if id, _ := t.renames.idAt(at); id != at.ID() {
			t.ids[id] = struct{}{}
		}
	}
}

func (t *touched) noteProviders(value []byte) {
	var d discovery.MicroServiceDependency
	if json.Unmarshal(value, &d) != nil {
		return
	}
	for _, k := range d.Dependency {
		if k != nil {
			t.noteIndex(indexKeyOf(k))
		}
	}
}

// complete reads what is needed to judge what was touched. What is found may lead to more.
func (t *touched) complete(ctx context.Context) error {
	t.view.each(keys.RecordPrefix, t.followRename) // before it is asked whose an instance is
	t.view.each(keys.InstancePrefix, func(kv *mvccpb.KeyValue) { t.noteInstance(string(kv.Key)) })
	for range maxClosures {
		if len(t.ids)+len(t.services)+len(t.indexes) > mostTouched {
			return fmt.Errorf("%w: too much", heartbeat.ErrForgotten)
		}
		wanted := t.wanted()
		if err := t.getMany(ctx, wanted); err != nil {
			return etcd.Translate(err)
		}
		found, err := t.findRecords(ctx)
		if err != nil {
			return err
		}
		if len(wanted) == 0 && !found {
			return nil
		}
	}
	return fmt.Errorf("%w: one leads to the other", heartbeat.ErrForgotten)
}

// wanted are the keys that are still to be read, by what is known.
func (t *touched) wanted() (out []string) {
	want := func(key string) *mvccpb.KeyValue {
		kv, known := t.view[key]
		if !known {
			t.view[key] = nil
			out = append(out, key)
		}
		return kv
	}
	for id := range t.ids {
		if _, known := t.followed[id]; known {
			continue
		}
		if kv := want(keys.Record(id)); kv != nil {
			t.followed[id] = struct{}{}
			if r, err := decodeRecord(kv); err == nil {
				stands := keys.InstanceOf(id, r.Place)
				want(stands.Key())
				want(stands.LeaseKey())
				t.noteService(stands.ServiceID)
				t.shown[stands.ServiceID] = true
				t.noteIndex(t.indexOf(&r, stands.ServiceID))
			}
		}
	}
	for id := range t.services {
		want(keys.ServicePrefix + id)
		if mark := want(keys.MarkPrefix + id); mark != nil {
			t.noteIndex(string(mark.Value))
		}
	}
	for key := range t.indexes {
		if kv := want(key); kv != nil {
			t.noteService(string(kv.Value))
		}
	}
	return out
}

// indexOf is the index key of a record's microservice: its mark says it, if it can.
func (t *touched) indexOf(r *heartbeat.Record, service string) string {
	if mark := t.view[keys.MarkPrefix+service]; mark != nil && fits(service, string(mark.Value)) {
		return string(mark.Value)
	}
	p, err := project(r)
	if err != nil {
		return ""
	}
	return path.GenerateServiceIndexKey(&p.key)
}

func (t *touched) followRename(kv *mvccpb.KeyValue) {
	if r, err := decodeRecord(kv); err == nil {
		t.renames.follow(&r, heartbeat.Revision(kv.ModRevision))
	}
}

// findRecords looks for a record of each microservice of which none is among the ids.
func (t *touched) findRecords(ctx context.Context) (found bool, err error) {
	for service := range t.services {
		if t.shown[service] {
			continue
		}
		t.shown[service] = true
		id, err := t.findRecord(ctx, service)
		if err != nil {
			return false, err
		}
		if _, known := t.ids[id]; id != "" && !known {
			t.ids[id], found = struct{}{}, true
		}
	}
	return found, nil
}

// findRecord finds a record of a microservice; "": there is none. It may have been registered
// there, or have got its name later.
func (t *touched) findRecord(ctx context.Context, service string) (id heartbeat.ID, err error) {
	if id = t.renames.to(service); id != "" {
		return id, nil
	}
	prefix := keys.RecordPrefix + service
	for key, more := prefix, true; more; {
		res, err := t.page(ctx, key, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(10), clientv3.WithRev(t.at))
		if err != nil {
			return "", etcd.Translate(err)
		}
		for _, kv := range res.Kvs {
			key = string(kv.Key) + "\x00"
			one := heartbeat.ID(strings.TrimPrefix(string(kv.Key), keys.RecordPrefix))
			if r, err := decodeRecord(kv); err != nil {
				id = one // that its microservice is left as it is
			} else if keys.InstanceOf(one, r.Place).ServiceID == service {
				return one, nil
			}
		}
		more = res.More
	}
	return id, nil
}
