package store

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

const (
	// walkedRecords and walkedKeys are how many each step of the walk looks at: with a step
	// every 30 s, all of 100,000 services in six hours.
	walkedRecords = 150
	walkedKeys    = 2000
)

// walk goes round all keys that a sweep compares, in small steps, as if each had just been
// written. The records lead to whatever belongs to them; of the rest only what no record
// leads to is to be looked at.
type walk struct {
	record, other walker
}

// walker is one way round.
type walker struct {
	prefix int
	key    string // where it goes on; "": at the beginning of the prefix
}

var (
	walkedFirst  = []string{keys.RecordPrefix}
	walkedBeside = append([]string{keys.InstancePrefix, keys.LeasePrefix, keys.MarkPrefix, keys.ServicePrefix, keys.IndexPrefix, keys.AliasPrefix,
		keys.TagPrefix, keys.ConsumerPrefix, keys.ProviderPrefix}, keys.BelowService...)
)

// next is one step of both ways.
func (w *walk) next(ctx context.Context, t *touched) error {
	if err := w.record.next(ctx, t, walkedFirst, walkedRecords, func(kv *mvccpb.KeyValue) bool {
		id := heartbeat.ID(strings.TrimPrefix(string(kv.Key), keys.RecordPrefix))
		if _, written := t.ids[id]; !written {
			t.walked[id] = struct{}{}
		}
		return t.note(kv)
	}); err != nil {
		return err
	}
	return w.other.next(ctx, t, walkedBeside, walkedKeys, func(kv *mvccpb.KeyValue) bool { return !t.accounted(kv) && t.note(kv) })
}

// next reads a few keys, and has those looked at for which f says so.
func (w *walker) next(ctx context.Context, t *touched, prefixes []string, n int64, f func(*mvccpb.KeyValue) bool) error {
	prefix := prefixes[w.prefix]
	from := max(w.key, prefix)
	res, err := t.page(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(n), clientv3.WithRev(t.at))
	if err != nil {
		return etcd.Translate(err)
	}
	for _, kv := range res.Kvs {
		key := string(kv.Key)
		if _, known := t.view[key]; !known && f(kv) {
			t.view[key] = kv
		}
	}
	if res.More {
		w.key = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"
	} else {
		w.prefix, w.key = (w.prefix+1)%len(prefixes), ""
	}
	return nil
}

// accounted says whether a key is one that a record leads to, by what this replica knows.
func (t *touched) accounted(kv *mvccpb.KeyValue) bool {
	key := string(kv.Key)
	switch in := func(prefix string) bool { return strings.HasPrefix(key, prefix) }; {
	case in(keys.InstancePrefix), in(keys.LeasePrefix):
		at, ok := keys.ParseInstance(keys.InstancePrefix + strings.TrimPrefix(strings.TrimPrefix(key, keys.InstancePrefix), keys.LeasePrefix))
		return ok && t.owned.has(at.ServiceID, at.InstanceID)
	case in(keys.ServicePrefix):
		return t.owned.has(strings.TrimPrefix(key, keys.ServicePrefix), "")
	case in(keys.MarkPrefix):
		service := strings.TrimPrefix(key, keys.MarkPrefix)
		return keys.ServiceIDAt(string(kv.Value)) == service && t.owned.has(service, "")
	case in(keys.IndexPrefix):
		return keys.ServiceIDAt(key) == string(kv.Value) && t.owned.has(string(kv.Value), "")
	}
	return false
}
