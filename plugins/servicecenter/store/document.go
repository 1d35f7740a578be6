package store

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// documents is a kind of documents: values below a prefix of their own, each written in
// compare-and-set, whose members that this release does not know survive.
type documents[T any] struct {
	name        string // of the watch, in logs
	prefix, end string
	// decode returns what a key holds, the members that are not known, and whether it can be
	// read. Of what cannot, T has the name and the revision, which let it be replaced.
	decode func(*mvccpb.KeyValue) (d T, unknown string, ok bool)
	// erased is what is said of a key that is gone.
	erased func(*mvccpb.KeyValue) T
}

// put writes a document whose last write is still at (0: there is none).
func (s *Store) put(ctx context.Context, class quota.Class, key string, at heartbeat.Revision, value string) (heartbeat.Revision, error) {
	more := s.unknown.members(key, int64(at))
	written, err := s.writeAt(ctx, class, key, at, clientv3.OpPut(key, withMembers(value, more)))
	if err == nil {
		s.unknown.set(key, int64(written), more)
	}
	return written, err
}

// read reads a value that may be written again.
func (k documents[T]) read(s *Store, kv *mvccpb.KeyValue) T {
	d, unknown, ok := k.decode(kv)
	if ok {
		s.unknown.setRead(kv, unknown)
	}
	return d
}

// follow calls load with all documents, and then see with every write, until ctx ends.
func (k documents[T]) follow(ctx context.Context, s *Store, load func([]T, heartbeat.Revision), see func(T, bool), failed func(reason string, err error)) {
	s.follow(ctx, watchRange{name: k.name, from: k.prefix, end: k.end,
		load:   func(ctx context.Context) (heartbeat.Revision, error) { return k.list(ctx, s, load) },
		loaded: func() {}, restored: func() {}, // the reader is given everything anew
		see: func(events []*clientv3.Event, _ heartbeat.Revision) {
			for _, ev := range events {
				if ev.Type == mvccpb.PUT {
					see(k.read(s, ev.Kv), false)
					continue
				}
				s.unknown.set(string(ev.Kv.Key), ev.Kv.ModRevision, "")
				see(k.erased(ev.Kv), true)
			}
		},
	}, failed)
}

func (k documents[T]) list(ctx context.Context, s *Store, load func([]T, heartbeat.Revision)) (heartbeat.Revision, error) {
	var all []T
	at, err := s.each(ctx, k.prefix, 0, func(kv *mvccpb.KeyValue) { all = append(all, k.read(s, kv)) })
	if err == nil {
		load(all, heartbeat.Revision(at))
	}
	return heartbeat.Revision(at), err
}
