package store

import (
	"encoding/json"

	"github.com/mec-liveness/mepserver/mp1/written"
)

// quickRecord reads a record in the very form in which encodeRecord writes it, which takes a tenth of
// the time that encoding/json needs: a start reads all of them before it serves anybody. false says
// that the value has another form, or is none, and v is to be thrown away: encoding/json decides then.
func quickRecord(value []byte, v *recordValue) bool {
	r := written.Of(value)
	r.Take(`{"Schema":`)
	written.Int(&r, &v.Schema)
	written.MayText(&r, `,"ID":`, &v.ID)
	written.MayText(&r, `,"Owner":`, &v.Owner)
	written.MayText(&r, `,"Attributes":`, &v.Attributes)
	written.MayText(&r, `,"Place":`, &v.Place)
	written.MayInt(&r, `,"State":`, &v.State)
	written.MayInt(&r, `,"Seq":`, &v.Seq)
	written.MayInt(&r, `,"Proposed":`, &v.Proposed)
	written.MayInt(&r, `,"Interval":`, &v.Interval)
	written.MayInt(&r, `,"Previous":`, &v.Previous)
	written.MayInt(&r, `,"Window":`, &v.Window)
	written.MayInt(&r, `,"Lease":`, &v.Lease)
	written.MayText(&r, `,"Agents":`, &v.Agents)
	v.Left = r.May(`,"Left":true`) // nobody writes false
	written.MayInt(&r, `,"RegisteredAt":`, &v.RegisteredAt)
	written.MayInt(&r, `,"ChangedAt":`, &v.ChangedAt)
	written.MayInt(&r, `,"SuspendedAt":`, &v.SuspendedAt)
	written.MayInt(&r, `,"LastBeat":`, &v.LastBeat)
	written.MayInt(&r, `,"Silence":`, &v.Silence)
	written.MayInt(&r, `,"SilenceAt":`, &v.SilenceAt)
	if r.May(`,"Cause":{"State":`) {
		written.Int(&r, &v.Cause.State)
		written.MayText(&r, `,"Kind":`, &v.Cause.Kind)
		written.MayText(&r, `,"By":`, &v.Cause.By)
		written.MayText(&r, `,"Text":`, &v.Cause.Text)
		written.MayInt(&r, `,"At":`, &v.Cause.At)
		r.Take(`}`)
	}
	written.MayInt(&r, `,"Drained":`, &v.Drained)
	r.Take(`}`)
	return r.Done()
}

// readRecord reads the value of a record, and returns the members that this release does not know.
func readRecord(value []byte) (v recordValue, extra string, err error) {
	if quickRecord(value, &v) {
		return v, "", nil
	}
	var slowly recordValue // on the heap, which v is not
	extra, err = decode(value, &slowly)
	return slowly, extra, err
}

// quickEvent reads an event in the very form in which eventOp writes it, as quickRecord reads a record:
// each is read by the outbox, by the history, and by each Tidy until it is erased.
func quickEvent(value []byte, e *event) bool {
	r := written.Of(value)
	r.Take(`{"schema":`)
	written.Int(&r, &e.Schema)
	written.MayText(&r, `,"id":`, &e.ID)
	written.MayInt(&r, `,"seq":`, &e.Seq)
	written.MayText(&r, `,"owner":`, &e.Owner)
	written.MayInt(&r, `,"change":`, &e.Change)
	written.MayInt(&r, `,"state":`, &e.State)
	written.MayInt(&r, `,"at":`, &e.At)
	written.MayText(&r, `,"attributes":`, &e.Attributes)
	written.MayInt(&r, `,"from":`, &e.From)
	if r.May(`,"cause":{"kind":`) {
		written.Text(&r, &e.Cause.Kind)
		written.MayText(&r, `,"by":`, &e.Cause.By)
		written.MayText(&r, `,"text":`, &e.Cause.Text)
		r.Take(`}`)
	}
	written.MayInt(&r, `,"lastBeat":`, &e.LastBeat)
	written.MayInt(&r, `,"interval":`, &e.Interval)
	written.MayInt(&r, `,"window":`, &e.Window)
	r.Take(`}`)
	return r.Done()
}

// readEvent reads the value of an event.
func readEvent(value []byte) (e event, err error) {
	if quickEvent(value, &e) {
		return e, nil
	}
	var slowly event // on the heap, which e is not
	err = json.Unmarshal(value, &slowly)
	return slowly, err
}
