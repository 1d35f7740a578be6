package store

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"
)

// The kinds of damage: labels of a metric.
const (
	repairedService    = "microservice" // its mark, its file or its index key
	repairedInstance   = "instance"     // somebody else's, below a microservice of ours
	repairedLease      = "lease"        // service-center's key of an instance's lease
	repairedChild      = "below"        // a rule, tag, schema or summary: we write none
	repairedAlias      = "alias"        // another name that leads to ours, or an index key
	repairedDependency = "dependency"   // one that has ours for its consumer
	updatedRelease     = "release"      // no damage: a microservice as the previous release put it
)

var repairKinds = []string{repairedService, repairedInstance, repairedLease, repairedChild, repairedAlias, repairedDependency, updatedRelease}

func newRepairCounter() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mep_servicecomb_repairs_total", Help: "Keys of ServiceComb's that were put right because somebody else had changed them, by kind.",
	}, []string{"kind"})
	for _, k := range repairKinds {
		v.WithLabelValues(k)
	}
	return v
}

// repairs puts right what lists show, beside whoever listed: over a slow store it may take
// all its time, and a replica that has lost its watch is blind until its list is taken in.
type repairs struct {
	mu      sync.Mutex // held while it works: one at a time, the next list looks again
	ctx     context.Context
	end     context.CancelFunc
	counter *prometheus.CounterVec // of what somebody else had changed, by kind
	again   atomic.Bool            // something was not put right: everything is to be listed
}

func newRepairs() *repairs {
	m := &repairs{counter: newRepairCounter()}
	m.ctx, m.end = context.WithCancel(context.Background())
	return m
}

// begin puts right what a list has shown, unless that is being done for another one; a part
// of one waits its turn, for no other one shows what it does. What it reads is kept. A nil
// receiver puts nothing right.
func (m *repairs) begin(s *Store, l *listing) {
	if m == nil {
		return
	}
	if l.only != nil {
		m.mu.Lock()
	} else if !m.mu.TryLock() {
		m.again.Store(true)
		return
	}
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return
	}
	reads := s.client.Readers.Add(l.at)
	go func() {
		defer m.mu.Unlock()
		defer reads.Done()
		s.repair(m.ctx, l)
	}()
}

// await waits until nothing is under way.
func (m *repairs) await() {
	m.mu.Lock()
	defer m.mu.Unlock()
}

// close ends what is under way, and waits for it; nothing begins any more.
func (m *repairs) close() {
	m.end()
	m.mu.Lock()
	defer m.mu.Unlock()
}

// report counts and says what was put right.
func (m *repairer) report() {
	for kind, n := range m.done {
		m.repairs.counter.WithLabelValues(kind).Add(float64(n))
	}
	if n := m.done[updatedRelease]; n > 0 {
		delete(m.done, updatedRelease)
		m.log.Info("microservices that the previous release had written were brought up to date", openlog.WithTags(openlog.Tags{"count": n}))
	}
	if len(m.done) == 0 {
		return
	}
	tags := openlog.Tags{}
	for kind, n := range m.done {
		tags[kind] = n
	}
	m.log.Warn("what somebody else had changed about our services in ServiceComb was put right", openlog.WithTags(tags))
}
