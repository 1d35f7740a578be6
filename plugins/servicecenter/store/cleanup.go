package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// eraseBatch is how many events one transaction erases.
const eraseBatch = 100

// tidyOutbox erases the events of which nobody is to be told any more
// (plugins.CursorSet) and that are old enough (plugins.Erasable). Cursors, subscriptions
// and events are read as of one revision. A subscription that is made meanwhile begins
// behind these events, so that none is erased of which somebody is yet to be told.
func (s *Store) tidyOutbox(ctx context.Context, now plugins.Instant, wall int64, giveUp time.Duration) error {
	ctx, held := s.client.Readers.Within(ctx)
	defer held.Done()
	if empty, err := s.outboxEmpty(ctx); err != nil {
		return etcd.Translate(err)
	} else if empty { // who waits need not be found out, which costs what all have asked for
		s.ages.Listed(now, wall, nil)
		return nil
	}
	cursorSet, at, err := s.cursorSet(ctx)
	if err != nil {
		return err
	}
	var old []string
	written := map[string]int64{} // at which revision, of changes of services
	made, pending := map[string]int64{}, map[string]plugins.Pending{}
	unreadable := unreadable{what: "events of the outbox cannot be read and are erased: nobody is told of them"}
	var eventKeys []string
	var instance []*plugins.Event // events of one, or terminations of one application, which follow each other
	judge := func() {
		for i, w := range cursorSet.Pending(instance) {
			made[eventKeys[i]], pending[eventKeys[i]] = instance[i].Made, w
		}
		eventKeys, instance = nil, nil
	}
	for _, prefix := range outboxPrefixes {
		if _, err = s.each(ctx, prefix, at, func(kv *mvccpb.KeyValue) {
			key := string(kv.Key)
			if prefix == keys.OutboxPrefix {
				written[key] = kv.CreateRevision
			}
			e, ok := decodeEvent(kv)
			if !ok {
				unreadable.add(key)
				old = append(old, key)
				return
			}
			if len(instance) > 0 && !sameSubject(instance[0], e) {
				judge()
			}
			eventKeys, instance = append(eventKeys, key), append(instance, e)
		}); err != nil {
			return err
		}
		judge()
	}
	unreadable.log(s.log)
	for key, age := range s.ages.Listed(now, wall, made) {
		if plugins.Erasable(pending[key], age, now, giveUp) {
			old = append(old, key)
		}
	}
	for some := range slices.Chunk(old, eraseBatch) {
		newest := int64(0)
		for _, key := range some {
			newest = max(newest, written[key])
		}
		when, then, otherwise := eraseOps(some, newest)
		if _, err := s.client.Txn(ctx).If(when...).Then(then...).Else(otherwise...).Commit(); err != nil {
			return etcd.Translate(err)
		}
	}
	return nil
}

// outboxPrefixes are where events stand.
var outboxPrefixes = [...]string{keys.OutboxPrefix, keys.TerminationPrefix}

// sameSubject says whether two events that follow each other below a prefix are of the same
// instance, or are terminations of the same application.
func sameSubject(a, b *plugins.Event) bool {
	return a.ID == b.ID && (a.Termination == nil || a.Owner == b.Owner)
}

func (s *Store) outboxEmpty(ctx context.Context) (bool, error) {
	for _, prefix := range outboxPrefixes {
		some, err := s.page(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
		if err != nil || len(some.Kvs) > 0 {
			return false, err
		}
	}
	return true, nil
}

// cursorSet reads all subscriptions with their cursors, as of the revision that it
// returns. Both are written and erased together: nobody is told by a cursor without
// its subscription, nor by a subscription without its cursor.
func (s *Store) cursorSet(ctx context.Context) (*plugins.CursorSet, int64, error) {
	w := &plugins.CursorSet{}
	cursors := map[string]plugins.Cursor{}
	noCursor := unreadable{what: "a subscription's cursor cannot be read: until it is repaired or deleted its consumer is told nothing, and no event is erased before it is given up"}
	noSubscription := unreadable{what: "a subscription cannot be read: until it is repaired or deleted its consumer is told nothing, and no event behind its cursor is erased before it is given up"}
	at, err := s.each(ctx, keys.CursorPrefix, 0, func(kv *mvccpb.KeyValue) {
		c, ok := decodeCursor(kv)
		if !ok {
			noCursor.add(string(kv.Key))
			w.AddUnreadable(0)
			return
		}
		cursors[strings.TrimPrefix(string(kv.Key), keys.CursorPrefix)] = c
	})
	if err != nil {
		return nil, 0, err
	}
	for _, prefix := range []string{keys.SubPrefix, keys.TerminationSubPrefix} {
		if _, err = s.each(ctx, prefix, at, func(kv *mvccpb.KeyValue) {
			c, told := cursors[subscriptionID(string(kv.Key))]
			sub, ok := decodeSubscription(kv)
			switch {
			case !ok:
				noSubscription.add(string(kv.Key))
				w.AddUnreadable(c.After)
			case told:
				w.Add(sub, c)
			}
		}); err != nil {
			return nil, 0, err
		}
	}
	noCursor.log(s.log)
	noSubscription.log(s.log)
	return w, at, nil
}

// unreadable counts keys whose values could not be read, to log them in one line.
type unreadable struct {
	what, first string
	keys        int
}

func (u *unreadable) add(key string) {
	u.keys++
	u.first = cmp.Or(u.first, key)
}

func (u *unreadable) log(log openlog.Logger) {
	if u.keys > 0 {
		log.Error(u.what, openlog.WithTags(openlog.Tags{"unreadable": u.keys, "first": plugins.Clean(u.first)}))
	}
}
