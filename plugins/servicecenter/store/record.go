package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// encodeRecord is a record as it is stored. What a later release wrote into it stays.
func encodeRecord(r *heartbeat.Record) (string, error) {
	lean := *r
	lean.Attributes = unescaped(r.Attributes)
	text, err := encode(&lean)
	if err != nil || r.Extra == "" {
		return text, err
	}
	return strings.TrimSuffix(text, "}") + "," + strings.TrimPrefix(r.Extra, "{"), nil
}

func decodeRecord(kv *mvccpb.KeyValue) (r heartbeat.Record, err error) {
	d := json.NewDecoder(bytes.NewReader(kv.Value))
	d.DisallowUnknownFields() // which costs nothing; there are none but beside a later release
	if err := d.Decode(&r); err != nil {
		r = heartbeat.Record{}
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			return r, fmt.Errorf("%w: %w", heartbeat.ErrUnusable, err)
		}
		if r.Extra, err = unknownMembers(kv.Value); err != nil {
			return r, fmt.Errorf("%w: %w", heartbeat.ErrUnusable, err)
		}
	} else if len(bytes.TrimSpace(kv.Value[d.InputOffset():])) > 0 {
		return r, fmt.Errorf("%w: %w", heartbeat.ErrUnusable, errTrailing)
	}
	r.Attributes = canonical(r.Attributes)
	if r.Schema != heartbeat.Schema || keys.Record(r.ID) != string(kv.Key) {
		return r, fmt.Errorf("%w: it has schema %d, this program knows %d", heartbeat.ErrUnusable, r.Schema, heartbeat.Schema)
	}
	return r, nil
}

var errTrailing = errors.New("something follows the record")

// unknownMembers is an object of the members of a stored record that this release does not
// know; "" if there are none.
func unknownMembers(value []byte) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(value, &all); err != nil {
		return "", err
	}
	t := reflect.TypeFor[heartbeat.Record]()
	for name := range all {
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("json") != "-" && strings.EqualFold(f.Name, name) {
				delete(all, name)
			}
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return encode(all) // in the order of their names
}
