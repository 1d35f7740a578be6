package appsupport

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// The steps of a termination that are counted.
const (
	begun     = "begun"
	confirmed = "confirmed"
	timedOut  = "timed out"
	ended     = "finished"
)

// counts are what an operator watches. Labels come from fixed sets only.
type counts struct {
	plugins.Collectors
	ready        prometheus.Counter
	terminations *prometheus.CounterVec
}

func newCounts() *counts {
	c := &counts{
		ready: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_applications_ready_total", Help: "Times that applications said at this replica that they are ready.",
		}),
		terminations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_applications_terminations_total", Help: "Graceful terminations, by the step that this replica carried out.",
		}, []string{"step"}),
	}
	for _, step := range []string{begun, confirmed, timedOut, ended} {
		c.terminations.WithLabelValues(step)
	}
	return c
}

// finished counts that a termination is over: nothing is left of what it ended.
func (c *counts) finished(was plugins.Application) {
	if stateOf(was) == terminated {
		c.terminations.WithLabelValues(ended).Inc()
	}
}

// register adds the metrics, and how many applications there are in each state.
func (c *counts) register(d *directory) {
	c.Add(c.ready)
	c.Add(c.terminations)
	for s := unregistered; s < states; s++ {
		c.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mep_applications", Help: "Applications of which the platform keeps something, by how far they are in their life.",
			ConstLabels: prometheus.Labels{"state": s.String()},
		}, func() float64 { return float64(d.inState(s)) }))
	}
}

// inState is how many applications are in a state.
func (d *directory) inState(s state) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.apps {
		if !e.erased && stateOf(e.Application) == s {
			n++
		}
	}
	return n
}
