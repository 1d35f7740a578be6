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
	Cause        heartbeat.Cause   `json:"-"` // in recordValue
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
	CausedAt     int64             `json:"-"` // in recordCause
	SuspendedAt  int64             `json:"SuspendedAt"`
	LastBeat     int64             `json:"LastBeat"`
	Silence      time.Duration     `json:"Silence,omitempty"`
	SilenceAt    time.Duration     `json:"SilenceAt,omitempty"`
	Extra        string            `json:"-"` // members of a later release
}

// recordValue is a storedRecord with what a release before this one neither reads nor changes.
type recordValue struct {
	storedRecord
	Cause recordCause `json:"Cause,omitzero"`
	// Drained says that an administrator has drained the instance, whose State is INACTIVE then:
	// ACTIVE, or INACTIVE if its owner has set that. With any other State it says nothing: a
	// release before this one keeps it, and knows only the state.
	Drained heartbeat.State `json:"Drained,omitempty"`
}

// recordCause is a heartbeat.Cause. A release that does not know it leaves it as it is when it
// changes the state: so it counts only for the state that it names.
type recordCause struct {
	State heartbeat.State     `json:"State"`
	Kind  heartbeat.CauseKind `json:"Kind"`
	By    string              `json:"By,omitempty"`
	Text  string              `json:"Text,omitempty"`
	At    int64               `json:"At,omitempty"`
}

// cause is the cause of the record's state, and since when it is. Where none was kept there is only
// one way into two of the states, and no time.
func (v *recordValue) cause() (heartbeat.Cause, int64) {
	switch c := &v.Cause; {
	case c.State == v.State && c.Kind != "":
		return heartbeat.Cause{Kind: c.Kind, By: c.By, Text: c.Text}, c.At
	case v.State == heartbeat.Suspended:
		return heartbeat.Cause{Kind: heartbeat.BySilence}, 0
	case v.State == heartbeat.Inactive:
		return heartbeat.Cause{Kind: heartbeat.ByApplication}, 0
	}
	return heartbeat.Cause{}, 0
}

// state is the state of the engine.
func (v *recordValue) state() heartbeat.State {
	switch {
	case v.State != heartbeat.Inactive || v.Drained == heartbeat.None:
		return v.State
	case v.Drained == heartbeat.Inactive:
		return heartbeat.DrainedInactive
	default:
		return heartbeat.Drained
	}
}

// encodeRecord is a record as it is stored. What a later release wrote into it stays.
func encodeRecord(r *heartbeat.Record) (string, error) {
	v := recordValue{storedRecord: storedRecord(*r)}
	v.State = r.State.Shown()
	if c := r.Cause; c.Kind != "" {
		v.Cause = recordCause{State: v.State, Kind: c.Kind, By: c.By, Text: c.Text, At: r.CausedAt}
	}
	switch r.State {
	case heartbeat.Drained:
		v.Drained = heartbeat.Active
	case heartbeat.DrainedInactive:
		v.Drained = heartbeat.Inactive
	}
	v.Schema = recordSchema(r.ID)
	v.Attributes = unescaped(r.Attributes)
	text, err := encode(&v)
	return withMembers(text, r.Extra), err
}

func decodeRecord(kv *mvccpb.KeyValue) (heartbeat.Record, error) {
	v, extra, err := readRecord(kv.Value)
	if err != nil {
		return heartbeat.Record{}, fmt.Errorf("%w: %w", heartbeat.ErrUnusable, err)
	}
	v.Extra, v.Attributes = extra, canonical(v.Attributes)
	r := heartbeat.Record(v.storedRecord)
	r.State = v.state()
	r.Cause, r.CausedAt = v.cause()
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
