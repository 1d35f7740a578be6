package store

import (
	"context"
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
	turn    chan struct{} // full while it works: one at a time, the next list looks again
	ctx     context.Context
	end     context.CancelFunc
	counter *prometheus.CounterVec // of what somebody else had changed, by kind
	again   atomic.Bool            // something was not put right: everything is to be listed
}

func newRepairs() *repairs {
	m := &repairs{turn: make(chan struct{}, 1), counter: newRepairCounter()}
	m.ctx, m.end = context.WithCancel(context.Background())
	return m
}

// begin puts right what a list has shown, unless that is being done for another one; a part
// of one waits its turn, for no other one shows what it does; the error is that ctx ended
// meanwhile. What it reads is kept. A nil receiver puts nothing right.
func (m *repairs) begin(ctx context.Context, s *Store, l *listing) error {
	if m == nil {
		return nil
	}
	if l.only == nil {
		select {
		case m.turn <- struct{}{}:
		default:
			m.again.Store(true)
			return nil
		}
	} else {
		select {
		case m.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-m.ctx.Done(): // nothing begins any more
		<-m.turn
		return nil
	default:
	}
	reads := s.client.Readers.Add(l.at)
	go func() {
		defer func() { <-m.turn }()
		defer reads.Done()
		if s.served != nil {
			s.served(m.ctx)
		}
		s.repair(m.ctx, l)
	}()
	return nil
}

// await waits until nothing is under way.
func (m *repairs) await() {
	m.turn <- struct{}{}
	<-m.turn
}

// close ends what is under way, and waits for it; nothing begins any more.
func (m *repairs) close() {
	m.end()
	m.await()
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
