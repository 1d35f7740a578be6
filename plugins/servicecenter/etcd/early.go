package etcd

import (
	"context"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
)

// Early is what the check of the embedded store's files meets of lists that a start needs. While etcd reads
// the same files for itself, it is handed to Decode.
type Early struct {
	// Decode is called once for each prefix, unless it is nil, on a goroutine of its own, with its keys. It may take
	// their values away.
	Decode func(prefix string, all []*mvccpb.KeyValue)

	prefixes []string
	done     chan struct{} // closed when the fields below are set

	mu       sync.Mutex
	lists    map[string][]*mvccpb.KeyValue // by prefix; nil: nothing may be taken from here
	seen     int64                         // the newest revision in the files
	caughtUp int64                         // the revision that lists are of; 0: none was asked for
}

// mostCaughtUp is how many keys may be written between the last commit of the database before a kill, and
// the start's lists: the database commits ten times a second, and after 10,000 writes.
const mostCaughtUp = 50_000

// NewEarly makes one for the keys below prefixes, of which none is below another.
func NewEarly(prefixes ...string) *Early {
	return &Early{prefixes: prefixes, done: make(chan struct{})}
}

// keep is what the check is to keep; nil: nothing.
func (e *Early) keep() *datadir.Kept {
	if e == nil {
		return nil
	}
	return datadir.Keep(e.prefixes...)
}

// take takes in what the check has met.
func (e *Early) take(kept *datadir.Kept) {
	if e == nil {
		return
	}
	defer close(e.done)
	now, seen, ok := kept.Newest()
	if !ok {
		return
	}
	lists := make(map[string][]*mvccpb.KeyValue, len(e.prefixes))
	for _, kv := range now {
		prefix := e.prefixOf(kv)
		lists[prefix] = append(lists[prefix], kv)
	}
	for prefix, all := range lists {
		if e.Decode != nil {
			e.Decode(prefix, all)
		}
	}
	e.lists, e.seen = lists, seen
}

func (e *Early) prefixOf(kv *mvccpb.KeyValue) string {
	for _, prefix := range e.prefixes {
		if len(kv.Key) >= len(prefix) && string(kv.Key[:len(prefix)]) == prefix {
			return prefix
		}
	}
	return ""
}

// List are the keys below one of the prefixes at a revision, as the store would list them but for their order. ok
// is false if the store must be asked: for a second revision, or where the two do not agree.
func (e *Early) List(ctx context.Context, c *Client, prefix string, at int64) (all []*mvccpb.KeyValue, ok bool) {
	if e == nil || c.etcd == nil {
		return nil, false
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.catchUp(ctx, c, at) {
		e.lists = nil
		return nil, false
	}
	all = e.lists[prefix]
	// What was erased, and whose mark was compacted, would stand here too many.
	res, err := c.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(at), clientv3.WithCountOnly(), clientv3.WithSerializable())
	return all, err == nil && res.Count == int64(len(all))
}

// catchUp takes in what was written behind the files.
func (e *Early) catchUp(ctx context.Context, c *Client, at int64) bool {
	switch {
	case e.lists == nil || at < e.seen || e.caughtUp != 0 && e.caughtUp != at:
		return false
	case e.caughtUp == at:
		return true
	}
	last, err := c.writtenSince(ctx, e.seen, at)
	if err != nil || last == nil {
		return false
	}
	fresh := map[string][]*mvccpb.KeyValue{}
	for _, kv := range last {
		if prefix := e.prefixOf(kv); prefix != "" {
			fresh[prefix] = append(fresh[prefix], kv)
		}
	}
	for prefix, some := range fresh {
		all := slices.DeleteFunc(e.lists[prefix], func(kv *mvccpb.KeyValue) bool { return last[string(kv.Key)] != nil })
		for _, kv := range some {
			if kv.Version > 0 {
				all = append(all, kv)
			}
		}
		e.lists[prefix] = all
	}
	e.caughtUp = at
	return true
}

// writtenSince are the keys that were written from one revision up to another one, as the last of these left
// them; one that was erased has version 0. nil: it is too much, or a part of it was compacted.
func (c *Client) writtenSince(ctx context.Context, from, to int64) (map[string]*mvccpb.KeyValue, error) {
	return inTime(ctx, c.calls, func(context.Context) (map[string]*mvccpb.KeyValue, error) {
		begin := mvcc.RevToBytes(mvcc.Revision{Main: from}, mvcc.NewRevBytes())
		end := mvcc.RevToBytes(mvcc.Revision{Main: to + 1}, mvcc.NewRevBytes())
		last, all, err := readVersions(c.etcd.Server.Backend().ConcurrentReadTx(), begin, end)
		// Asked behind the read: it says so before anything is erased, and reads by itself, which
		// may wait for who waits for this read to end.
		if err != nil || !all || c.etcd.Server.KV().FirstRev() > from {
			return nil, err
		}
		return last, nil
	})
}

// readVersions are the last versions of keys among some revisions; all is false if there are too many.
func readVersions(tx backend.ReadTx, begin, end []byte) (last map[string]*mvccpb.KeyValue, all bool, err error) {
	tx.RLock()
	defer tx.RUnlock()
	revisions, values := tx.UnsafeRange(schema.Key, begin, end, mostCaughtUp)
	last = make(map[string]*mvccpb.KeyValue, len(revisions))
	for i, value := range values {
		kv := new(mvccpb.KeyValue)
		if err := kv.Unmarshal(value); err != nil {
			return nil, false, err
		}
		if mvcc.IsTombstone(revisions[i]) {
			kv.Version = 0
		}
		last[string(kv.Key)] = kv
	}
	return last, len(revisions) < mostCaughtUp, nil
}
