// Package edgegallery reads what EdgeGallery's mepserver has kept in its etcd, and says in our
// words what is there: services with their ids, subscriptions, terminations, the configurations
// that its manager asked for, and the names that its gateway has of each service. It must not
// decide when something is imported, nor know how it is kept here; what it reads was written
// by applications, and is held to the rules that their requests are held to.
package edgegallery

import (
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// Root is what all keys begin with that EdgeGallery's mepserver writes.
const Root = "/cse-sr/"

// The keys below Root. EdgeGallery's services have no domain and no project: two segments of
// their keys are empty.
const (
	allInstances   = Root + "inst/files/"
	instances      = allInstances + "//" // serviceId/instanceId
	indexes        = Root + "ms/indexes/"
	subscriptions  = Root + "etsi/subscribe/"               // appInstanceId/subscriptionId
	terminationSub = Root + "etsi/app-end-subscribe/"       // appInstanceId/subscriptionId
	terminations   = Root + "etsi/app-confirm-termination/" // appInstanceId/
	configurations = Root + "etsi/appd/"                    // appInstanceId
	jobs           = Root + "etsi/mep/applcm/jobs/"         // appInstanceId
	tasks          = Root + "etsi/mep/applcm/tasks/"        // taskId: its value is the appInstanceId
	taskStatus     = Root + "etsi/mep/applcm/taskstatus/"   // appInstanceId/taskId
	transports     = Root + "etsi/transports/"              // transportId
)

const (
	// Interval is what EdgeGallery's mepserver makes of every interval but 0, in seconds.
	Interval = 60
	// silentAfter is how long its services may be silent before they are SUSPENDED.
	silentAfter = 63 * time.Second

	maxValue = 1 << 20   // bytes of one value; a request there has at most 4,096
	maxKept  = 256 << 20 // bytes of all that is looked at
	maxItems = 200_000
)

// Contents is what an EdgeGallery has kept, in our words.
type Contents struct {
	Services      []Service
	Subscriptions []plugins.Subscription
	Terminations  []plugins.Application
	Deployments   []plugins.Deployment
	Gateway       []plugins.GatewayEntries
	Report        Report
}

// Reader collects the keys of an EdgeGallery's etcd. Its zero value is ready.
type Reader struct {
	kept  []*mvccpb.KeyValue
	bytes int
	// How many instances ServiceComb's clients have at each microservice, and which of these is
	// service-center itself.
	other map[string]int
	self  string
}

// See takes a key in, in any order. It fails if there is more than an EdgeGallery can have.
func (r *Reader) See(kv *mvccpb.KeyValue) error {
	key := string(kv.Key)
	switch {
	case strings.HasPrefix(key, instances), strings.HasPrefix(key, Root+"etsi/"):
	case strings.HasPrefix(key, allInstances):
		parts := strings.Split(key, "/")
		if r.other == nil {
			r.other = map[string]int{}
		}
		if id := parts[len(parts)-2]; len(r.other) < maxItems || r.other[id] > 0 {
			r.other[id]++
		}
		return nil
	case strings.HasPrefix(key, indexes) && strings.Contains(key, "/SERVICECENTER/"):
		r.self = string(kv.Value)
		return nil
	default:
		return nil // service-center's own
	}
	if r.bytes += len(kv.Key) + len(kv.Value); r.bytes > maxKept || len(r.kept) >= maxItems {
		return fmt.Errorf("EdgeGallery's store has more than %d keys or %d MiB of services, subscriptions and configurations: it is none that its mepserver wrote", maxItems, maxKept>>20)
	}
	r.kept = append(r.kept, kv)
	return nil
}

// Contents says what the keys mean. now is the time by the wall clock; window is how long a
// service may be silent here whose interval is Interval.
func (r *Reader) Contents(now time.Time, window time.Duration) *Contents {
	c := &converter{Contents: &Contents{Report: Report{States: map[heartbeat.State]int{}}}, now: now, window: int(window / time.Second),
		instances: map[string]bool{}, asked: map[string]*asked{}}
	for _, kv := range r.kept {
		if len(kv.Value) > maxValue {
			c.leave(string(kv.Key), "is larger than anything that EdgeGallery's mepserver takes")
			continue
		}
		c.convert(kv)
	}
	c.deployments()
	delete(r.other, r.self)
	others := 0
	for _, n := range r.other {
		others += n
	}
	if others > 0 {
		c.note("%d instances that ServiceComb's own clients registered are left out: their clients register them again", others)
	}
	return c.Contents
}

// converter makes the contents of the keys, one by one.
type converter struct {
	*Contents
	now       time.Time
	window    int             // seconds
	instances map[string]bool // instanceIds that were taken
	asked     map[string]*asked
}

func (c *converter) convert(kv *mvccpb.KeyValue) {
	key := string(kv.Key)
	for _, kind := range []struct {
		prefix string
		read   func(rest string, kv *mvccpb.KeyValue) error
	}{
		{instances, c.service}, {subscriptions, c.availability}, {terminationSub, c.termination}, {terminations, c.terminating},
		{configurations, c.configuration}, {jobs, c.job}, {tasks, c.task}, {taskStatus, c.status},
		{transports, func(string, *mvccpb.KeyValue) error { return nil }}, // this platform offers its own
	} {
		if rest, ok := strings.CutPrefix(key, kind.prefix); ok {
			if err := kind.read(rest, kv); err != nil {
				c.leave(key, err.Error())
			}
			return
		}
	}
	c.leave(key, "is of a kind that is not known")
}
