package store

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// listing is what was read as of one revision: all records and instances, or those of which
// something was written.
type listing struct {
	*Store
	at         int64
	only       view // what was read, if that is not all; nil: all of it
	older      bool // replicas of the previous release live
	all        []heartbeat.Listed
	index      map[heartbeat.ID]int
	byInstance map[keys.Instance]int // records by the instance that they are shown as
	first      map[string]int        // a record of each microservice
	bad        map[heartbeat.ID]string
	opaque     map[heartbeat.ID]string // records whose attributes cannot be read: the engine has them, and nobody is shown them
	skipped    map[string]bool         // microservices of records that could not be read
	foreign    []*mvccpb.KeyValue
	// comparesLater: the projections are compared with the records by repair, once a start is over.
	comparesLater bool
	projections   []projectionSum
	early         *Early       // what was decoded before; nil: nothing
	seed          maphash.Seed // of their sums, so that nobody can make two values have one
}

// projectionSum stands for the value of a record's projection.
type projectionSum struct {
	of  int // of all
	sum uint64
}

func (s *Store) newListing(only view) *listing {
	return &listing{Store: s, only: only, older: s.replicas.older(), index: map[heartbeat.ID]int{}, byInstance: map[keys.Instance]int{}, first: map[string]int{},
		bad: map[heartbeat.ID]string{}}
}

// expectRecords makes room for so many records, before the first.
func (l *listing) expectRecords(n int) {
	l.all, l.index = make([]heartbeat.Listed, 0, n), make(map[heartbeat.ID]int, n)
	l.byInstance, l.first = make(map[keys.Instance]int, n), make(map[string]int, n)
}

// expectInstances makes room for so many instances.
func (l *listing) expectInstances(n int) {
	if l.comparesLater {
		l.projections = make([]projectionSum, 0, n)
	}
}

// addRecord takes a record in. All records come before the first instance.
func (l *listing) addRecord(kv *mvccpb.KeyValue) {
	id := heartbeat.ID(strings.TrimPrefix(string(kv.Key), keys.RecordPrefix))
	r, err := l.early.record(kv)
	if err != nil {
		l.bad[id] = string(kv.Key)
		l.skip(id)
		return
	}
	n, stands := len(l.all), keys.InstanceOf(id, r.Place)
	l.index[id], l.byInstance[stands], l.first[stands.ServiceID] = n, n, n
	l.renames.follow(&r, heartbeat.Revision(kv.ModRevision))
	l.all = append(l.all, heartbeat.Listed{ID: id, Snapshot: heartbeat.Snapshot{Record: r, At: heartbeat.Revision(kv.ModRevision)}})
}

// addInstance takes an instance in: the projection of a record, one whose record is gone, or
// another client's.
func (l *listing) addInstance(kv *mvccpb.KeyValue) {
	place, ok := keys.ParseInstance(string(kv.Key))
	if i, known := l.byInstance[place]; ok && known {
		one := &l.all[i]
		one.Projection = projectionOf(kv)
		if l.comparesLater {
			l.projections = append(l.projections, projectionSum{i, maphash.Bytes(l.seed, kv.Value)})
		} else {
			one.Projection.Differs = l.differs(&one.Record, func(want string) bool { return string(kv.Value) == want })
		}
		return
	}
	id, marked := ours(kv.Value)
	_, elsewhere := l.index[place.ID()]
	switch {
	case marked && l.bad[id] != "":
	case marked && ok && !elsewhere:
		l.all = append(l.all, heartbeat.Listed{ID: place.ID(), Snapshot: heartbeat.Snapshot{Projection: projectionOf(kv)}})
	default:
		l.addForeign(kv)
	}
}

// differs says whether a projection is not as its record makes it, and notes a record that makes none.
func (l *listing) differs(r *heartbeat.Record, equals func(string) bool) bool {
	yes, err := differsFrom(r, l.older, equals)
	if err != nil {
		if l.opaque == nil {
			l.opaque = map[heartbeat.ID]string{}
		}
		l.opaque[r.ID] = keys.Record(r.ID)
	}
	return yes
}

// judgeAbsent notes those that make no projection of the records that have none, to which nothing was
// compared. All instances come before.
func (l *listing) judgeAbsent() {
	for i := range l.all {
		one := &l.all[i]
		if !one.Exists() || one.Projection.Present() {
			continue
		}
		if _, readable := mp1.ReadWritten(one.Record.Attributes); !readable {
			l.differs(&one.Record, func(string) bool { return true })
		}
	}
}

// skip leaves the microservice of a record that could not be read as it is.
func (l *listing) skip(id heartbeat.ID) {
	if service, _, ok := keys.Split(id); ok {
		if l.skipped == nil {
			l.skipped = map[string]bool{}
		}
		l.skipped[service] = true
	}
}

// addForeign adds an instance below a microservice of ours that no record put there.
func (l *listing) addForeign(kv *mvccpb.KeyValue) {
	service, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), keys.InstancePrefix), path.SPLIT)
	if _, ours := l.first[service]; ours {
		l.foreign = append(l.foreign, &mvccpb.KeyValue{Key: kv.Key, ModRevision: kv.ModRevision})
	}
}

// unreadableRecords are the records that cannot be read.
type unreadableRecords struct {
	mu     sync.Mutex
	ids    map[heartbeat.ID]string // by id: the key
	opaque map[heartbeat.ID]string // those of which only the attributes cannot be
}

// listed takes in those of a list of all, which goes on reading bad meanwhile; each list finds
// them again, and says so once.
func (u *unreadableRecords) listed(log openlog.Logger, bad map[heartbeat.ID]string) {
	u.mu.Lock()
	was := len(u.ids)
	u.ids = maps.Clone(bad)
	u.mu.Unlock()
	if len(bad) != was {
		u.warn(log, bad)
	}
}

// changed takes in those of the records that were looked at again.
func (u *unreadableRecords) changed(log openlog.Logger, looked map[heartbeat.ID]struct{}, bad map[heartbeat.ID]string) {
	u.mu.Lock()
	fresh := false
	for id := range looked {
		if key, is := bad[id]; is {
			_, was := u.ids[id]
			fresh = fresh || !was
			u.ids[id] = key
		} else {
			delete(u.ids, id)
		}
	}
	u.mu.Unlock()
	if fresh {
		u.warn(log, bad)
	}
}

// undescribed takes in those whose attributes cannot be read, of the records that were looked at; nil:
// of all.
func (u *unreadableRecords) undescribed(log openlog.Logger, looked map[heartbeat.ID]struct{}, opaque map[heartbeat.ID]string) {
	u.mu.Lock()
	now := map[heartbeat.ID]string{}
	for id, key := range u.opaque {
		if _, again := looked[id]; looked != nil && !again {
			now[id] = key
		}
	}
	fresh := false
	for id, key := range opaque {
		_, was := u.opaque[id]
		fresh = fresh || !was
		now[id] = key
	}
	u.opaque = now
	u.mu.Unlock()
	if fresh {
		u.warn(log, opaque)
	}
}

func (u *unreadableRecords) warn(log openlog.Logger, bad map[heartbeat.ID]string) {
	lost := unreadable{what: "records of services cannot be read: nobody is shown them until they are repaired or their application registers anew"}
	for _, key := range slices.Sorted(maps.Values(bad)) {
		lost.add(key)
	}
	lost.log(log)
}

func (u *unreadableRecords) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.ids) + len(u.opaque)
}
