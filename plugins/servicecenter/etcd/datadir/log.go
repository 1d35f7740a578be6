package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// segment is one file of the log.
type segment struct {
	path       string
	seq, index uint64 // its number, and the first entry that may be in it
}

// segmentsIn lists the log in dir, in order. There may be none.
func segmentsIn(dir string) ([]segment, error) {
	all, err := os.ReadDir(dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []segment
	for _, e := range all {
		s := segment{path: filepath.Join(dir, e.Name())}
		if _, err := fmt.Sscanf(e.Name(), "%016x-%016x.wal", &s.seq, &s.index); err != nil || !strings.HasSuffix(e.Name(), ".wal") {
			continue // a temporary file of etcd's
		}
		if n := len(out); n > 0 && s.seq != out[n-1].seq+1 {
			return nil, damaged(s.path, "the segment of the log before it is missing")
		}
		out = append(out, s)
	}
	return out, nil
}

// log is what all segments together say.
type log struct {
	segments  []segment
	bytes     int64
	node      uint64
	last      uint64 // entry
	commit    uint64 // entry known to be committed
	terms     []entries
	snapshots map[uint64]uint64 // index to term, as noted in the log
	crc       uint32            // of all before
	data      []byte            // of an entry, which nobody needs
}

// entries are some of one term that follow each other.
type entries struct{ first, last, term uint64 }

// add takes in an entry; one of the same number replaces it, if it comes later.
func (l *log) add(index, term uint64) {
	if n := len(l.terms); n > 0 && l.terms[n-1].term == term && l.terms[n-1].last+1 == index {
		l.terms[n-1].last = index
	} else {
		l.terms = append(l.terms, entries{index, index, term})
	}
	l.last = index
}

// termOf is the term of an entry; known is false if the log does not have it.
func (l *log) termOf(index uint64) (term uint64, known bool) {
	for _, e := range slices.Backward(l.terms) {
		if e.first <= index && index <= e.last {
			return e.term, true
		}
	}
	return 0, false
}

func readLog(segments []segment) (*log, error) {
	l := &log{segments: segments, snapshots: map[uint64]uint64{}}
	for i, s := range segments {
		if err := l.read(s, i == 0, i == len(segments)-1); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// read decodes one segment. Only the last one may end in the middle of a record: that
// is what a crash leaves, and etcd cuts it off.
func (l *log) read(s segment, first, last bool) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return damaged(s.path, "it is a directory")
	}
	l.bytes += info.Size()
	was := l.clone()
	quick := newFrames(f, info.Size())
	if n, err := l.records(s, first, quick); n > 0 && errors.Is(err, io.EOF) {
		l.crc = quick.LastCRC()
		return nil
	}
	*l = was
	if _, err = f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return l.readByEtcd(s, f, first, last)
}

// readByEtcd reads a segment, in which something may be wrong.
func (l *log) readByEtcd(s segment, f *os.File, first, last bool) error {
	d := wal.NewDecoder(fileutil.NewFileReader(f))
	n, err := l.records(s, first, d)
	l.crc = d.LastCRC()
	switch {
	case errors.As(err, new(*Damage)):
		return err
	case n == 0:
		return damaged(s.path, "it is empty")
	case errors.Is(err, io.EOF), last && errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return damaged(s.path, "it is cut off or overwritten behind byte %d", d.LastOffset())
	case errors.As(err, new(*fs.PathError)):
		return err // the disk
	}
	return damaged(s.path, "what stands behind byte %d does not match its checksum", d.LastOffset())
}

// records takes in the records of a segment until there is none any more. The error says why: the decoder's
// own, or a *Damage. n is how many there were.
func (l *log) records(s segment, first bool, d decoder) (n int, err error) {
	var rec walpb.Record
	for err = d.Decode(&rec); err == nil; err = d.Decode(&rec) {
		if n == 0 && rec.Type != wal.CrcType {
			return n, damaged(s.path, "it does not begin as a segment of the log")
		}
		if rec.Type == wal.CrcType {
			if before := d.LastCRC(); n > 0 && before != rec.Crc || n == 0 && !first && l.crc != rec.Crc {
				return n, damaged(s.path, "it does not follow the segment before it")
			}
			d.UpdateCRC(rec.Crc)
		} else if err := l.take(s, &rec); err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

// clone is what was taken in so far.
func (l *log) clone() log {
	was := *l
	was.terms, was.snapshots = slices.Clone(l.terms), maps.Clone(l.snapshots)
	return was
}

// take takes a record in. What has the right checksum and cannot be read was never a log.
func (l *log) take(s segment, rec *walpb.Record) (err error) {
	switch rec.Type {
	case wal.MetadataType:
		var m etcdserverpb.Metadata
		if err = m.Unmarshal(rec.Data); err == nil {
			l.node = m.NodeID
		}
	case wal.EntryType:
		e := raftpb.Entry{Data: l.data[:0]}
		if err = e.Unmarshal(rec.Data); err == nil {
			l.add(e.Index, e.Term)
			l.data = e.Data
		}
	case wal.StateType:
		var h raftpb.HardState
		if err = h.Unmarshal(rec.Data); err == nil {
			l.commit = h.Commit
		}
	case wal.SnapshotType:
		var n walpb.Snapshot
		if err = n.Unmarshal(rec.Data); err == nil {
			l.snapshots[n.Index] = n.Term
		}
	default:
		err = errors.New("of an unknown kind")
	}
	if err != nil {
		return damaged(s.path, "it holds what no log does")
	}
	return nil
}

// newestSnapshot is the entry that the log goes on from: that of the newest snapshot
// that is readable and noted in the log. 0: there is none, and all entries are needed.
func newestSnapshot(dir string, l *log) (uint64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.snap"))
	if err != nil {
		return 0, err
	}
	for i := len(names) - 1; i >= 0; i-- { // sorted by term and index
		s, err := snap.Read(zap.NewNop(), names[i])
		if err != nil {
			continue // etcd goes back to the one before, too
		}
		if term, noted := l.snapshots[s.Metadata.Index]; noted && term == s.Metadata.Term && s.Metadata.Index <= l.commit {
			return s.Metadata.Index, nil
		}
	}
	return 0, nil
}
