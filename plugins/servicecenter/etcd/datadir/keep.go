package datadir

import (
	"bytes"
	"encoding/binary"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Kept are the versions of keys that a check has met on its way through the database: whoever lists them
// next need not ask for them again. Versions that etcd applies of its log at the start come after them.
type Kept struct {
	prefixes []string
	parts    []*keptPart // in the order of revisions
}

// keptPart is what one walker has met below one page.
type keptPart struct {
	*Kept
	versions []keptVersion
	newest   int64 // revision of all keys
	strange  bool  // it met what is no version of a key, about which etcd decides
}

// keptVersion is a key as one revision left it; without a value it was erased.
type keptVersion struct {
	*mvccpb.KeyValue
	gone bool
}

// Keep has a check keep the keys below prefixes.
func Keep(prefixes ...string) *Kept { return &Kept{prefixes: prefixes} }

// Newest are the keys below the prefixes as of a revision, which is the newest in the database, in the order in
// which they were written last. ok is false if nothing can be said of them. It may be called once, after the check.
func (k *Kept) Newest() (now []*mvccpb.KeyValue, at int64, ok bool) {
	met := 0
	for _, p := range k.parts {
		if p.strange {
			return nil, 0, false
		}
		met += len(p.versions)
	}
	now = make([]*mvccpb.KeyValue, 0, met)
	where := make(map[string]int, met) // in now
	for _, p := range k.parts {
		at = max(at, p.newest)
		for _, v := range p.versions {
			if before, known := where[string(v.Key)]; known {
				now[before] = nil
			}
			if where[string(v.Key)] = len(now); v.gone {
				v.KeyValue = nil
			}
			now = append(now, v.KeyValue)
		}
	}
	k.parts = nil
	return slices.DeleteFunc(now, func(kv *mvccpb.KeyValue) bool { return kv == nil }), at, at > 0
}

// part adds a part behind all before.
func (k *Kept) part() visit {
	p := &keptPart{Kept: k}
	k.parts = append(k.parts, p)
	return p.see
}

// see takes a version in. It finds no fault with the database: a check that keeps nothing does not look.
func (p *keptPart) see(at, value []byte) error {
	gone := len(at) == tombstoneLen
	key, ok := keyIn(value)
	if len(at) != versionLen && !gone || at[8] != '_' || !ok {
		p.strange = true
		return nil
	}
	p.newest = max(p.newest, int64(binary.BigEndian.Uint64(at)))
	if !p.keeps(key) {
		return nil
	}
	v := keptVersion{new(mvccpb.KeyValue), gone}
	if err := v.Unmarshal(value); err != nil || !bytes.Equal(v.Key, key) {
		p.strange = true
		return nil //nolint:nilerr // etcd decides about it
	}
	p.versions = append(p.versions, v)
	return nil
}

func (k *Kept) keeps(key []byte) bool {
	for _, prefix := range k.prefixes {
		if len(key) >= len(prefix) && string(key[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// keyIn is the key of an encoded mvccpb.KeyValue, whose first member it is. A revision that a restore left
// out has none.
func keyIn(value []byte) (key []byte, ok bool) {
	if len(value) == 0 || value[0] != 1<<3|2 {
		return nil, true
	}
	n, size := binary.Uvarint(value[1:])
	if size <= 0 || n > uint64(len(value)-1-size) {
		return nil, false
	}
	return value[1+size:][:n], true
}
