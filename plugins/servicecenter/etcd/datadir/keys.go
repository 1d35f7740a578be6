package datadir

import (
	"encoding/binary"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// History is what a database holds of its past.
type History struct {
	Revision  int64 // the newest
	Compacted int64 // up to which history is gone; 0: it never was
	Keys      int   // that exist now
}

// Keys calls f for every key that the database in dir holds, as it is now, in no order.
// What stands only in the log is not shown. A key that cannot be decoded is a *Damage.
func Keys(dir string, f func(*mvccpb.KeyValue)) (h History, err error) {
	p := pathsOf(dir)
	d, err := openDB(p.db)
	if err != nil {
		return h, err
	}
	defer d.close()
	now, err := d.current(&h)
	if err != nil {
		return h, err
	}
	h.Keys = len(now)
	for _, kv := range now {
		f(kv)
	}
	return h, nil
}

// current walks the whole file, in the order of revisions.
func (d *db) current(h *History) (map[string]*mvccpb.KeyValue, error) {
	now := map[string]*mvccpb.KeyValue{}
	err := d.buckets(func(bucket string) visit {
		switch bucket {
		case "key":
			return func(at, value []byte) error { return d.version(now, h, at, value) }
		case "meta":
			return func(key, value []byte) error {
				if string(key) == "finishedCompactRev" && len(value) >= 8 {
					h.Compacted = int64(binary.BigEndian.Uint64(value))
				}
				return nil
			}
		}
		return nil
	})
	return now, err
}

// A version's key is its revision, an underscore, its place in the transaction, and a t
// if the key was deleted.
const (
	versionLen   = 17
	tombstoneLen = 18
)

func (d *db) version(now map[string]*mvccpb.KeyValue, h *History, at, value []byte) error {
	if len(at) != versionLen && (len(at) != tombstoneLen || at[versionLen] != 't') || at[8] != '_' {
		return damaged(d.path, "it holds a key that is no revision")
	}
	h.Revision = max(h.Revision, int64(binary.BigEndian.Uint64(at)))
	var kv mvccpb.KeyValue
	if err := kv.Unmarshal(value); err != nil {
		return damaged(d.path, "what it holds at revision %d cannot be decoded", binary.BigEndian.Uint64(at))
	}
	switch {
	case len(at) == tombstoneLen:
		delete(now, string(kv.Key))
	case len(kv.Key) > 0: // without a key: a revision that a restore left out
		now[string(kv.Key)] = &kv
	}
	return nil
}
