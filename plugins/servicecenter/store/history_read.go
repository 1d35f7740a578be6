package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

const (
	// mostRevisions and mostHistory bound what is read of the history at once: of more, a list
	// costs less.
	mostRevisions  = 5000
	mostHistory    = 16 << 20 // bytes
	historyTimeout = 10 * time.Second
	historyAsk     = 50 * time.Millisecond // between two questions whether that was all
)

// history is what is known of the store's history.
type history struct {
	mu sync.Mutex
	// at is the revision up to which it was read, and sum what that very revision wrote: if it
	// wrote something else, this is another history, whatever its revisions.
	at   int64
	sum  uint64
	walk walk
}

// readHistory calls f for all that was written behind the revision since, in order, and
// returns the sum of the revision up to which that is complete. It asks by a watch of its own, and so
// finds what another one has missed. heartbeat.ErrForgotten: the store does not know
// any more, it is another history, or it would be too much.
func (s *Store) readHistory(ctx context.Context, since int64, f func(*clientv3.Event)) (*revisionSum, error) {
	head, err := s.Head(ctx)
	switch {
	case err != nil:
		return nil, err
	case int64(head) < since || int64(head)-since > mostRevisions:
		return nil, fmt.Errorf("%w: %d revisions", heartbeat.ErrForgotten, int64(head)-since)
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), historyTimeout)
	defer cancel()
	reads := s.client.Readers.Add(since)
	defer reads.Done()
	first, last, size := newRevisionSum(since), newRevisionSum(int64(head)), 0
	for _, prefix := range historyPrefixes {
		if err := s.readRange(ctx, prefix, since, int64(head), func(ev *clientv3.Event) error {
			first.add(ev)
			last.add(ev)
			if size += ev.Kv.Size(); size > mostHistory {
				return fmt.Errorf("%w: too much", heartbeat.ErrForgotten)
			}
			if ev.Kv.ModRevision > since {
				f(ev)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return last, s.history.check(first)
}

// historyPrefixes are all keys that our user of a cluster may read.
var historyPrefixes = []string{"/cse-sr/", "/mep/"}

// readRange calls f for what was written below a prefix from one revision up to another one. Its
// stream is its own: all watches of one stream are told what one of them has asked for, before they
// have shown everything themselves.
func (s *Store) readRange(ctx context.Context, prefix string, since, head int64, f func(*clientv3.Event) error) error {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "mep-watch", "sweep "+prefix))
	defer cancel()
	events := s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(since), clientv3.WithPrevKV())
	ask := time.NewTicker(historyAsk) // it is answered once the watch has shown everything
	defer ask.Stop()
	for upTo := int64(0); upTo < head; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
			s.askProgress(ctx)
		case res, ok := <-events:
			if err := historyError(ctx, &res, ok); err != nil {
				return err
			}
			for _, ev := range res.Events {
				if ev.Kv.ModRevision > head {
					break // the next time
				}
				if err := f(ev); err != nil {
					return err
				}
			}
			upTo = max(upTo, int64(etcd.CompleteUpTo(&res)))
		}
	}
	return nil
}

func historyError(ctx context.Context, res *clientv3.WatchResponse, ok bool) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !ok:
		return errClosed
	case errors.Is(res.Err(), rpctypes.ErrCompacted):
		return fmt.Errorf("%w: it was compacted", heartbeat.ErrForgotten)
	}
	return res.Err()
}

// check says whether what was read goes on from what is known.
func (h *history) check(first *revisionSum) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == first.of && h.sum != first.Sum64() {
		h.at = 0
		return fmt.Errorf("%w: it is another history", heartbeat.ErrForgotten)
	}
	return nil
}

// follow notes up to where the history was read, and compared.
func (h *history) follow(last *revisionSum) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.sum = last.of, last.Sum64()
}

// walked is how far the walk has come.
func (h *history) walked() walk {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.walk
}

// walkOn notes how far it has come.
func (h *history) walkOn(w walk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.walk = w
}

// revisionSum sums up what one revision wrote.
type revisionSum struct {
	of int64
	hash.Hash64
}

func newRevisionSum(of int64) *revisionSum { return &revisionSum{of, fnv.New64a()} }

func (r *revisionSum) add(ev *clientv3.Event) {
	if ev.Kv.ModRevision != r.of {
		return
	}
	var b [40]byte
	for i, n := range [...]int64{int64(ev.Type), r.of, ev.Kv.CreateRevision, ev.Kv.Version, ev.Kv.Lease} {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(n))
	}
	for _, part := range [][]byte{b[:], ev.Kv.Key, ev.Kv.Value} {
		_, _ = r.Write(part)
	}
}
