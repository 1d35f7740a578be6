package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// FollowHistory implements plugins.HistoryStore. The outbox keeps an event for a minute at
// least, also over restarts of the embedded store, which drops etcd's own history at each; and
// the key Erased says up to where events may be missing. So who was not here for less than a
// minute misses nothing, and who was finds that out.
func (s *Store) FollowHistory(ctx context.Context, r plugins.HistoryReader, failed func(reason string, err error)) {
	s.follow(ctx, watchRange{name: "history", from: keys.OutboxPrefix, end: clientv3.GetPrefixRangeEnd(keys.OutboxPrefix),
		load: func(ctx context.Context) (heartbeat.Revision, error) {
			h, err := s.loadHistory(ctx)
			if err != nil {
				return 0, err
			}
			r.Load(h)
			return h.At, nil
		},
		loaded: func() {}, restored: r.Restored,
		see: func(events []*clientv3.Event, at heartbeat.Revision) {
			var told []*plugins.Event
			for _, ev := range events {
				if ev.Type == mvccpb.PUT {
					e, _ := decodeEvent(ev.Kv) // the reader counts what cannot be read
					told = append(told, e)
				}
			}
			r.See(told, at)
		},
	}, failed)
}

// loadHistory reads all of it at one revision.
func (s *Store) loadHistory(ctx context.Context) (*plugins.History, error) {
	st, err := s.joinStart(ctx, historyList)
	if err != nil {
		return nil, err
	}
	defer st.leave()
	h := &plugins.History{}
	events, at, err := s.outboxEvents(ctx, st, 0)
	if err != nil {
		return nil, err
	}
	for i := range events {
		if e := events[i].Event; e != nil {
			h.Events = append(h.Events, e)
		}
	}
	h.At = heartbeat.Revision(at)
	if h.Services, err = s.services(ctx, st, at); err != nil {
		return nil, err
	}
	if h.Floor, err = s.historyFloor(ctx, at); err != nil {
		return nil, err
	}
	h.Events = slices.DeleteFunc(h.Events, func(e *plugins.Event) bool { return e.At <= h.Floor })
	slices.SortFunc(h.Events, func(a, b *plugins.Event) int { return cmp.Compare(a.At, b.At) })
	return h, nil
}

// services are all records at a revision in the form of events. A start has them from the engine's list.
func (s *Store) services(ctx context.Context, st *startLists, at int64) (out []*plugins.Event, err error) {
	if st != nil {
		all, err := st.listed(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			out = make([]*plugins.Event, len(all))
			for i := range all {
				out[i] = eventOf(&all[i].Record, all[i].At)
			}
			return out, nil
		}
	}
	_, err = s.each(ctx, keys.RecordPrefix, at, func(kv *mvccpb.KeyValue) {
		if r, err := decodeRecord(kv); err == nil {
			out = append(out, eventOf(&r, heartbeat.Revision(kv.ModRevision)))
		}
	})
	return out, err
}

// eventOf is a record in the form of an event, which tells no change.
func eventOf(r *heartbeat.Record, at heartbeat.Revision) *plugins.Event {
	return &plugins.Event{At: at, ID: r.ID, Owner: r.Owner, State: r.State.Shown(), Cause: r.Cause, LastBeat: r.LastBeat, Interval: r.Interval, Window: r.Window,
		Made: r.ChangedAt, Attributes: eventAttributes(r.Attributes)}
}

// historyFloor is the revision up to which events may be missing: they were erased, or the store
// was restored from a backup, and what had come after it is gone.
func (s *Store) historyFloor(ctx context.Context, at int64) (floor heartbeat.Revision, err error) {
	res, err := s.client.Txn(ctx).Then(clientv3.OpGet(keys.Erased, clientv3.WithRev(at)), clientv3.OpGet(keys.Restored, clientv3.WithRev(at))).Commit()
	if err != nil {
		return 0, etcd.Translate(err)
	}
	if kvs := res.Responses[0].GetResponseRange().Kvs; len(kvs) == 1 {
		floor = erasedUpTo(kvs[0].Value, heartbeat.Revision(at))
	}
	if kvs := res.Responses[1].GetResponseRange().Kvs; len(kvs) == 1 {
		floor = max(floor, heartbeat.Revision(kvs[0].ModRevision))
	}
	return floor, nil
}

// erasedUpTo reads the value of Erased. One that cannot be read says that all may be missing.
func erasedUpTo(value []byte, at heartbeat.Revision) heartbeat.Revision {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 {
		return at
	}
	return heartbeat.Revision(n)
}

// eraseOps erase events, of which the newest was written at a revision, or at 0 if none of them
// is a change of a service. In the same transaction the key Erased rises to that. Two replicas
// may erase at once, and it must not fall: values have one length, so that they compare as
// numbers do.
func eraseOps(old []string, newest int64) (cs []clientv3.Cmp, then, otherwise []clientv3.Op) {
	var erase []clientv3.Op
	for _, key := range old {
		erase = append(erase, clientv3.OpDelete(key))
	}
	if newest == 0 {
		return nil, erase, nil
	}
	value := func(n int64) string { return fmt.Sprintf("%019d", n) }
	// A comparison with the value of a key that is not there fails.
	cs = []clientv3.Cmp{clientv3.Compare(clientv3.Value(keys.Erased), ">", value(newest-1))}
	return cs, erase, append(slices.Clone(erase), clientv3.OpPut(keys.Erased, value(newest)))
}
