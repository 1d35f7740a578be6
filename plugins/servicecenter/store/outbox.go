package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// event is the value of one key of the outbox.
type event struct {
	Schema     int              `json:"schema"`
	ID         heartbeat.ID     `json:"id"`
	Seq        uint64           `json:"seq"`
	Owner      string           `json:"owner"`
	Change     heartbeat.Change `json:"change"`
	State      heartbeat.State  `json:"state"`
	At         int64            `json:"at"`
	Attributes string           `json:"attributes"`
	// Since this release:
	From     heartbeat.State `json:"from,omitempty"` // the state before
	Cause    eventCause      `json:"cause,omitzero"`
	LastBeat int64           `json:"lastBeat,omitempty"`
	Interval int             `json:"interval,omitempty"` // seconds
	Window   int             `json:"window,omitempty"`   // seconds
}

// eventCause is a heartbeat.Cause.
type eventCause struct {
	Kind heartbeat.CauseKind `json:"kind"`
	By   string              `json:"by,omitempty"`
	Text string              `json:"text,omitempty"`
}

// eventOp puts the event that a transaction tells.
func eventOp(t *heartbeat.Txn) (clientv3.Op, error) {
	r := &t.Record
	at := r.ChangedAt
	if !t.Change.Told() {
		at = r.CausedAt
	}
	value, err := encode(event{Schema: heartbeat.Schema, ID: r.ID, Seq: r.Seq, Owner: r.Owner, Change: t.Change,
		State: r.State.Shown(), At: at, Attributes: unescaped(eventAttributes(r.Attributes)),
		From: t.Was.Shown(), Cause: eventCause(r.Cause), LastBeat: r.LastBeat, Interval: r.Interval, Window: r.Window})
	return clientv3.OpPut(keys.Event(r.ID, r.Seq), value), err
}

// decodeEvent reads an event of the outbox, also one of a termination. Its revision is that of the key's creation: events are
// told in the order of commits, which is not the order of keys (protocol CE13).
func decodeEvent(kv *mvccpb.KeyValue) (*plugins.Event, bool) {
	if bytes.HasPrefix(kv.Key, []byte(keys.TerminationPrefix)) {
		return decodeTermination(kv)
	}
	e, err := readEvent(kv.Value)
	if err != nil || e.Schema != heartbeat.Schema || keys.Event(e.ID, e.Seq) != string(kv.Key) ||
		!e.Change.Valid() || !e.State.Valid() {
		return nil, false
	}
	if !e.From.Valid() {
		e.From = heartbeat.None // only shown, to people
	}
	return &plugins.Event{At: heartbeat.Revision(kv.CreateRevision), ID: e.ID, Owner: e.Owner, Change: e.Change, From: e.From, State: e.State,
		Cause: heartbeat.Cause(e.Cause), LastBeat: e.LastBeat, Interval: e.Interval, Window: e.Window, Made: e.At, Attributes: canonical(e.Attributes), Size: len(kv.Key) + len(kv.Value)}, true
}

// terminationEvent is the value of one key of the outbox of terminations.
type terminationEvent struct {
	Schema  int                 `json:"schema"`
	App     string              `json:"app"`
	Action  mp1.OperationAction `json:"action"`
	Timeout uint32              `json:"timeout"`
	Begun   int64               `json:"begun"`
}

// terminationOp puts the event of the termination of an application.
func terminationOp(a *plugins.Application) (clientv3.Op, error) {
	app, t := a.Info.AppInstanceID, a.Termination
	value, err := encode(terminationEvent{Schema: heartbeat.Schema, App: app, Action: t.Action, Timeout: t.Timeout, Begun: t.Begun})
	return clientv3.OpPut(keys.Termination(app, t.Begun), value), err
}

// decodeTermination reads what terminationOp put.
func decodeTermination(kv *mvccpb.KeyValue) (*plugins.Event, bool) {
	var e terminationEvent
	if json.Unmarshal(kv.Value, &e) != nil || e.Schema != heartbeat.Schema || !mp1.ValidID(e.App) || keys.Termination(e.App, e.Begun) != string(kv.Key) {
		return nil, false
	}
	return &plugins.Event{At: heartbeat.Revision(kv.CreateRevision), Owner: e.App, Made: e.Begun, Size: len(kv.Key) + len(kv.Value),
		Termination: &plugins.Termination{Action: e.Action, Timeout: e.Timeout, Begun: e.Begun}}, true
}

// FollowOutbox implements plugins.Outbox, as Follow does for the engine.
func (s *Store) FollowOutbox(ctx context.Context, r plugins.OutboxReader, failed func(reason string, err error)) {
	s.follow(ctx, watchRange{name: "outbox", from: keys.LockPrefix, end: keys.OutboxEnd,
		load:   func(ctx context.Context) (heartbeat.Revision, error) { return s.loadOutbox(ctx, r) },
		loaded: func() {}, restored: func() {}, // the reader tells from the list's revision
		see: func(events []*clientv3.Event, at heartbeat.Revision) {
			var writes []plugins.OutboxWrite
			for _, ev := range events {
				if w, ok := outboxWrite(ev.Kv, ev.Type == mvccpb.DELETE); ok {
					writes = append(writes, w)
				}
			}
			r.See(writes, at)
		},
	}, failed)
}

func (s *Store) loadOutbox(ctx context.Context, r plugins.OutboxReader) (heartbeat.Revision, error) {
	st, err := s.joinStart(ctx, outboxList)
	if err != nil {
		return 0, err
	}
	defer st.leave()
	events, at, err := s.outboxEvents(ctx, st, 0)
	if err != nil {
		return 0, err
	}
	all := slices.DeleteFunc(slices.Clone(events), func(w plugins.OutboxWrite) bool { return w.Event != nil && !w.Event.Told() })
	for _, prefix := range []string{keys.TerminationPrefix, keys.SubPrefix, keys.TerminationSubPrefix, keys.LockPrefix} {
		at, err = s.each(ctx, prefix, at, func(kv *mvccpb.KeyValue) {
			if w, ok := outboxWrite(kv, false); ok {
				all = append(all, w)
			}
		})
		if err != nil {
			return 0, err
		}
	}
	slices.SortStableFunc(all, func(a, b plugins.OutboxWrite) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.At, b.At))
	})
	r.Load(all, heartbeat.Revision(at))
	return heartbeat.Revision(at), nil
}

// outboxWrite turns a key into the reader's words; ok is false for what is not for
// it, as events that consumers are not told, and for a subscription that cannot be read: one bad value harms nobody else.
func outboxWrite(kv *mvccpb.KeyValue, gone bool) (w plugins.OutboxWrite, ok bool) {
	key := string(kv.Key)
	w.At, w.Gone = heartbeat.Revision(kv.ModRevision), gone
	switch {
	case strings.HasPrefix(key, keys.OutboxPrefix), strings.HasPrefix(key, keys.TerminationPrefix):
		w.Kind, w.Name, ok = plugins.EventWritten, key, true
		if !gone {
			w.Event, _ = decodeEvent(kv) // the reader counts what cannot be read
			ok = w.Event == nil || w.Event.Told()
		}
	case strings.HasPrefix(key, keys.SubPrefix), strings.HasPrefix(key, keys.TerminationSubPrefix):
		w.Kind, w.Name, ok = plugins.SubscriptionWritten, subscriptionID(key), gone
		if !gone {
			w.Subscription, ok = decodeSubscription(kv)
		}
	case strings.HasPrefix(key, keys.LockPrefix):
		w.Kind, w.Name, ok = plugins.LockWritten, strings.TrimPrefix(key, keys.LockPrefix), true
		w.Lease, w.Connected = heartbeat.LeaseID(kv.Lease), string(kv.Value) == connectedLock
	}
	return w, ok
}
