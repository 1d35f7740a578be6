package etcd

import (
	"context"
	"sync"
)

// Readers knows the oldest revision that is still read, by a watch or by a list that goes a
// page at a time. Both fail when the history that they read is compacted, and whoever
// follows them has to begin anew.
type Readers struct {
	mu  sync.Mutex
	all map[*Reader]struct{}
}

// Reader is one watch or list, and from which revision on it reads.
type Reader struct {
	of *Readers
	at int64 // 0: it has not begun
}

// Add has the history from revision at on kept, for a watch or a list; 0: from where Begin
// or Advance says. A nil receiver keeps nothing.
func (r *Readers) Add(at int64) *Reader {
	if r == nil {
		r = &Readers{} // nobody asks
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*Reader]struct{}{}
	}
	one := &Reader{r, at}
	r.all[one] = struct{}{}
	return one
}

// Begin says from which revision on it reads; only the first call counts.
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

// kept is the key of a Reader in a context.
type kept struct{}

// ReaderIn is the reader that Within has put into the context; nil: none.
func ReaderIn(ctx context.Context) *Reader {
	r, _ := ctx.Value(kept{}).(*Reader)
	return r
}

// Within adds a reader to the context: from the first list that is read with the context
// on, history is kept, for a watch that goes on from there or for a list of several ranges.
// If the context has a reader already, the one returned is nil.
func (r *Readers) Within(ctx context.Context) (context.Context, *Reader) {
	if ReaderIn(ctx) != nil {
		return ctx, nil
	}
	one := r.Add(0)
	return context.WithValue(ctx, kept{}, one), one
}

// Advance says that it needs no revision before at any more.
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

// Done says that it reads nothing any more.
func (r *Reader) Done() {
	if r == nil {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	delete(r.of.all, r)
}

// Oldest is the oldest revision that somebody needs; 0: nobody does.
func (r *Readers) Oldest() (at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := range r.all {
		if one.at != 0 && (at == 0 || one.at < at) {
			at = one.at
		}
	}
	return at
}
