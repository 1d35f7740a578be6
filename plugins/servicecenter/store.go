package servicecenter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chassis/openlog"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"
	etcderrors "go.etcd.io/etcd/server/v3/etcdserver/errors"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/quota"
)

// callTimeout bounds every call to the store but the lists.
const callTimeout = 2 * time.Second

// Store encodes the engine's transactions for etcd. It decides nothing.
type Store struct {
	client *clientv3.Client
	server *etcdserver.EtcdServer // nil unless embedded
	lessor *lessor                // the same
	calls  *calls                 // the same
	moved  moved
	log    openlog.Logger
	least  int // seconds of the shortest lease that is granted
	pace   pace
	gate   *quota.Gate // nil unless embedded
	needed *needed     // history that is still read

	lineage    *lineage
	term       term
	replicas   *replicas
	presence   presence
	heart      atomic.Pointer[heartbeat.Engine] // that is followed
	shown      atomic.Int64                     // the revision up to which the engine was shown everything
	unreadable atomic.Int64                     // records, at the last list
	behind     chan struct{}                    // told when the store is ahead of that
	renewals   *renewer                         // nil if embedded
	spares     spares                           // nil if embedded, or one endpoint
	longer     atomic.Int64                     // the longest lease that was granted in place of a shorter one
	mends      *mends                           // nil: a list puts nothing right
	ages       plugins.Ages                     // of the events, as Tidy listed them
}

func newStore(ctx context.Context, c *Center, log openlog.Logger) *Store {
	s := &Store{client: c.Client(), server: c.Server(), lessor: c.lessor, calls: c.calls, gate: c.gate, needed: &c.needed, log: log, pace: usualPace,
		lineage: newLineage(), behind: make(chan struct{}, 1), replicas: newReplicas(), mends: newMends(), least: minLease(embeddedElectionMs)}
	if s.server == nil {
		s.least, s.replicas.unlisted = leastLease(ctx, s.client), true
		free := make(spares, mostSpares)
		s.renewals = newRenewer(s.client.ActiveConnection(), free)
		if len(s.client.Endpoints()) > 1 {
			s.spares = free
		}
	}
	return s
}

// Close ends what the store started.
func (s *Store) Close() {
	if s.mends != nil {
		s.mends.close()
	}
	if s.renewals != nil {
		s.renewals.close()
	}
}

var _ heartbeat.Store = (*Store)(nil)

// NewID chooses the id of a new instance.
func (s *Store) NewID(ctx context.Context, owner string, info mp1.ServiceInfo) (heartbeat.ID, error) {
	service, err := s.serviceFor(ctx, owner, info)
	if err != nil {
		return "", err
	}
	return newID(service)
}

// Place says where the instance stands once it is described by info; "" is where
// its id says.
func (s *Store) Place(ctx context.Context, id heartbeat.ID, owner string, info mp1.ServiceInfo) (string, error) {
	service, err := s.serviceFor(ctx, owner, info)
	if home, _, _ := split(id); service == home {
		service = ""
	}
	return service, err
}

// Read implements heartbeat.Store. Of an instance that another replica has just
// moved it takes a second look, where the record says.
func (s *Store) Read(ctx context.Context, id heartbeat.ID) (out heartbeat.Snapshot, err error) {
	if _, _, ok := split(id); !ok {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	place := s.moved.place(id)
	for range mostLooks {
		out, err = s.readAt(ctx, id, place)
		if err != nil || !out.Exists() {
			return out, err
		}
		s.moved.note(&out.Record, out.At)
		if out.Record.Place == place {
			return out, nil
		}
		place = out.Record.Place
	}
	return heartbeat.Snapshot{}, errMoving
}

// mostLooks is how often an instance is looked for where its record says.
const mostLooks = 3

func (s *Store) readAt(ctx context.Context, id heartbeat.ID, place string) (out heartbeat.Snapshot, err error) {
	res, _, err := hedged(ctx, s.spares, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).Then(clientv3.OpGet(recordKey(id)), clientv3.OpGet(seatOf(id, place).key())).Commit()
	})
	if err != nil {
		return out, translate(err)
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
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	from := seatOf(t.Record.ID, t.From)
	empties := t.ProjectionOp == heartbeat.Erase && t.Kind != heartbeat.Expire || leaves(t)
	if empties {
		theInstances.expectEnd(from.key())
		defer theInstances.over(from.key())
	}
	var res *clientv3.TxnResponse
	var again bool
	var err error
	if establishes(t) {
		res, again, err = s.establish(ctx, t)
	} else {
		res, again, err = s.transact(ctx, t, nil)
	}
	if failpoint.On && err == nil && res.Succeeded {
		err = failpoint.Hit(t.Kind.String() + ".after-txn") // an error: the outcome is unknown
	}
	switch {
	case err != nil:
		return 0, translate(err)
	case !res.Succeeded && again:
		return 0, errUnsure
	case !res.Succeeded:
		return 0, heartbeat.ErrConflict
	}
	at := heartbeat.Revision(res.Header.Revision)
	if t.RecordOp == heartbeat.Put {
		s.moved.note(&t.Record, at)
	}
	if empties && theGuard.standing(from.service) <= 1 {
		theInstances.untilEnded(ctx, from.key())
		s.dropService(ctx, from.service, 1) // the tidying finds it again if this fails
	}
	return at, nil
}

// Head implements heartbeat.Store.
func (s *Store) Head(ctx context.Context) (heartbeat.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	before := s.lineage.now()
	read, _, err := hedged(ctx, s.spares, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, clusterKey, clientv3.WithCountOnly())
	})
	if err != nil {
		return 0, translate(err)
	}
	s.term.seen(read.Header.RaftTerm, time.Now())
	if !s.lineage.answered(before, read.Header) {
		return 0, errRestored
	}
	if read.Header.Revision > s.shown.Load() {
		select {
		case s.behind <- struct{}{}:
		default:
		}
	}
	return heartbeat.Revision(read.Header.Revision), nil
}

// Pulse implements heartbeat.Store. Whether a cluster is full is asked of the
// member that answers: a list of the alarms would be a raft write each time.
func (s *Store) Pulse(ctx context.Context) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := s.Head(ctx); err != nil && !errors.Is(err, errRestored) {
		return false, err
	}
	if s.server != nil {
		return inTime(ctx, s.calls, func(context.Context) (full bool, err error) {
			for _, a := range s.server.Alarms() {
				full = full || a.Alarm == etcdserverpb.AlarmType_NOSPACE
			}
			return full, nil
		})
	}
	res, _, err := hedged(ctx, s.spares, func(ctx context.Context) (*etcdserverpb.StatusResponse, error) {
		return etcdserverpb.NewMaintenanceClient(s.client.ActiveConnection()).Status(ctx, &etcdserverpb.StatusRequest{})
	})
	if err != nil {
		return false, translate(err)
	}
	for _, e := range res.Errors { // an alarm in protobuf's text form, or "etcdserver: no leader"
		full = full || strings.Contains(e, etcdserverpb.AlarmType_NOSPACE.String())
	}
	return full, nil
}

// clusterValue is what clusterKey holds.
func clusterValue() string { return `{"schema":` + strconv.Itoa(schemaVersion) + `}` }

// CheckSchema refuses a store that a newer program wrote. It reads before it
// writes: a full store refuses the whole transaction.
func (s *Store) CheckSchema(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	want := []byte(clusterValue())
	got, err := s.client.Get(ctx, clusterKey)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", clusterKey, plainly(err))
	}
	kvs := got.Kvs
	if len(kvs) == 0 {
		res, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Version(clusterKey), "=", 0)).
			Then(clientv3.OpPut(clusterKey, string(want))).Else(clientv3.OpGet(clusterKey)).Commit()
		switch {
		case err != nil:
			return fmt.Errorf("cannot write %s: %w", clusterKey, plainly(err))
		case res.Succeeded:
			return nil
		}
		kvs = res.Responses[0].GetResponseRange().Kvs
	}
	if len(kvs) == 1 && bytes.Equal(kvs[0].Value, want) {
		return nil
	}
	return fmt.Errorf("the store was written by another version of this program: %s does not hold schema %d", clusterKey, schemaVersion)
}

// translate maps etcd's errors to the engine's; whatever else happened stays what
// it is and counts as "no answer".
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, lease.ErrLeaseNotFound), errors.Is(err, rpctypes.ErrLeaseNotFound):
		return heartbeat.ErrLeaseGone
	case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, etcderrors.ErrNoSpace):
		return heartbeat.ErrFull
	default:
		return err
	}
}

var (
	errStalled  = errors.New("the watch fell silent")
	errClosed   = errors.New("the watch was closed")
	errMoving   = errors.New("the instance is moved again and again")
	errRestored = errors.New("the store went back in time: it was restored, or is another one")
)
