package rules

import (
	"sync"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// driverReport counts the calls of the driver, and logs when it begins to fail and when it answers
// again.
type driverReport struct {
	plugins.Collectors
	driver string
	log    openlog.Logger
	calls  *prometheus.CounterVec
	wall   func() int64

	mu      sync.Mutex
	failing map[string]bool // names for which the driver failed last; "": everything
	reason  string          // of the last failure
	since   int64           // wall clock, Unix nanoseconds; 0: it does not fail
}

func newDriverReport(name string, log openlog.Logger, wall func() int64) *driverReport {
	r := &driverReport{driver: name, log: log, wall: wall, failing: map[string]bool{},
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_rules_driver_calls_total", Help: "Calls of the driver for DNS rules, by how they ended.",
		}, []string{"outcome"})}
	for _, outcome := range []string{"done", "failed"} {
		r.calls.WithLabelValues(outcome)
	}
	r.Add(r.calls)
	return r
}

// register adds the metrics that are read when they are asked for.
func (r *driverReport) register(d *directory, by string) {
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) {
		r.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, f))
	}
	gauge("mep_rules_names_failing", "Domain names for which the driver failed last; 1 for a driver that takes all at once.", nil, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(len(r.failing))
	})
	gauge("mep_rules_names_removing", "Domain names that are to be removed and that the driver has not confirmed to be gone.", nil, func() float64 {
		n := 0
		for _, doc := range d.all() {
			n += len(doc.Removed)
		}
		return float64(n)
	})
	for _, state := range []mp1.RuleState{mp1.RuleActive, mp1.RuleInactive} {
		gauge("mep_rules_dns", "DNS rules of applications, by their state.", prometheus.Labels{"state": string(state)}, func() float64 {
			n := 0
			for _, doc := range d.all() {
				for i := range doc.DNS {
					if shown(&doc.DNS[i], by).State == state {
						n++
					}
				}
			}
			return float64(n)
		})
		gauge("mep_rules_traffic", "Traffic rules of applications, by their state.", prometheus.Labels{"state": string(state)}, func() float64 {
			n := 0
			for _, doc := range d.all() {
				for i := range doc.Traffic {
					if doc.Traffic[i].Rule.State == state {
						n++
					}
				}
			}
			return float64(n)
		})
	}
}

// recordCall takes in how a call of the driver ended, for a name; "": for everything.
func (r *driverReport) recordCall(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.calls.WithLabelValues("done").Inc()
		if len(r.failing) == 0 {
			return
		}
		if delete(r.failing, name); len(r.failing) == 0 {
			r.since, r.reason = 0, ""
			r.log.Info("the driver for DNS rules answers again", openlog.WithTags(openlog.Tags{"driver": r.driver}))
		}
		return
	}
	r.calls.WithLabelValues("failed").Inc()
	if len(r.failing) == 0 {
		r.since = r.wall()
		r.log.Warn("the driver for DNS rules fails; it is tried again, and rules are not ACTIVE before it answers",
			openlog.WithTags(openlog.Tags{"driver": r.driver, "name": plugins.Clean(name), "reason": plugins.Clean(err.Error())}))
	}
	r.failing[name] = true
	r.reason = plugins.Clean(err.Error())
}

// forgetUnused takes names out of the failures that no rule has any more.
func (r *driverReport) forgetUnused(docs []plugins.Rules) {
	used := map[string]bool{"": true}
	for i := range docs {
		for _, n := range append(names(&docs[i]), docs[i].Removed...) {
			used[n.Name] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.failing {
		if !used[name] {
			delete(r.failing, name)
		}
	}
	if len(r.failing) == 0 {
		r.since, r.reason = 0, ""
	}
}

// reset forgets all failures: another replica calls the driver now.
func (r *driverReport) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.failing)
	r.since, r.reason = 0, ""
}

// failure is since when the driver fails and why; "": it does not.
func (r *driverReport) failure() (since time.Time, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Unix(0, r.since), r.reason
}
