package store

import (
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// storedRecord is the value of a record's key. It is a type of its own, so that no rename in
// the engine changes what is stored: a member that the engine adds does not compile before
// it has a name here, or "-".
type storedRecord struct {
	Schema       int               `json:"Schema"`
	ID           heartbeat.ID      `json:"ID"`
	Owner        string            `json:"Owner"`
	Attributes   string            `json:"Attributes"`
	Place        string            `json:"Place"`
	State        heartbeat.State   `json:"State"`
	Seq          uint64            `json:"Seq"`
	Proposed     int               `json:"Proposed"`
	Interval     int               `json:"Interval"`
	Previous     int               `json:"Previous"`
	Window       int               `json:"Window"`
	Lease        heartbeat.LeaseID `json:"Lease"`
	Agents       heartbeat.Agents  `json:"Agents,omitempty"`
	Left         bool              `json:"Left,omitempty"`
	RegisteredAt int64             `json:"RegisteredAt"`
	ChangedAt    int64             `json:"ChangedAt"`
	SuspendedAt  int64             `json:"SuspendedAt"`
	LastBeat     int64             `json:"LastBeat"`
	Silence      time.Duration     `json:"Silence,omitempty"`
	SilenceAt    time.Duration     `json:"SilenceAt,omitempty"`
	Extra        string            `json:"-"` // members of a later release
}

// encodeRecord is a record as it is stored. What a later release wrote into it stays.
func encodeRecord(r *heartbeat.Record) (string, error) {
	v := storedRecord(*r)
	v.Schema = recordSchema(r.ID)
	v.Attributes = unescaped(r.Attributes)
	text, err := encode(&v)
	return withMembers(text, r.Extra), err
}

func decodeRecord(kv *mvccpb.KeyValue) (heartbeat.Record, error) {
	var v storedRecord
	extra, err := decode(kv.Value, &v)
	if err != nil {
		return heartbeat.Record{}, fmt.Errorf("%w: %w", heartbeat.ErrUnusable, err)
	}
	v.Extra, v.Attributes = extra, canonical(v.Attributes)
	r := heartbeat.Record(v)
	if want := recordSchema(r.ID); r.Schema != want || keys.Record(r.ID) != string(kv.Key) {
		return r, fmt.Errorf("%w: it has schema %d, this program knows %d", heartbeat.ErrUnusable, r.Schema, want)
	}
	r.Schema = heartbeat.Schema
	return r, nil
}

// importedSchema is the schema of records with an id of EdgeGallery's form. A release that
// does not know the form would find no instance by it, and put one where none belongs. It
// cannot read this schema, and therefore leaves record and instance alone.
const importedSchema = 2

func recordSchema(id heartbeat.ID) int {
	if keys.Imported(id) {
		return importedSchema
	}
	return heartbeat.Schema
}
