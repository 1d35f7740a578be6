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
	// mostRevisions is how much may have been written since the last comparison: of more, a list costs
	// less. Where there are many services it is a share of them, for their list is as long.
	mostRevisions = 5000
	shareWritten  = 5
	// mostHistory bounds what is read of one range at once, and had stood there before.
	mostHistory    = 8 << 20 // bytes
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

// readHistory calls f for what was written behind the revision since, in order within a range, and
// returns the sum of the revision up to which that is complete: of the newest one, unless more was
// written than is read at once. It asks by watches of its own, and so finds what another one has missed.
// heartbeat.ErrForgotten: the store does not know any more, it is another history, or it is too much.
func (s *Store) readHistory(ctx context.Context, since int64, f func(*clientv3.Event)) (last *revisionSum, all bool, err error) {
	head, err := s.Head(ctx)
	switch {
	case err != nil:
		return nil, false, err
	case int64(head) < since || int64(head)-since > s.mostBehind():
		return nil, false, fmt.Errorf("%w: %d revisions", heartbeat.ErrForgotten, int64(head)-since)
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), historyTimeout)
	defer cancel()
	reads := s.client.Readers.Add(since)
	defer reads.Done()
	upTo, all := int64(head), true
	if since+heartbeat.MostCompared <= upTo {
		upTo, all = since+heartbeat.MostCompared, false
	}
	ranges, err := s.readRanges(ctx, since, upTo)
	if err != nil {
		return nil, false, err
	}
	for _, r := range ranges {
		all = all && r.upTo == upTo
	}
	for _, r := range ranges {
		upTo = min(upTo, r.upTo)
	}
	first, last := newRevisionSum(since), newRevisionSum(upTo)
	for _, r := range ranges {
		for _, ev := range r.events {
			if ev.Kv.ModRevision > upTo {
				break
			}
			first.add(ev)
			last.add(ev)
			if ev.Kv.ModRevision > since {
				f(ev)
			}
		}
	}
	return last, all, s.history.check(first)
}

// mostBehind is how many revisions may have been written since the last comparison.
func (s *Store) mostBehind() int64 { return int64(max(mostRevisions, s.owned.records()/shareWritten)) }

// historyPrefixes are all keys that our user of a cluster may read.
var historyPrefixes = []string{"/cse-sr/", "/mep/"}

// writtenRange is what was written below a prefix.
type writtenRange struct {
	events []*clientv3.Event
	size   int
	upTo   int64 // the revision up to which that is complete
}

// readRanges reads what was written below all prefixes from one revision up to another one. The store
// reads its history once for all of them.
func (s *Store) readRanges(ctx context.Context, since, upTo int64) ([]*writtenRange, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reads sync.WaitGroup
	out := make([]*writtenRange, len(historyPrefixes))
	for i, prefix := range historyPrefixes {
		out[i] = &writtenRange{upTo: upTo}
		reads.Go(func() {
			if err := s.readRange(ctx, prefix, since, out[i]); err != nil {
				cancel(err) // only the first counts
			}
		})
	}
	reads.Wait()
	return out, context.Cause(ctx)
}

// readRange reads what was written below a prefix from a revision on. Its stream is its own: all
// watches of one stream are told what one of them has asked for, before they have shown everything
// themselves.
func (s *Store) readRange(ctx context.Context, prefix string, since int64, r *writtenRange) error {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "mep-watch", "sweep "+prefix))
	defer cancel()
	events := s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(since), clientv3.WithPrevKV())
	ask := time.NewTicker(historyAsk) // it is answered once the watch has shown everything
	defer ask.Stop()
	for shown := int64(0); shown < r.upTo; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
			s.askProgress(ctx)
		case res, ok := <-events:
			if err := historyError(ctx, &res, ok); err != nil {
				return err
			}
			if err := r.take(res.Events, since); err != nil {
				return err
			}
			shown = max(shown, int64(etcd.CompleteUpTo(&res)))
		}
	}
	return nil
}

// take takes in what a watch has shown. What would be too much at once is left out, and all of the
// revision that wrote it.
func (r *writtenRange) take(events []*clientv3.Event, since int64) error {
	for _, ev := range events {
		at := ev.Kv.ModRevision
		if at > r.upTo {
			return nil // the next time
		}
		if r.size += ev.Kv.Size() + ev.PrevKv.Size(); r.size > mostHistory {
			if r.upTo = at - 1; r.upTo <= since {
				return fmt.Errorf("%w: too much", heartbeat.ErrForgotten)
			}
			return nil
		}
		r.events = append(r.events, ev)
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
