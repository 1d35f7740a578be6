package datadir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"sync/atomic"
)

// db reads a file of bbolt without mapping it into memory: a file that is cut off
// would end the process with SIGBUS, and a broken page with a panic on a goroutine of
// bbolt's own.
type db struct {
	path     string
	f        *os.File
	pageSize uint64
	root     uint64
	pages    uint64 // all that are in use or free; the file may be longer
	seen     []uint64
	count    atomic.Int64 // pages seen
	keep     *Kept        // nil: nothing is kept
}

const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	metaLen     = 64
	pageHeader  = 16
	element     = 16

	branchPage = 1
	leafPage   = 2
	bucketLeaf = 1
	mostDepth  = 64
)

var order = binary.NativeEndian // bbolt writes its structures as they lie in memory

// meta is the newer of the two pages that a file begins with.
type meta struct{ pageSize, root, pages, txid uint64 }

func readMeta(b []byte) (m meta, ok bool) {
	b = b[pageHeader:]
	h := fnv.New64a()
	_, _ = h.Write(b[:metaLen-8])
	if order.Uint32(b) != boltMagic || order.Uint32(b[4:]) != boltVersion || order.Uint64(b[56:]) != h.Sum64() {
		return m, false
	}
	return meta{pageSize: uint64(order.Uint32(b[8:])), root: order.Uint64(b[16:]), pages: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}, true
}

// openDB opens the file and checks its head: one of its two meta pages may be torn.
func openDB(path string) (*db, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d := &db{path: path, f: f}
	if err := d.head(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *db) close() { _ = d.f.Close() } // nothing was written

func (d *db) head() error {
	info, err := d.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return damaged(d.path, "it is empty")
	}
	newest, found := meta{}, false
	take := func(at int64) bool {
		b := make([]byte, pageHeader+metaLen)
		if _, err := d.f.ReadAt(b, at); err != nil {
			return false
		}
		m, ok := readMeta(b)
		if ok && (!found || m.txid > newest.txid) {
			newest, found = m, true
		}
		return ok
	}
	if take(0) {
		take(int64(newest.pageSize))
	} else { // the second one lies where the size of a page says, which only it knows
		for size := int64(512); size <= 64<<10 && !take(size); size *= 2 {
		}
	}
	switch {
	case !found:
		return damaged(d.path, "neither of its first two pages is one of a database")
	case newest.pageSize < 512 || newest.pageSize > 64<<10:
		return damaged(d.path, "its pages cannot have %d bytes", newest.pageSize)
	case newest.pages > uint64(info.Size())/newest.pageSize:
		return damaged(d.path, "it is cut off: it has %d bytes and should have at least %d", info.Size(), newest.pages*newest.pageSize)
	}
	d.pageSize, d.root, d.pages = newest.pageSize, newest.root, newest.pages
	d.seen = make([]uint64, newest.pages/64+1)
	d.mark(0)
	d.mark(1)
	return nil
}

// inUse is known once everything was walked.
func (d *db) inUse() int64 { return d.count.Load() * int64(d.pageSize) }

// mark notes that a page is in use; false: it is already, or cannot be. Several may mark at once.
func (d *db) mark(id uint64) bool {
	bit := uint64(1) << (id % 64)
	if id >= d.pages || atomic.OrUint64(&d.seen[id/64], bit)&bit != 0 {
		return false
	}
	d.count.Add(1)
	return true
}

func (d *db) broken(id uint64, format string, args ...any) error {
	return damaged(d.path, "page %d %s", id, fmt.Sprintf(format, args...))
}

func (d *db) unread(err error) error {
	if errors.Is(err, io.EOF) {
		return damaged(d.path, "it is cut off")
	}
	return err
}

// keyAt is the key, and of a leaf the value, that an element refers to.
func keyAt(b []byte, at int, kind uint16) (key, value []byte, ok bool) {
	pos, size, more := uint64(order.Uint32(b[at:])), uint64(order.Uint32(b[at+4:])), uint64(0)
	if kind == leafPage {
		pos, size, more = size, uint64(order.Uint32(b[at+8:])), uint64(order.Uint32(b[at+12:]))
	}
	from := uint64(at) + pos
	if from > uint64(len(b)) || size > uint64(len(b))-from || more > uint64(len(b))-from-size {
		return nil, nil, false
	}
	return b[from : from+size], b[from+size : from+size+more], true
}

// state is what the database says of itself.
type state struct {
	index, term uint64            // of the last entry that it holds
	members     map[string][]byte // by their id in hexadecimal digits
}

// state walks the whole file.
func (d *db) state() (s state, err error) {
	s.members = map[string][]byte{}
	err = d.buckets(func(bucket string) visit {
		switch bucket {
		case "meta":
			return func(key, value []byte) error {
				switch {
				case string(key) == "consistent_index" && len(value) == 8:
					s.index = binary.BigEndian.Uint64(value)
				case string(key) == "term" && len(value) == 8:
					s.term = binary.BigEndian.Uint64(value)
				}
				return nil
			}
		case "members":
			return func(key, value []byte) error {
				s.members[string(key)] = bytes.Clone(value)
				return nil
			}
		}
		return nil
	})
	return s, err
}
