package center

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
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
	maxHung      = time.Minute            // that an event waits for a store that does not answer
	hungPause    = 200 * time.Millisecond // between two tries
	maxWaiting   = 4096                   // events that wait; the next waits with its cache's watch
	maxEndWait   = 250 * time.Millisecond // that the end of a microservice waits for that of its instance
)

// InstanceEvents hands the events of instances on, those of one instance in their order:
// where its microservice is not known yet, once it is, or after maxUnknown. service-center drops
// an event too when it cannot read what it tells it to whom by: that one is handed on again, until
// what it reads is answered, or maxHung is over.
type InstanceEvents struct {
	next   func(sd.KvEvent)
	known  func(key []byte) bool   // says whether the microservice of an instance is known
	failed func() uint64           // how many reads of the store have had no answer
	lost   func(key string, n int) // is told of events of an instance that are given up

	mu      sync.Mutex      // held while events are told
	stopped bool            // nobody is told any more
	hung    bool            // the last read had no answer
	waiting []waitingEvents // in the order in which they came
	count   int             // of all events in waiting

	ending sync.Mutex               // not held while anything is read
	ends   map[string]chan struct{} // of instances that are being erased, closed once that is told
}

// theInstances is in front of service-center's handler of instances.
var theInstances = &InstanceEvents{next: func(e sd.KvEvent) { sd.EventProxy(kv.INSTANCE).OnEvent(e) }, known: serviceKnown, failed: failedReads.Load, lost: eventsLost}

// waitingEvents are those of one instance.
type waitingEvents struct {
	key    string
	since  time.Time
	events []sd.KvEvent
	tried  bool // the first was handed on, and something was not answered
}

// OnEvent takes an event, from one goroutine at a time.
func (o *InstanceEvents) OnEvent(e sd.KvEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.count >= maxWaiting { // not longer than maxUnknown, or than the store hangs
		o.mu.Unlock()
		time.Sleep(unknownPause)
		o.mu.Lock()
	}
	key, tried := string(e.KV.Key), false
	i := slices.IndexFunc(o.waiting, func(h waitingEvents) bool { return h.key == key })
	if i < 0 && !o.hung && o.ready(e) {
		if o.tell(e) {
			return
		}
		tried = true
	}
	o.count++
	if i >= 0 {
		o.waiting[i].events = append(o.waiting[i].events, e)
		return
	}
	o.waiting = append(o.waiting, waitingEvents{key, time.Now(), []sd.KvEvent{e}, tried})
	if len(o.waiting) == 1 {
		go o.release()
	}
}

// release tells what is due, until nothing waits.
func (o *InstanceEvents) release() {
	pause := unknownPause
	for {
		time.Sleep(pause)
		left, hung := o.releaseDue()
		if left == 0 {
			return
		}
		if pause = unknownPause; hung {
			pause = hungPause
		}
	}
}

// releaseDue tells the events of instances whose microservice is known by now, or that have waited
// long enough. It ends with the first read that is not answered, and returns how many instances
// are left.
func (o *InstanceEvents) releaseDue() (left int, hung bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hung = false
	kept := o.waiting[:0]
	for _, h := range o.waiting {
		if !o.hung {
			o.tellDue(&h)
		}
		if len(h.events) > 0 {
			kept = append(kept, h)
		}
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
	return len(kept), o.hung
}

// tellDue tells the events of one instance, unless they have to wait.
func (o *InstanceEvents) tellDue(h *waitingEvents) {
	if !h.tried && !o.ready(h.events[0]) {
		most := maxUnknown
		if o.hung {
			most = maxHung
		}
		if time.Since(h.since) < most {
			return
		}
	}
	for len(h.events) > 0 {
		if h.tried = true; !o.tell(h.events[0]) {
			if time.Since(h.since) >= maxHung {
				o.giveUp(h)
			}
			return
		}
		h.events = h.events[1:]
		o.count--
	}
}

// giveUp leaves out the events of an instance.
func (o *InstanceEvents) giveUp(h *waitingEvents) {
	o.lost(h.key, len(h.events))
	o.count -= len(h.events)
	h.events = nil
	o.EndOver(h.key)
}

// eventsLost says that nobody is told of some events. What was found may be wrong from then on.
func eventsLost(key string, n int) {
	sclog.Errorf(nil, "the store did not answer for %s: %d events of instance %s are told to nobody", maxHung, n, key)
	forgetFinds()
}

// ready says whether an event need not wait for its microservice.
func (o *InstanceEvents) ready(e sd.KvEvent) (ready bool) {
	if e.Type == discovery.EVT_INIT || e.Type == discovery.EVT_DELETE {
		return true
	}
	return o.answered(func() { ready = o.known(e.KV.Key) }) && ready
}

// tell hands an event on as service-center's caches do: a panic is logged, and no more. It returns
// false if something that was read for it was not answered.
func (o *InstanceEvents) tell(e sd.KvEvent) bool {
	if !o.stopped && !o.answered(func() {
		defer sclog.Recover()
		o.next(e)
	}) {
		return false
	}
	if e.Type == discovery.EVT_DELETE {
		o.EndOver(string(e.KV.Key))
	}
	return true
}

// answered says whether the store answered all that was read while f ran. Others may read then,
// too: rather is an event told twice.
func (o *InstanceEvents) answered(f func()) bool {
	before := o.failed()
	f()
	o.hung = o.failed() != before
	return !o.hung
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
// its event, if service-center knows the instance or cannot say so soon. EndOver must follow.
func (o *InstanceEvents) ExpectEnd(ctx context.Context, key string) {
	if !started.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxEndWait)
	defer cancel()
	if known, err := kv.Store().Instance().Search(ctx, client.WithStrKey(key), client.WithCountOnly(), client.WithCacheOnly()); err == nil && known.Count == 0 {
		return
	}
	o.ending.Lock()
	defer o.ending.Unlock()
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
	o.ending.Lock()
	ended := o.ends[key]
	o.ending.Unlock()
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
	o.ending.Lock()
	defer o.ending.Unlock()
	if c := o.ends[key]; c != nil {
		close(c)
		delete(o.ends, key)
	}
}
