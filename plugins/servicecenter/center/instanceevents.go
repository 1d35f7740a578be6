package center

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	etcdutil "github.com/apache/servicecomb-service-center/datasource/etcd/util"
	sclog "github.com/apache/servicecomb-service-center/pkg/log"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/go-chassis/cari/discovery"
)

// service-center drops an instance's event whose microservice it does not know, and tells
// nobody of it whose version it does not know. Both are in caches of their own, each with
// a watch of its own, and a registration writes all three in one transaction: whose watch
// came first was chance, and a consumer was seldom told that a service is there again.

const (
	maxUnknown   = 2 * time.Second        // that an event waits for its microservice
	unknownPause = 10 * time.Millisecond  // between two looks
	maxWaiting   = 4096                   // events that wait; the next waits with its cache's watch
	maxEndWait   = 250 * time.Millisecond // that the end of a microservice waits for that of its instance
)

// InstanceEvents hands the events of instances on, those of one instance in their order:
// where its microservice is not known yet, once it is, or after maxUnknown.
type InstanceEvents struct {
	next  func(sd.KvEvent)
	known func(key []byte) bool // says whether the microservice of an instance is known

	mu      sync.Mutex
	stopped bool                     // nobody is told any more
	waiting []waitingEvents          // in the order in which they came
	count   int                      // of all events in held
	ends    map[string]chan struct{} // of instances that are being erased, closed once that is told
}

// theInstances is in front of service-center's handler of instances.
var theInstances = &InstanceEvents{next: func(e sd.KvEvent) { sd.EventProxy(kv.INSTANCE).OnEvent(e) }, known: serviceKnown}

// waitingEvents are those of one instance.
type waitingEvents struct {
	key    string
	since  time.Time
	events []sd.KvEvent
}

// OnEvent takes an event, from one goroutine at a time.
func (o *InstanceEvents) OnEvent(e sd.KvEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.count >= maxWaiting { // not longer than maxUnknown
		o.mu.Unlock()
		time.Sleep(unknownPause)
		o.mu.Lock()
	}
	key := string(e.KV.Key)
	i := slices.IndexFunc(o.waiting, func(h waitingEvents) bool { return h.key == key })
	switch {
	case i >= 0:
		o.waiting[i].events = append(o.waiting[i].events, e)
	case e.Type == discovery.EVT_INIT || e.Type == discovery.EVT_DELETE || o.known(e.KV.Key):
		o.deliver(e)
		return
	default:
		o.waiting = append(o.waiting, waitingEvents{key, time.Now(), []sd.KvEvent{e}})
		if len(o.waiting) == 1 {
			go o.release()
		}
	}
	o.count++
}

// release delivers what is due, until nothing waits.
func (o *InstanceEvents) release() {
	for {
		time.Sleep(unknownPause)
		if o.releaseDue() == 0 {
			return
		}
	}
}

// releaseDue delivers the events of instances whose microservice is known by now, or that
// have waited long enough, and returns how many instances are left.
func (o *InstanceEvents) releaseDue() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = slices.DeleteFunc(o.waiting, func(h waitingEvents) bool {
		if time.Since(h.since) < maxUnknown && !o.known([]byte(h.key)) {
			return false
		}
		for _, e := range h.events {
			o.deliver(e)
		}
		o.count -= len(h.events)
		return true
	})
	return len(o.waiting)
}

// deliver hands an event on as service-center's caches do: a panic is logged, and no more.
func (o *InstanceEvents) deliver(e sd.KvEvent) {
	defer sclog.Recover()
	if e.Type == discovery.EVT_DELETE {
		defer o.ended(string(e.KV.Key))
	}
	if !o.stopped {
		o.next(e)
	}
}

// stop has nothing handed on any more: service-center would say of each that it could tell
// nobody of it.
func (o *InstanceEvents) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
}

// serviceKnown looks into what service-center's handler of instances asks: microservices,
// and which versions there are.
func serviceKnown(key []byte) bool {
	id, _, tenant := path.GetInfoFromInstKV(key)
	ctx := util.WithGlobal(util.WithCacheOnly(context.Background()))
	service, err := etcdutil.GetService(ctx, tenant, id)
	if err != nil {
		return false
	}
	indexed, err := etcdutil.GetServiceID(ctx, discovery.MicroServiceToKey(tenant, service))
	return err == nil && indexed != ""
}

// ExpectEnd is called before an instance is erased: who calls AwaitEnd then waits for
// its event, if service-center knows the instance. EndOver must follow.
func (o *InstanceEvents) ExpectEnd(key string) {
	if !started.Load() || kv.Store().Instance().Cache().Get(key) == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ends == nil {
		o.ends = map[string]chan struct{}{}
	}
	if o.ends[key] == nil {
		o.ends[key] = make(chan struct{})
	}
}

// AwaitEnd waits until service-center has told here of an instance's end, not longer
// than maxEndWait: who erases the microservice earlier takes away what the handler looks up.
func (o *InstanceEvents) AwaitEnd(ctx context.Context, key string) {
	o.mu.Lock()
	ended := o.ends[key]
	o.mu.Unlock()
	if ended == nil {
		return
	}
	late := time.NewTimer(maxEndWait)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	case <-ctx.Done():
	}
}

// EndOver lets go who waits for an instance's end.
func (o *InstanceEvents) EndOver(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended(key)
}

func (o *InstanceEvents) ended(key string) {
	if c := o.ends[key]; c != nil {
		close(c)
		delete(o.ends, key)
	}
}
