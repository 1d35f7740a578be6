package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Replicas of two releases share a store: what the later one adds to a value would be lost
// with the next write of the earlier one, if that wrote only what it knows.

var errTrailing = errors.New("something follows the value")

// decode reads a stored value, and returns an object of the members that this release does
// not know; "" if there are none.
func decode[T any](value []byte, v *T) (unknown string, err error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields() // which costs nothing; there are none but beside a later release
	if d.Decode(v) == nil {
		if len(bytes.TrimSpace(value[d.InputOffset():])) > 0 {
			return "", errTrailing
		}
		return "", nil
	}
	var again T
	if err := json.Unmarshal(value, &again); err != nil {
		return "", err
	}
	*v = again
	return unknownMembers(value, reflect.TypeFor[T]())
}

func unknownMembers(value []byte, t reflect.Type) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(value, &all); err != nil {
		return "", err
	}
	for name := range all {
		for _, f := range reflect.VisibleFields(t) {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if strings.EqualFold(cmp.Or(tag, f.Name), name) {
				delete(all, name)
			}
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return encode(all) // in the order of their names
}

// withMembers adds the members of one object to the text of another.
func withMembers(text, more string) string {
	if text == "" || more == "" {
		return text
	}
	return strings.TrimSuffix(text, "}") + "," + strings.TrimPrefix(more, "{")
}

// unknown remembers the members that this release does not know of values whose readers
// have no use for them, and that are written again: cursors and registrations. Whoever
// writes one compares the revision at which he has read it here.
type unknown struct {
	mu sync.Mutex
	of map[string]members // by key
}

type members struct {
	at   int64 // the revision of the value
	text string
}

// setRead remembers the unknown members of a value that was read; "": it has none.
func (u *unknown) setRead(kv *mvccpb.KeyValue, text string) {
	u.set(string(kv.Key), kv.ModRevision, text)
}

func (u *unknown) set(key string, at int64, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch old, known := u.of[key]; {
	case known && old.at > at:
	case text == "":
		delete(u.of, key)
	default:
		if u.of == nil {
			u.of = map[string]members{}
		}
		u.of[key] = members{at, text}
	}
}

// members are those of the value of a key at a revision.
func (u *unknown) members(key string, at int64) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if m := u.of[key]; m.at == at {
		return m.text
	}
	return ""
}
