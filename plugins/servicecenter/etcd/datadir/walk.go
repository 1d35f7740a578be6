package datadir

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
)

// visit is called for every key of a bucket, in their order.
type visit func(key, value []byte) error

// walker goes through the pages of a database, one after the other. A page is valid until the next
// one of its depth is read.
type walker struct {
	*db
	visitor func(bucket string) visit
	kept    *Kept                 // takes in the keys of the bucket that is walked; nil: nobody does
	read    [mostDepth + 2][]byte // pages, by their depth
}

// buckets walks the whole file. visitor says what is called for the keys of a bucket;
// nil: they are only checked.
func (d *db) buckets(visitor func(bucket string) visit) error {
	w := &walker{db: d, visitor: visitor}
	b, err := w.page(d.root, 0)
	if err != nil {
		return err
	}
	return w.walk(b, d.root, bounds{}, 0, nil, true)
}

// page reads a page with all that it overflows into.
func (w *walker) page(id uint64, depth int) ([]byte, error) {
	if id < 2 || id >= w.pages {
		return nil, w.broken(id, "does not exist, and is referred to")
	}
	b := w.room(depth, w.pageSize, 0)
	if _, err := w.f.ReadAt(b, int64(id*w.pageSize)); err != nil {
		return nil, w.unread(err)
	}
	over := uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != id || over >= w.pages-id {
		return nil, w.broken(id, "does not begin as one")
	}
	for i := range over + 1 {
		if !w.mark(id + i) {
			return nil, w.broken(id+i, "is used twice")
		}
	}
	if over == 0 {
		return b, nil
	}
	b = w.room(depth, (over+1)*w.pageSize, w.pageSize)
	if _, err := w.f.ReadAt(b[w.pageSize:], int64((id+1)*w.pageSize)); err != nil {
		return nil, w.unread(err)
	}
	return b, nil
}

// room is memory for a page of a depth, which keeps its first bytes.
func (w *walker) room(depth int, size, kept uint64) []byte {
	old := w.read[depth]
	if uint64(cap(old)) < size {
		w.read[depth] = make([]byte, size)
		copy(w.read[depth], old[:kept])
	}
	w.read[depth] = w.read[depth][:size]
	return w.read[depth]
}

// bounds are what the pages above say of the keys below.
type bounds struct{ from, before []byte }

// walk goes through a page and all below it. root says that buckets may stand there.
func (w *walker) walk(b []byte, id uint64, in bounds, depth int, see visit, root bool) error {
	n := int(order.Uint16(b[10:]))
	kind := order.Uint16(b[8:])
	if depth > mostDepth || (kind != branchPage && kind != leafPage) || pageHeader+n*element > len(b) {
		return w.broken(id, "is no page of keys")
	}
	var last []byte
	var children []child
	for i := range n {
		at := pageHeader + i*element
		key, value, ok := keyAt(b, at, kind)
		switch {
		case !ok:
			return w.broken(id, "has a key outside of it")
		case i == 0 && in.from != nil && bytes.Compare(key, in.from) < 0,
			i > 0 && bytes.Compare(key, last) <= 0, in.before != nil && bytes.Compare(key, in.before) >= 0:
			return w.broken(id, "has keys that are not in order")
		}
		last = key
		if kind == leafPage {
			if err := w.leaf(key, value, order.Uint32(b[at:]), id, depth, see, root); err != nil {
				return err
			}
			continue
		}
		below := bounds{key, in.before}
		if i+1 < n {
			if next, _, ok := keyAt(b, at+element, kind); ok {
				below.before = next
			}
		}
		children = append(children, child{order.Uint64(b[at+8:]), below})
	}
	if (see == nil || w.kept != nil) && !root && len(children) > 1 && depth <= 1 {
		return w.apart(children, depth)
	}
	for _, c := range children {
		if err := w.below(c, depth, see, root); err != nil {
			return err
		}
	}
	return nil
}

// child is a page below another one.
type child struct {
	id uint64
	in bounds
}

func (w *walker) below(c child, depth int, see visit, root bool) error {
	page, err := w.page(c.id, depth+1)
	if err != nil {
		return err
	}
	return w.walk(page, c.id, c.in, depth+1, see, root)
}

// apart walks pages of which nobody is told the keys in their order, by as many walkers as there are processors.
func (w *walker) apart(children []child, depth int) error {
	var next atomic.Int64
	var walkers sync.WaitGroup
	errs, see := make([]error, len(children)), make([]visit, len(children))
	for i := range children {
		if w.kept != nil {
			see[i] = w.kept.part()
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(children)) {
		walkers.Go(func() {
			one := &walker{db: w.db}
			for i := next.Add(1) - 1; i < int64(len(children)); i = next.Add(1) - 1 {
				if errs[i] = one.below(children[i], depth, see[i], false); errs[i] != nil {
					return
				}
			}
		})
	}
	walkers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// leaf takes one key of a leaf: a bucket, whose pages follow, or a value.
func (w *walker) leaf(key, value []byte, flags uint32, id uint64, depth int, see visit, root bool) error {
	if flags&bucketLeaf == 0 {
		if see != nil {
			return see(key, value)
		}
		return nil
	}
	if !root || len(value) < 16 {
		return w.broken(id, "has a bucket where there is none")
	}
	sees := w.visitor(string(key))
	if string(key) == "key" && sees == nil && w.keep != nil {
		w.kept, sees = w.keep, w.keep.part()
		defer func() { w.kept = nil }()
	}
	first := order.Uint64(value)
	if first == 0 { // a small one lies within the page
		if len(value) < 16+pageHeader {
			return w.broken(id, "has a bucket where there is none")
		}
		return w.walk(value[16:], id, bounds{}, depth+1, sees, false)
	}
	b, err := w.page(first, depth+1)
	if err != nil {
		return err
	}
	return w.walk(b, first, bounds{}, depth+1, sees, false)
}
