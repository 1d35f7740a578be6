package center

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	sdetcd "github.com/apache/servicecomb-service-center/datasource/etcd/sd/etcd"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// service-center keeps copies in memory of all that it has in the store, lists them at each
// start, and again every two minutes. Of microservices, their index, instances and leases Mp1
// registers as many as there are services: their copies were a third of the memory. An
// embedded store is in this process, and answers from memory in some microseconds: it is asked
// in their place. Only what is told to others is watched.

// repository makes what service-center takes for its caches.
type repository struct {
	db       *etcd.Client
	registry *registry
	changes  atomic.Uint64 // that the watches of all types have shown
}

// discoveryKind names it in service-center's configuration.
const discoveryKind = "mep"

// New implements sd.AdaptorRepository.
func (p *repository) New(t sd.Type, cfg *sd.Config) sd.Adaptor {
	large := t == kv.SERVICE || t == kv.ServiceIndex || t == kv.INSTANCE || t == kv.LEASE
	if !large || !p.db.Embedded() {
		return sdetcd.NewEtcdAdaptor(t.String(), cfg)
	}
	d := &direct{name: t.String(), cfg: cfg, read: p.db.GetHere, watch: p.registry.Watch, store: sdetcd.NewEtcdIndexer(cfg.Key, cfg.Parser),
		initial: t == kv.SERVICE, again: t == kv.INSTANCE, answers: answers{changes: &p.changes}, ready: make(chan struct{})}
	if t == kv.LEASE {
		close(d.ready) // of leases nobody is told
		return d
	}
	d.watched = true
	return d
}

// direct answers from the store what service-center asks its caches, for one type of keys.
type direct struct {
	name    string
	cfg     *sd.Config
	read    func(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error)
	watch   func(context.Context, ...client.PluginOpOption) error
	store   *sdetcd.Indexer // reads that are to be up to date, or as of a revision
	watched bool
	initial bool // a start tells of one key of each tenant
	again   bool // what may have been written while no watch ran is told of again
	recent  recentKeys
	answers answers

	once  sync.Once
	ready chan struct{}
	end   context.CancelFunc
	ended chan struct{}
}

var _ sd.Adaptor = (*direct)(nil)

// Creditable implements sd.Indexer.
func (d *direct) Creditable() bool { return true }

// Cache implements sd.Cacher.
func (d *direct) Cache() sd.CacheReader { return directCache{d} }

// Ready implements sd.Runnable.
func (d *direct) Ready() <-chan struct{} { return d.ready }

// Search implements sd.Indexer.
func (d *direct) Search(ctx context.Context, opts ...client.PluginOpOption) (*sd.Response, error) {
	op := client.OpGet(opts...)
	if op.NoCache() {
		return d.store.Search(ctx, opts...)
	}
	if err := d.store.CheckPrefix(string(op.Key)); err != nil {
		return nil, fmt.Errorf("%w, cache is '%s'", err, d.name)
	}
	if !op.Prefix {
		if known := d.recent.get(string(op.Key)); known != nil {
			out := &sd.Response{Count: 1}
			if !op.CountOnly {
				out.Kvs = []*sd.KeyValue{known}
			}
			return out, nil
		}
	}
	if !d.watched { // nobody would say that an answer is not true any more
		return d.ask(ctx, op)
	}
	q := question{string(op.Key), op.Prefix, op.CountOnly, op.KeyOnly, op.SortOrder, op.OrderBy}
	return d.answers.get(q, op.CacheOnly(), func() (*sd.Response, error) { return d.ask(ctx, op) })
}

// failedReads is how many reads of the store were not answered that no request made: service-center
// tells nobody of an event for which it could not read all.
var failedReads atomic.Uint64

// ask asks the store.
func (d *direct) ask(ctx context.Context, op client.PluginOp) (*sd.Response, error) {
	res, err := d.get(ctx, string(op.Key), getOptions(op)...)
	if err != nil {
		failedReads.Add(1)
		unanswered(ctx)
		return nil, err
	}
	out := &sd.Response{Count: res.Count}
	if !op.CountOnly {
		out.Kvs = d.parse(res.Kvs, !op.KeyOnly)
	}
	return out, nil
}

// get reads what this process has of the store, without a round of raft.
func (d *direct) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return d.read(ctx, key, opts...)
}

// parse leaves out what cannot be read, as service-center's caches do.
func (d *direct) parse(all []*mvccpb.KeyValue, values bool) []*sd.KeyValue {
	out := make([]*sd.KeyValue, 0, len(all))
	parser := d.cfg.Parser
	if !values {
		parser = nil
	}
	for _, one := range all {
		to := sd.NewKeyValue()
		if sdetcd.FromEtcdKeyValue(to, one, parser) == nil {
			out = append(out, to)
		}
	}
	return out
}

// directCache is the store in the form of a cache.
type directCache struct{ *direct }

// Name implements sd.CacheReader.
func (c directCache) Name() string { return c.name }

// Size implements sd.CacheReader.
func (c directCache) Size() int { return 0 }

// Get implements sd.CacheReader.
func (c directCache) Get(key string) *sd.KeyValue {
	res, err := c.Search(context.Background(), client.WithStrKey(key), client.WithCacheOnly())
	if err != nil {
		failedCacheReads.Add(1)
		return nil
	}
	if len(res.Kvs) == 0 {
		return nil
	}
	return res.Kvs[0]
}

// GetAll implements sd.CacheReader.
func (c directCache) GetAll(to *[]*sd.KeyValue) int { return c.GetPrefix(c.cfg.Key, to) }

// GetPrefix implements sd.CacheReader.
func (c directCache) GetPrefix(prefix string, to *[]*sd.KeyValue) int {
	opts := []client.PluginOpOption{client.WithStrKey(prefix), client.WithPrefix(), client.WithCacheOnly()}
	if to == nil {
		opts = append(opts, client.WithCountOnly())
	}
	res, err := c.Search(context.Background(), opts...)
	if err != nil {
		failedCacheReads.Add(1)
		return 0
	}
	if to != nil {
		*to = append(*to, res.Kvs...)
	}
	return int(res.Count)
}

// pageOfAll is how many keys are read at once of all that there are.
const pageOfAll = 1000

// ForEach implements sd.CacheReader.
func (c directCache) ForEach(f func(string, *sd.KeyValue) bool) {
	key, end := c.cfg.Key, clientv3.GetPrefixRangeEnd(c.cfg.Key)
	for {
		res, err := c.get(context.Background(), key, clientv3.WithRange(end), clientv3.WithLimit(pageOfAll))
		if err != nil {
			failedCacheReads.Add(1)
			return
		}
		if len(res.Kvs) == 0 {
			return
		}
		for _, one := range c.parse(res.Kvs, true) {
			if !f(string(one.Key), one) {
				return
			}
		}
		key = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"
	}
}

// tenantOf is the domain and project of a key behind the root of its type, with the slash behind them.
func tenantOf(key, root string) (string, bool) {
	rest := strings.TrimPrefix(key, root)
	domain, rest, ok := strings.Cut(rest, "/")
	project, _, more := strings.Cut(rest, "/")
	return root + domain + "/" + project + "/", ok && more
}
