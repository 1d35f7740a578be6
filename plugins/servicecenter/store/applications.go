package store

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

var _ plugins.Applications = (*Store)(nil)

// application is the value of one application's key.
type application struct {
	Schema int `json:"schema"`
	// Info is absent of an application that did not register. The releases before cannot read
	// such a value, and so do not take it for a registration.
	Info         mp1.AppInfo  `json:"info,omitzero"`
	Leaving      bool         `json:"leaving,omitempty"`
	Unregistered bool         `json:"unregistered,omitempty"`
	ReadyAt      int64        `json:"readyAt,omitempty"`
	Termination  *termination `json:"termination,omitempty"`
	// Ended is the termination that led to Leaving. It has another name than the one that goes
	// on, for the release before keeps what it does not know: a registration that it makes anew
	// would be terminated. Without Leaving it means nothing.
	Ended *termination `json:"ended,omitempty"`
}

type termination struct {
	Action    mp1.OperationAction `json:"action"`
	Timeout   uint32              `json:"timeout"`
	Begun     int64               `json:"begun"`
	Confirmed bool                `json:"confirmed,omitempty"`
}

// decodeApplication also returns the members that this release does not know.
func decodeApplication(kv *mvccpb.KeyValue) (a plugins.Application, unknown string, ok bool) {
	var v application
	id := strings.TrimPrefix(string(kv.Key), keys.AppPrefix)
	unknown, err := decode(kv.Value, &v)
	if v.Unregistered && v.Info.AppInstanceID == "" {
		v.Info = mp1.AppInfo{AppInstanceID: id}
	}
	if err != nil || v.Schema != heartbeat.Schema || v.Info.AppInstanceID != id || !mp1.ValidID(id) {
		return plugins.Application{}, "", false
	}
	if v.Leaving {
		v.Termination = cmp.Or(v.Ended, v.Termination) // the latter where the release before deleted it
	}
	a = plugins.Application{Info: v.Info, Unregistered: v.Unregistered, ReadyAt: v.ReadyAt, Termination: (*plugins.Termination)(v.Termination),
		Leaving: v.Leaving, At: heartbeat.Revision(kv.ModRevision)}
	return a, unknown, true
}

func encodeApplication(a *plugins.Application) ([]byte, error) {
	v := application{Schema: heartbeat.Schema, Info: a.Info, Leaving: a.Leaving, Unregistered: a.Unregistered}
	if a.Unregistered {
		v.Info = mp1.AppInfo{}
	}
	if a.Leaving {
		v.Ended = (*termination)(a.Termination)
	} else {
		v.ReadyAt, v.Termination = a.ReadyAt, (*termination)(a.Termination)
	}
	return json.Marshal(v)
}

// SaveApplication implements plugins.Applications.
func (s *Store) SaveApplication(ctx context.Context, a plugins.Application) (heartbeat.Revision, error) {
	class := quota.Grow
	if a.Leaving {
		class = quota.Free // what it has is about to go
	}
	return s.saveApplication(ctx, class, &a, nil)
}

// BeginTermination implements plugins.Applications. A full store refuses it only to an
// application of which it holds nothing: to the others it is the way to make room.
func (s *Store) BeginTermination(ctx context.Context, a plugins.Application) (heartbeat.Revision, error) {
	put, err := terminationOp(&a)
	if err != nil {
		return 0, err
	}
	class := quota.Free
	if a.At == 0 {
		class = quota.Grow
	}
	return s.saveApplication(ctx, class, &a, []clientv3.Cmp{absent(string(put.KeyBytes()))}, put)
}

// saveApplication writes an application whose last write is a.At, and what more is to be
// written with it under further compares.
func (s *Store) saveApplication(ctx context.Context, c quota.Class, a *plugins.Application, compares []clientv3.Cmp, ops ...clientv3.Op) (heartbeat.Revision, error) {
	value, err := encodeApplication(a)
	if err != nil {
		return 0, err
	}
	key := keys.AppPrefix + a.Info.AppInstanceID
	more := s.unknown.members(key, int64(a.At))
	compares = append(compares, clientv3.Compare(clientv3.ModRevision(key), "=", int64(a.At)))
	res, err := s.commit(ctx, c, compares, append(ops, clientv3.OpPut(key, withMembers(string(value), more)))...)
	if err != nil {
		return 0, err
	}
	s.unknown.set(key, res.Header.Revision, more)
	return heartbeat.Revision(res.Header.Revision), nil
}

// readApplication reads a value that may be written again.
func (s *Store) readApplication(kv *mvccpb.KeyValue) (plugins.Application, bool) {
	a, unknown, ok := decodeApplication(kv)
	if ok {
		s.unknown.setRead(kv, unknown)
	}
	return a, ok
}

// EraseApplication implements plugins.Applications.
func (s *Store) EraseApplication(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	return s.writeAt(ctx, quota.Free, keys.AppPrefix+app, at, clientv3.OpDelete(keys.AppPrefix+app))
}

// writeAt writes a key whose last write is at.
func (s *Store) writeAt(ctx context.Context, c quota.Class, key string, at heartbeat.Revision, op clientv3.Op) (heartbeat.Revision, error) {
	res, err := s.commit(ctx, c, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", int64(at))}, op)
	if err != nil {
		return 0, err
	}
	return heartbeat.Revision(res.Header.Revision), nil
}

// Application implements plugins.Applications. What cannot be read is as good as not
// there; its revision lets it be replaced.
func (s *Store) Application(ctx context.Context, app string) (plugins.Application, error) {
	kv, err := s.one(ctx, keys.AppPrefix+app)
	if kv == nil || err != nil {
		return plugins.Application{}, err
	}
	a, ok := s.readApplication(kv)
	if !ok {
		a = plugins.Application{Leaving: true, At: heartbeat.Revision(kv.ModRevision)}
	}
	return a, nil
}

// FollowApplications implements plugins.Applications.
func (s *Store) FollowApplications(ctx context.Context, load func([]plugins.Application, heartbeat.Revision),
	see func(plugins.Application, bool), failed func(reason string, err error)) {
	s.follow(ctx, watchRange{name: "applications", from: keys.AppPrefix, end: keys.AppsEnd,
		load:   func(ctx context.Context) (heartbeat.Revision, error) { return s.listApplications(ctx, load) },
		loaded: func() {}, restored: func() {}, // the reader tells from the list's revision
		see: func(events []*clientv3.Event, _ heartbeat.Revision) {
			for _, ev := range events {
				s.showApplication(ev, see)
			}
		},
	}, failed)
}

func (s *Store) listApplications(ctx context.Context, load func([]plugins.Application, heartbeat.Revision)) (heartbeat.Revision, error) {
	var all []plugins.Application
	at, err := s.each(ctx, keys.AppPrefix, 0, func(kv *mvccpb.KeyValue) {
		if a, ok := s.readApplication(kv); ok {
			all = append(all, a)
		}
	})
	if err == nil {
		load(all, heartbeat.Revision(at))
	}
	return heartbeat.Revision(at), err
}

func (s *Store) showApplication(ev *clientv3.Event, see func(plugins.Application, bool)) {
	if ev.Type == mvccpb.DELETE {
		gone := plugins.Application{At: heartbeat.Revision(ev.Kv.ModRevision)}
		s.unknown.set(string(ev.Kv.Key), ev.Kv.ModRevision, "")
		gone.Info.AppInstanceID = strings.TrimPrefix(string(ev.Kv.Key), keys.AppPrefix)
		see(gone, true)
	} else if a, ok := s.readApplication(ev.Kv); ok {
		see(a, false)
	}
}
