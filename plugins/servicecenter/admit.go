package servicecenter

import (
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/quota"
)

// putOverhead is what a put costs beside its key and its value: its place in a page,
// and its share of the pages above, in bytes.
const putOverhead = 512

// cost is about how many bytes the puts among ops add to the database until the
// history before them is compacted.
func cost(ops []clientv3.Op) (n int64) {
	for _, op := range ops {
		if op.IsPut() {
			n += int64(len(op.KeyBytes())+len(op.ValueBytes())) + putOverhead
		}
	}
	return n
}

// admit takes a write in, or answers heartbeat.ErrNoAdditions. done must be called when the
// write has returned.
func (s *Store) admit(ctx context.Context, c quota.Class, ops []clientv3.Op) (done func(), err error) {
	done, ok := s.gate.Admit(ctx, c, cost(ops))
	if !ok {
		return nil, heartbeat.ErrNoAdditions
	}
	return done, nil
}

// classOf says what an engine's transaction does to the store. Only what an
// application adds can wait for room: a claim that could not be written would leave a
// death untold, and a deletion is what makes room.
func (s *Store) classOf(ctx context.Context, t *heartbeat.Txn, ops []clientv3.Op) quota.Class {
	switch t.Kind {
	case heartbeat.Register:
		return quota.Grow
	case heartbeat.Rewrite, heartbeat.Activate, heartbeat.Deactivate:
		if s.gate.Short(cost(ops)) && !s.grows(ctx, t, ops) {
			return quota.Change
		}
		return quota.Grow
	case heartbeat.Silent: // deaths are found without it, only not as soon after restarts
		return quota.Change
	default:
		return quota.Free
	}
}

// grows says whether the record becomes larger than the one that is stored. Without an
// answer it does.
func (s *Store) grows(ctx context.Context, t *heartbeat.Txn, ops []clientv3.Op) bool {
	key := recordKey(t.Record.ID)
	got, err := s.client.Get(ctx, key, clientv3.WithSerializable())
	if err != nil || len(got.Kvs) != 1 {
		return true
	}
	for _, op := range ops {
		if op.IsPut() && string(op.KeyBytes()) == key {
			return len(op.ValueBytes()) > len(got.Kvs[0].Value)
		}
	}
	return false
}

// needed knows how far back history is still read: by watches, and by lists that are
// read a page at a time. Both fail when it is compacted, and a list that failed is a
// disturbance.
type needed struct {
	mu  sync.Mutex
	all map[*span]struct{}
}

// span is the history that one watch or list still reads.
type span struct {
	of *needed
	at int64 // 0: it has not begun
}

func (n *needed) add(at int64) *span {
	if n == nil {
		n = &needed{} // nobody asks
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[*span]struct{}{}
	}
	r := &span{n, at}
	n.all[r] = struct{}{}
	return r
}

// begin notes where it begins; what was listed first counts.
func (r *span) begin(at int64) {
	if r == nil {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.at == 0 {
		r.at = at
	}
}

// kept is the key of the span in a context within which history is kept.
type kept struct{}

func holdIn(ctx context.Context) *span {
	r, _ := ctx.Value(kept{}).(*span)
	return r
}

// hold keeps the history that is written from the first list within the context on: that
// of a watch that is to go on from it, or of a list that reads several ranges. If that is
// kept already, the span is nil.
func (s *Store) hold(ctx context.Context) (context.Context, *span) {
	if holdIn(ctx) != nil {
		return ctx, nil
	}
	r := s.needed.add(0)
	return context.WithValue(ctx, kept{}, r), r
}

// reach notes that its watch or list needs nothing before at any more.
func (r *span) reach(at int64) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.at = max(r.at, at)
}

func (r *span) revision() int64 {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return r.at
}

// drop has nothing kept for it any more.
func (r *span) drop() {
	if r == nil {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	delete(r.of.all, r)
}

// floor is the oldest revision that somebody needs; 0: nobody does.
func (n *needed) floor() (at int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r := range n.all {
		if r.at != 0 && (at == 0 || r.at < at) {
			at = r.at
		}
	}
	return at
}
