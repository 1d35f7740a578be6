package center

import (
	"context"
	"errors"
	"sync"

	"github.com/apache/servicecomb-service-center/datasource"
	"github.com/apache/servicecomb-service-center/datasource/etcd/cache"
	scevent "github.com/apache/servicecomb-service-center/datasource/etcd/event"
	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	etcdutil "github.com/apache/servicecomb-service-center/datasource/etcd/util"
	sccache "github.com/apache/servicecomb-service-center/pkg/cache"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/go-chassis/cari/discovery"
)

// service-center remembers every find: a tree below each provider's key with a node for
// each version rule, list of tags, consumer and revision that anybody asked with. It
// bounds the number of providers and nothing below them, and forgets after minutes: twelve
// batch finds of 25,000 version rules held 1.2 GB. Its trees are replaced by ones whose
// filters count what they make, and which are emptied when that is too much. A find that
// is not remembered is only made again, from caches of the store in memory.

// The bounds of what is remembered, in estimated bytes.
const (
	maxFinds        = 32 << 20
	maxDependencies = 4 << 20
	nodeCost        = 1000 // a node with its maps, measured
	instanceCost    = 16   // a pointer in a slice that grew
)

// findBudgets are of the two trees, for the metrics.
var findBudgets = struct{ finds, dependencies *budget }{newBudget(maxFinds), newBudget(maxDependencies)}

// boundFinds replaces the trees. It must be called before they are used.
func boundFinds() {
	configure := func() *sccache.Config { return sccache.Configure().WithMaxSize(cache.DefaultCacheMaxSize) }
	finds := sccache.NewTree(configure().WithTTL(cache.FindInstances.Config.TTL()))
	findBudgets.finds.bind(finds, &cache.ServiceFilter{}, &cache.VersionRuleFilter{}, &cache.TagsFilter{}, &cache.AccessibleFilter{}, &cache.InstancesFilter{}, &cache.ConsistencyFilter{})
	cache.FindInstances.Tree = finds
	dependencies := sccache.NewTree(configure().WithTTL(cache.DependencyRule.Config.TTL()))
	findBudgets.dependencies.bind(dependencies, &cache.ServiceFilter{}, &cache.ConsumerFilter{})
	cache.DependencyRule.Tree = dependencies
}

// budget is how much a tree may hold. What leaves the tree by itself is not given back,
// so that it is emptied rather too early than too late.
type budget struct {
	most int64
	tree *sccache.Tree

	mu    sync.Mutex
	spent int64
	roots map[string]*discovery.MicroServiceKey // by their names in the tree
}

func newBudget(most int64) *budget {
	return &budget{most: most, roots: map[string]*discovery.MicroServiceKey{}}
}

func (b *budget) bind(t *sccache.Tree, filters ...sccache.Filter) {
	b.tree = t
	for _, f := range filters {
		t.AddFilter(counted{f, b})
	}
}

var errUnanswered = errors.New("the store did not answer")

// counted is a filter whose nodes cost.
type counted struct {
	sccache.Filter
	*budget
}

// Init implements sccache.Filter.
func (c counted) Init(ctx context.Context, parent *sccache.Node) (*sccache.Node, error) {
	ctx, reads := withReads(ctx)
	node, err := c.Filter.Init(ctx, parent)
	if node == nil || err != nil {
		return node, err
	}
	if reads.failed.Load() { // the filter left something out, and would until the tree forgets it
		return nil, errUnanswered
	}
	name := c.Name(ctx, parent)
	cost := int64(nodeCost + 2*len(name)) // its key, and what it is called
	if parent != nil {
		cost += int64(len(parent.Name))
	}
	if item, ok := node.Cache.Get(cache.Find).(*cache.VersionRuleCacheItem); ok && item != nil {
		cost += instanceCost * int64(len(item.Instances)+len(item.ServiceIds))
	}
	provider, _ := ctx.Value(cache.CtxFindProvider).(*discovery.MicroServiceKey)
	if parent != nil {
		provider = nil
	}
	c.spend(cost, name, provider)
	return node, nil
}

// spend counts a node, the root of provider's tree if that is not nil, and empties the
// tree if it is one too many.
func (b *budget) spend(cost int64, name string, provider *discovery.MicroServiceKey) {
	b.mu.Lock()
	if provider != nil {
		key := *provider
		b.roots[name] = &key
	}
	b.spent += cost
	full := b.spent > b.most
	b.mu.Unlock()
	if full {
		b.empty()
	}
}

// forgetFinds empties both trees.
func forgetFinds() {
	findBudgets.finds.empty()
	findBudgets.dependencies.empty()
}

// empty forgets all finds.
func (b *budget) empty() {
	b.mu.Lock()
	old := b.roots
	b.spent, b.roots = 0, map[string]*discovery.MicroServiceKey{}
	b.mu.Unlock()
	for _, key := range old {
		b.tree.Remove(context.WithValue(context.Background(), cache.CtxFindProvider, key))
	}
}

// estimate is how much the tree is thought to hold.
func (b *budget) estimate() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// onRule takes the place of service-center's handler, which tells the consumers of a
// provider of its rules as if these were instances, and panics: what had been found for
// them is forgotten, and that is all that comes of it there, too.
func onRule(e sd.KvEvent) {
	if e.Type == discovery.EVT_INIT {
		return
	}
	id, _, tenant := path.GetInfoFromRuleKV(e.KV.Key)
	ctx := util.WithGlobal(util.WithCacheOnly(context.Background()))
	provider, err := etcdutil.GetService(ctx, tenant, id)
	switch {
	case err == nil:
		cache.FindInstances.Remove(discovery.MicroServiceToKey(tenant, provider))
	case !errors.Is(err, datasource.ErrNoData): // the store did not answer
		forgetFinds()
	}
}

// onTag takes the place of service-center's handler: where a consumer has providers, that
// tells it that its own tags changed as if these were an instance, and panics, in a task of
// an executor that races with itself. It is told so of an empty one: clients ask anew then,
// or find nothing to take away.
func onTag(e sd.KvEvent) {
	if e.Type == discovery.EVT_INIT {
		return
	}
	id, tenant := path.GetInfoFromTagKV(e.KV.Key)
	ctx := util.WithGlobal(util.WithCacheOnly(context.Background()))
	consumer, err := etcdutil.GetService(ctx, tenant, id)
	if err != nil {
		if !errors.Is(err, datasource.ErrNoData) { // the store did not answer
			forgetFinds()
		}
		return
	}
	cache.FindInstances.Remove(discovery.MicroServiceToKey(tenant, consumer))
	providers, err := etcdutil.GetProviderIds(ctx, tenant, consumer)
	if err != nil {
		return
	}
	changed := *e.KV
	changed.Value = &discovery.MicroServiceInstance{}
	e.KV, e.Type = &changed, discovery.EVT_EXPIRE
	for _, id := range providers {
		if provider, err := etcdutil.GetService(ctx, tenant, id); err == nil {
			scevent.PublishInstanceEvent(e, tenant, discovery.MicroServiceToKey(tenant, provider), []string{consumer.ServiceId})
		}
	}
}
