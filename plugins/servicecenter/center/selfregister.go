package center

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/apache/servicecomb-service-center/server/core"
	"github.com/go-chassis/cari/discovery"
	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// ServiceComb's clients find the replicas of service-center in its own registry: the
// microservice SERVICECENTER has an instance for each, registry/health lists them, and is
// a 400 without them. service-center's own registration of itself is not used, for its
// heartbeats are answered with success while the store is away, and anybody may write to it.
//
// Nothing of it is a record: Mp1 does not see it. The instances have names that no
// projection has, so that neither list nor watch takes one for another client's.
const (
	selfTTL       = 15 // seconds that a replica stays there which was killed
	selfEvery     = selfTTL * time.Second / 3
	maxSelfRounds = 8
	selfPrefix    = "mep-" // of instanceIds; behind it stands the replica's name

	selfBatch     = 60          // deletions in one transaction
	selfLeaveTime = time.Second // for what a replica writes while it stops
	maxHostName   = 64          // of service-center
)

var (
	selfKey   = discovery.MicroServiceKey{Tenant: keys.Tenant, AppId: core.RegistryAppID, ServiceName: core.RegistryServiceName, Version: core.Service.Version}
	selfIndex = path.GenerateServiceIndexKey(&selfKey)
	// where all its versions are named, and its aliases
	selfNames   = strings.TrimSuffix(selfIndex, selfKey.Version)
	selfAliases = keys.AliasPrefix + strings.TrimPrefix(selfNames, keys.IndexPrefix)
)

// SelfServiceID is the serviceId of service-center's own microservice, the same on every
// replica.
var SelfServiceID = keys.ServiceIDAt(selfIndex)

// isSelf says whether a name that somebody writes at, as an index key has it, is that of
// service-center: of any version and environment, for a client that looks for
// service-center by a version rule takes whatever is there.
func isSelf(name []string) bool {
	return len(name) == 4 && name[1] == core.RegistryAppID && name[2] == core.RegistryServiceName
}

// Registration is this replica's registration.
type Registration struct {
	client  *etcd.Client
	log     openlog.Logger
	replica string // its name, as long on every replica
	// where clients reach it, as ServiceComb writes it: its URL, and its host:port
	endpoint, hostName string

	there  atomic.Bool // as of the last look
	mu     sync.Mutex  // held while it writes
	lease  heartbeat.LeaseID
	warned bool // that it cannot be written
}

// NewRegistration is the registration of the replica with this name, which clients reach at
// an AdvertisedEndpoint. Ensure writes it.
func NewRegistration(c *etcd.Client, log openlog.Logger, replica, endpoint string) *Registration {
	host, _, _ := strings.Cut(strings.TrimPrefix(endpoint, restScheme), "?")
	return &Registration{client: c, log: log, replica: replica, endpoint: endpoint, hostName: host[:min(len(host), maxHostName)]}
}

// Collect adds what an operator watches.
func (e *Registration) Collect(cs *plugins.Collectors) {
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_servicecomb_registered",
		Help: "1 while this replica is registered as service-center, so that registry/health shows it to ServiceComb's clients."}, func() float64 {
		if e.there.Load() {
			return 1
		}
		return 0
	}))
}

func (e *Registration) instanceID() string { return selfPrefix + e.replica }

func (e *Registration) keys() (instance, lease string) {
	id := e.instanceID()
	return path.GenerateInstanceKey(keys.Tenant, SelfServiceID, id), path.GenerateInstanceLeaseKey(keys.Tenant, SelfServiceID, id)
}

// selfService is the microservice; registered says since when, in seconds.
func selfService(registered string) string {
	b, _ := json.Marshal(&discovery.MicroService{ // plain values
		ServiceId: SelfServiceID, AppId: selfKey.AppId, ServiceName: selfKey.ServiceName, Version: selfKey.Version,
		Description: "service-center", Level: "BACK", Status: discovery.MS_UP, RegisterBy: "PLATFORM", Timestamp: registered,
		Properties: map[string]string{discovery.PropAllowCrossApp: "true"},
		Schemas:    []string{}, Paths: []*discovery.ServicePath{},
	})
	return string(b)
}

func (e *Registration) value(since string) string {
	b, _ := json.Marshal(&discovery.MicroServiceInstance{
		InstanceId: e.instanceID(), ServiceId: SelfServiceID, Endpoints: []string{e.endpoint}, HostName: e.hostName,
		Status: discovery.MSI_UP, Version: selfKey.Version, Timestamp: since, ModTimestamp: since,
		HealthCheck: &discovery.HealthCheck{Mode: discovery.CHECK_BY_HEARTBEAT, Interval: selfTTL / 3, Times: 2},
	})
	return string(b)
}

// Run keeps the registration until ctx ends.
func (e *Registration) Run(ctx context.Context) {
	t := time.NewTicker(selfEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			e.Leave(ctx)
			return
		case <-t.C:
			e.Ensure(ctx)
		}
	}
}

// Ensure renews the registration's lease, and puts right what is not there as it should be:
// somebody else may write to the store, or bring it back from a backup.
func (e *Registration) Ensure(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	err := errUnsettled
	for range maxSelfRounds {
		var done bool
		if done, err = e.settle(ctx); done || err != nil {
			break
		}
		err = errUnsettled
	}
	if err != nil && !e.warned {
		e.log.Warn("this replica cannot be registered as service-center for ServiceComb's clients; it is tried again", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
	}
	e.warned = err != nil
	e.there.Store(err == nil)
}

var errUnsettled = errors.New("somebody else changes it as often as it is put right")

// settle reads the registration and writes one thing that is missing; done is false if it
// has to be read again.
func (e *Registration) settle(ctx context.Context) (done bool, err error) {
	instance, leaseKey := e.keys()
	res, err := e.client.Txn(ctx).Then(clientv3.OpGet(keys.MarkPrefix+SelfServiceID), clientv3.OpGet(keys.ServicePrefix+SelfServiceID), clientv3.OpGet(selfIndex),
		clientv3.OpGet(instance), clientv3.OpGet(leaseKey), clientv3.OpGet(keys.InstancePrefix+SelfServiceID+path.SPLIT, clientv3.WithPrefix(), clientv3.WithKeysOnly()),
		clientv3.OpGet(selfNames, clientv3.WithPrefix(), clientv3.WithKeysOnly()), clientv3.OpGet(selfAliases, clientv3.WithPrefix(), clientv3.WithKeysOnly())).Commit()
	if err != nil {
		return false, etcd.Translate(err)
	}
	all := func(i int) []*mvccpb.KeyValue { return res.Responses[i].GetResponseRange().Kvs }
	one := func(i int) *mvccpb.KeyValue {
		if kvs := all(i); len(kvs) == 1 {
			return kvs[0]
		}
		return nil
	}
	mark, file, entry := one(0), one(1), one(2)
	if !holds(mark, selfIndex) || !holds(entry, SelfServiceID) || file == nil || string(file.Value) != selfService(timestampOf(file)) {
		return false, e.establish(ctx, mark, file, entry)
	}
	if strays := append(e.strays(all(5)), namesakes(all(6), all(7))...); len(strays) > 0 {
		_, err = e.client.Txn(ctx).Then(strays[:min(len(strays), selfBatch)]...).Commit()
		return false, etcd.Translate(err)
	}
	own, held := one(3), one(4)
	if e.lease != 0 && own != nil && own.Lease == int64(e.lease) && string(own.Value) == e.value(timestampOf(own)) &&
		held != nil && held.Lease == int64(e.lease) && holds(held, leaseText(e.lease)) {
		_, err = e.client.RenewLease(ctx, e.lease)
		if !errors.Is(err, heartbeat.ErrLeaseGone) {
			return err == nil, err
		}
	}
	return false, e.appear(ctx, instance, leaseKey, mark)
}

func holds(kv *mvccpb.KeyValue, value string) bool { return kv != nil && string(kv.Value) == value }

func nowSeconds() string { return strconv.FormatInt(time.Now().Unix(), 10) }

func leaseText(l heartbeat.LeaseID) string { return strconv.FormatInt(int64(l), 10) }

// timestampOf is since when what is stored says to be there.
func timestampOf(kv *mvccpb.KeyValue) string {
	var is struct {
		Timestamp string `json:"timestamp"`
	}
	if json.Unmarshal(kv.Value, &is) != nil {
		return ""
	}
	return is.Timestamp
}

// establish puts the microservice, with the mark that keeps ServiceComb's clients from
// writing to it, and erases what stood at its name or below its id before that.
func (e *Registration) establish(ctx context.Context, mark, file, entry *mvccpb.KeyValue) error {
	cmps := []clientv3.Cmp{etcd.Unchanged(keys.MarkPrefix+SelfServiceID, mark), etcd.Unchanged(keys.ServicePrefix+SelfServiceID, file), etcd.Unchanged(selfIndex, entry)}
	ops := []clientv3.Op{clientv3.OpPut(keys.ServicePrefix+SelfServiceID, selfService(nowSeconds())), clientv3.OpPut(selfIndex, SelfServiceID)}
	if !holds(mark, selfIndex) {
		ops = append(append(ops, clientv3.OpPut(keys.MarkPrefix+SelfServiceID, selfIndex)), keys.DeleteBelow(SelfServiceID, selfIndex)...)
		for _, prefix := range []string{keys.InstancePrefix, keys.LeasePrefix} {
			ops = append(ops, clientv3.OpDelete(prefix+SelfServiceID+path.SPLIT, clientv3.WithPrefix()))
		}
	}
	_, err := e.client.Txn(ctx).If(cmps...).Then(ops...).Commit()
	return etcd.Translate(err) // another replica may have been first: the next look shows it
}

// strays erases instances that are none of replicas. On a store that nobody shares the
// others are of processes that were killed.
func (e *Registration) strays(kvs []*mvccpb.KeyValue) (ops []clientv3.Op) {
	for _, kv := range kvs {
		id := strings.TrimPrefix(string(kv.Key), keys.InstancePrefix+SelfServiceID+path.SPLIT)
		name, ok := strings.CutPrefix(id, selfPrefix)
		if ok && (name == e.replica || !e.client.Embedded() && len(name) == len(e.replica) && kv.Lease != 0) {
			continue
		}
		ops = append(ops, clientv3.OpDelete(string(kv.Key)), clientv3.OpDelete(keys.LeasePrefix+SelfServiceID+path.SPLIT+id))
	}
	return ops
}

// namesakes erases names and aliases that lead clients elsewhere who look for
// service-center: the previous release let everybody have them.
func namesakes(lists ...[]*mvccpb.KeyValue) (ops []clientv3.Op) {
	for _, kv := range slices.Concat(lists...) {
		if string(kv.Key) != selfIndex {
			ops = append(ops, clientv3.OpDelete(string(kv.Key)))
		}
	}
	return ops
}

// appear puts the instance, on a new lease.
func (e *Registration) appear(ctx context.Context, instance, leaseKey string, mark *mvccpb.KeyValue) error {
	l, err := e.client.Grant(ctx, int64(max(selfTTL, e.client.MinLease())))
	if err != nil {
		return etcd.Translate(err)
	}
	old, on := e.lease, clientv3.WithLease(l.ID)
	e.lease = heartbeat.LeaseID(l.ID) // whatever becomes of it: perhaps it was put
	_, err = e.client.Txn(ctx).If(etcd.Unchanged(keys.MarkPrefix+SelfServiceID, mark)).Then(
		clientv3.OpPut(instance, e.value(nowSeconds()), on), clientv3.OpPut(leaseKey, leaseText(e.lease), on)).Commit()
	if old != 0 {
		_, _ = e.client.Revoke(ctx, clientv3.LeaseID(old)) // else it runs out
	}
	return etcd.Translate(err)
}

// Leave takes the registration away, so that clients turn elsewhere at once; else its
// lease runs out.
func (e *Registration) Leave(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), selfLeaveTime)
	defer cancel()
	_, _ = e.client.Revoke(ctx, clientv3.LeaseID(e.lease))
	e.lease = 0
	e.there.Store(false)
}
