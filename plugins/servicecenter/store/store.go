// Package store keeps what the engine decides: it encodes records, events, subscriptions and
// applications, writes each change in one transaction with what ServiceComb shows of it,
// and shows every write to who follows. It must not decide anything, nor know that
// service-center runs beside it, which tells its clients what it reads there.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Store encodes the engine's transactions for etcd. It decides nothing.
type Store struct {
	client    *etcd.Client
	renames   renames
	log       openlog.Logger
	intervals watchIntervals
	owned     owned

	unknown unknown // members of values that a later release has written

	consumers Consumers
	reserved  string
	served    func(context.Context) // nil: repairs wait for nothing

	replicas   *replicas
	presence   presence
	engine     atomic.Pointer[heartbeat.Engine] // that is followed
	shown      atomic.Int64                     // the revision up to which the engine was shown everything
	unreadable unreadableRecords
	history    history                    // what is known of it, and how far the slow walk through all keys has come
	behind     chan struct{}              // told when the store is ahead of that
	repairs    *repairs                   // nil: a list puts nothing right
	ages       plugins.Ages               // of the events, as Tidy listed them
	starting   atomic.Pointer[startLists] // nil: no list is shared
}

// Options of a store.
type Options struct {
	Client *etcd.Client
	Log    openlog.Logger
	// Consumers is told before an instance is erased; nil: nobody is.
	Consumers Consumers
	// Reserved is the serviceId of a microservice in our tenant that is no record's, and is
	// left as it is: service-center's own.
	Reserved string
	// Served returns once requests are served, or when ctx ends: what a list has shown is put right
	// after that. nil: at once.
	Served func(ctx context.Context)
}

// Consumers are the clients of ServiceComb that are told of an instance's end. Whoever
// tells them looks its microservice up, which goes with its last instance: the store waits
// for it in between.
type Consumers interface {
	// ExpectEnd is called before the instance with this key is erased.
	ExpectEnd(ctx context.Context, key string)
	// AwaitEnd waits, for a bounded time, until they were told.
	AwaitEnd(ctx context.Context, key string)
	// EndOver is called once nobody waits any more, whether the instance was erased or not.
	EndOver(key string)
}

type noConsumers struct{}

// ExpectEnd implements Consumers.
func (noConsumers) ExpectEnd(context.Context, string) {}

// AwaitEnd implements Consumers.
func (noConsumers) AwaitEnd(context.Context, string) {}

// EndOver implements Consumers.
func (noConsumers) EndOver(string) {}

// New is a store over an open client, which is not closed with it.
func New(o Options) *Store {
	s := &Store{client: o.Client, log: o.Log, consumers: o.Consumers, reserved: o.Reserved, intervals: defaultIntervals, behind: make(chan struct{}, 1),
		replicas: newReplicas(), repairs: newRepairs(), served: o.Served}
	if s.consumers == nil {
		s.consumers = noConsumers{}
	}
	s.replicas.unlisted = !s.client.Embedded()
	return s
}

// Collect adds what an operator watches.
func (s *Store) Collect(cs *plugins.Collectors) {
	cs.Add(s.repairs.counter)
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_records_unreadable", Help: "Records of services that cannot be read, or whose attributes cannot: nobody is shown them."},
		func() float64 { return float64(s.unreadable.count()) }))
}

// AwaitRepairs waits until what a list has begun to put right is so.
func (s *Store) AwaitRepairs() { s.repairs.await() }

// Close ends what the store started.
func (s *Store) Close() {
	if s.repairs != nil {
		s.repairs.close()
	}
}

var _ heartbeat.Store = (*Store)(nil)

// NewID chooses the id of a new instance. Unless look says so it reads nothing: a place that is taken
// fails the compares of the registration (heartbeat.ErrTaken).
func (s *Store) NewID(ctx context.Context, owner string, info mp1.ServiceInfo, look bool) (heartbeat.ID, error) {
	if !look {
		if service := s.likelyServiceFor(owner, info); service != "" {
			return keys.NewID(service)
		}
	}
	service, err := s.serviceFor(ctx, owner, info)
	if err != nil {
		return "", err
	}
	return keys.NewID(service)
}

// Place is the serviceId of the microservice that the instance belongs to once it is
// described by info; "": the one that its id begins with.
func (s *Store) Place(ctx context.Context, id heartbeat.ID, owner string, info mp1.ServiceInfo) (string, error) {
	service, err := s.serviceFor(ctx, owner, info)
	if home, _, _ := keys.Split(id); service == home {
		service = ""
	}
	return service, err
}

// Read implements heartbeat.Store. If another replica has just renamed the instance, its
// projection is read again, where the record says that it is.
func (s *Store) Read(ctx context.Context, id heartbeat.ID) (out heartbeat.Snapshot, err error) {
	if _, _, ok := keys.Split(id); !ok {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	place := s.renames.serviceID(id)
	for range maxReads {
		out, err = s.readAt(ctx, id, place)
		if err != nil || !out.Exists() {
			return out, err
		}
		s.renames.follow(&out.Record, out.At)
		if out.Record.Place == place {
			return out, nil
		}
		place = out.Record.Place
	}
	return heartbeat.Snapshot{}, errRenamed
}

// maxReads is how often an instance is read that is renamed meanwhile.
const maxReads = 3

func (s *Store) readAt(ctx context.Context, id heartbeat.ID, place string) (out heartbeat.Snapshot, err error) {
	res, _, err := etcd.Hedged(ctx, s.client, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).Then(clientv3.OpGet(keys.Record(id)), clientv3.OpGet(keys.InstanceOf(id, place).Key())).Commit()
	})
	if err != nil {
		return out, etcd.Translate(err)
	}
	if kvs := res.Responses[0].GetResponseRange().Kvs; len(kvs) == 1 {
		if out.Record, err = decodeRecord(kvs[0]); err != nil {
			return out, err
		}
		out.At = heartbeat.Revision(kvs[0].ModRevision)
	}
	if kvs := res.Responses[1].GetResponseRange().Kvs; len(kvs) == 1 {
		out.Projection = projectionOf(kvs[0])
	}
	return out, nil
}

func projectionOf(kv *mvccpb.KeyValue) heartbeat.Projection {
	return heartbeat.Projection{Revision: heartbeat.Revision(kv.ModRevision), Lease: heartbeat.LeaseID(kv.Lease)}
}

// Commit implements heartbeat.Store.
func (s *Store) Commit(ctx context.Context, t *heartbeat.Txn) (heartbeat.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	from := keys.InstanceOf(t.Record.ID, t.From)
	empties := t.ProjectionOp == heartbeat.Erase && t.Kind != heartbeat.Expire && t.Kind != heartbeat.End || changesService(t)
	if empties {
		s.consumers.ExpectEnd(ctx, from.Key())
		defer s.consumers.EndOver(from.Key())
	}
	var res *clientv3.TxnResponse
	var resent bool
	var err error
	if needsService(t) {
		res, resent, err = s.commitWithService(ctx, t)
	} else {
		res, resent, err = s.transact(ctx, t, nil, nil)
	}
	if failpoint.On && err == nil && res.Succeeded {
		err = failpoint.Hit(t.Kind.String() + ".after-txn") // an error: the outcome is unknown
	}
	switch {
	case err != nil:
		return 0, etcd.Translate(err)
	case !res.Succeeded && resent:
		return 0, errUnsure
	case !res.Succeeded:
		return 0, heartbeat.ErrConflict
	}
	at := heartbeat.Revision(res.Header.Revision)
	if t.RecordOp == heartbeat.Put {
		s.renames.follow(&t.Record, at)
	}
	if empties && s.owned.instances(from.ServiceID) <= 1 {
		s.consumers.AwaitEnd(ctx, from.Key())
		s.dropService(ctx, from.ServiceID, 1) // the tidying finds it again if this fails
	}
	return at, nil
}

// Head implements heartbeat.Store.
func (s *Store) Head(ctx context.Context) (heartbeat.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	at, err := s.client.Head(ctx)
	if err != nil {
		return 0, err
	}
	if int64(at) > s.shown.Load() {
		select {
		case s.behind <- struct{}{}:
		default:
		}
	}
	return at, nil
}

// Pulse implements heartbeat.Store.
func (s *Store) Pulse(ctx context.Context) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	if _, err := s.Head(ctx); err != nil && !errors.Is(err, etcd.ErrRestored) {
		return false, err
	}
	return s.client.Full(ctx)
}

// ClusterValue is what keys.Cluster holds: which schema the store has.
func ClusterValue() string { return `{"schema":` + strconv.Itoa(heartbeat.Schema) + `}` }

// CheckSchema refuses a store that a newer program wrote, and writes the schema into a new
// one. It reads first: a full store would refuse a transaction that may write.
func (s *Store) CheckSchema(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	want := []byte(ClusterValue())
	got, err := s.client.Get(ctx, keys.Cluster)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", keys.Cluster, etcd.PlainError(err))
	}
	kvs := got.Kvs
	if len(kvs) == 0 {
		res, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Version(keys.Cluster), "=", 0)).
			Then(clientv3.OpPut(keys.Cluster, string(want))).Else(clientv3.OpGet(keys.Cluster)).Commit()
		switch {
		case err != nil:
			return fmt.Errorf("cannot write %s: %w", keys.Cluster, etcd.PlainError(err))
		case res.Succeeded:
			return nil
		}
		kvs = res.Responses[0].GetResponseRange().Kvs
	}
	if len(kvs) == 1 && bytes.Equal(kvs[0].Value, want) {
		return nil
	}
	return fmt.Errorf("the store was written by another version of this program: %s does not hold schema %d", keys.Cluster, heartbeat.Schema)
}

// errUnsure says that a transaction was sent twice and that the compares of one of them
// failed, perhaps because the other had been carried out.
var errUnsure = errors.New("the store did not say whether the transaction was carried out")

var (
	errStalled = errors.New("the watch fell silent")
	errClosed  = errors.New("the watch was closed")
	errRenamed = errors.New("the instance is moved again and again")
)
