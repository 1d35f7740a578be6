package store

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Early are the records, instances and events that the check of an embedded store's files has met. They are
// decoded while etcd starts, and the first lists take them in place of asking for them.
type Early struct {
	*etcd.Early
	records map[*mvccpb.KeyValue]decodedRecord
	events  map[*mvccpb.KeyValue]*plugins.Event
}

type decodedRecord struct {
	heartbeat.Record
	err error
}

// NewEarly makes one for the options of the store that is opened, and for ShareStart.
func NewEarly() *Early {
	e := &Early{Early: etcd.NewEarly(keys.RecordPrefix, keys.InstancePrefix, keys.OutboxPrefix)}
	e.Decode = e.decode
	return e
}

// decode keeps what the values say, and lets go of them.
func (e *Early) decode(prefix string, all []*mvccpb.KeyValue) {
	switch prefix {
	case keys.RecordPrefix:
		e.records = make(map[*mvccpb.KeyValue]decodedRecord, len(all))
		for _, kv := range all {
			r, err := decodeRecord(kv)
			e.records[kv], kv.Value = decodedRecord{r, err}, nil
		}
	case keys.OutboxPrefix:
		e.events = make(map[*mvccpb.KeyValue]*plugins.Event, len(all))
		for _, kv := range all {
			e.events[kv], _ = decodeEvent(kv) // the reader counts what cannot be read
			kv.Value = nil
		}
	}
}

// record is decodeRecord. A nil receiver has none.
func (e *Early) record(kv *mvccpb.KeyValue) (heartbeat.Record, error) {
	if e != nil {
		if r, ok := e.records[kv]; ok {
			return r.Record, r.err
		}
	}
	return decodeRecord(kv)
}

// event is decodeEvent.
func (e *Early) event(kv *mvccpb.KeyValue) *plugins.Event {
	if e != nil {
		if one, ok := e.events[kv]; ok {
			return one
		}
	}
	one, _ := decodeEvent(kv)
	return one
}
