package etcd

import (
	"context"
	"sync"
)

// Readers knows how far back history is still read: by watches, and by lists that are
// read a page at a time. Both fail when it is compacted, and a list that failed is a
// disturbance.
type Readers struct {
	mu  sync.Mutex
	all map[*Reader]struct{}
}

// Reader is the history that one watch or list still reads.
type Reader struct {
	of *Readers
	at int64 // 0: it has not begun
}

// Add has the history from revision at on kept, for a watch or a list; 0: from where Begin
// or Advance says. A nil receiver keeps nothing.
func (n *Readers) Add(at int64) *Reader {
	if n == nil {
		n = &Readers{} // nobody asks
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[*Reader]struct{}{}
	}
	r := &Reader{n, at}
	n.all[r] = struct{}{}
	return r
}

// Begin notes where it begins; what was listed first counts.
func (r *Reader) Begin(at int64) {
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

// ReaderIn is the reader that Within has put into the context; nil: none.
func ReaderIn(ctx context.Context) *Reader {
	r, _ := ctx.Value(kept{}).(*Reader)
	return r
}

// Within keeps the history that is written from the first list within the context on: that
// of a watch that is to go on from it, or of a list that reads several ranges. If that is
// kept already, the span is nil.
func (n *Readers) Within(ctx context.Context) (context.Context, *Reader) {
	if ReaderIn(ctx) != nil {
		return ctx, nil
	}
	r := n.Add(0)
	return context.WithValue(ctx, kept{}, r), r
}

// Advance notes that its watch or list needs nothing before at any more.
func (r *Reader) Advance(at int64) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.at = max(r.at, at)
}

// Revision is the oldest one that it needs; 0: it has not begun.
func (r *Reader) Revision() int64 {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return r.at
}

// Done has nothing kept for it any more.
func (r *Reader) Done() {
	if r == nil {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	delete(r.of.all, r)
}

// Oldest is the oldest revision that somebody needs; 0: nobody does.
func (n *Readers) Oldest() (at int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r := range n.all {
		if r.at != 0 && (at == 0 || r.at < at) {
			at = r.at
		}
	}
	return at
}
