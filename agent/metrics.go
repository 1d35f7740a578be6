package agent

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the agent's metrics. No label is a service's name, for ten thousand services
// would make as many series.
type metrics struct {
	beats, registrations *prometheus.CounterVec
	losses, failovers    prometheus.Counter
	delay                prometheus.Histogram
	late                 prometheus.Counter
	underWay             prometheus.Gauge
}

// newMetrics makes the metrics and registers them with r, if r is not nil. Agents that have
// one registry share them.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_agent_heartbeats_total",
			Help: "Heartbeats by outcome: ok, refused (the platform said no), failed (it said nothing)."}, []string{"outcome"}),
		registrations: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_agent_registrations_total",
			Help: "Registrations by outcome, as for heartbeats."}, []string{"outcome"}),
		losses: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_agent_registrations_lost_total",
			Help: "Registrations that the platform no longer knew."}),
		failovers: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_agent_failovers_total",
			Help: "Changes to another endpoint of the platform."}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mep_agent_heartbeat_delay_seconds",
			Help: "How long after its due time a heartbeat was sent.", Buckets: []float64{.001, .01, .1, .5, 1, 2.5, 5, 10, 30}}),
	}
	m.late = prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_agent_heartbeats_late_total",
		Help: "Heartbeats that were sent more than a quarter of their interval after they were due: the agent does not keep up."})
	m.underWay = prometheus.NewGauge(prometheus.GaugeOpts{Name: "mep_agent_requests_under_way",
		Help: "Requests to the platform that are under way. Of one agent there are 576 at most."})
	for _, outcome := range []string{"ok", "refused", "failed"} { // an alert must see the first one
		m.beats.WithLabelValues(outcome)
		m.registrations.WithLabelValues(outcome)
	}
	return m, errors.Join(registerOnce(r, &m.beats), registerOnce(r, &m.registrations), registerOnce(r, &m.losses),
		registerOnce(r, &m.failovers), registerOnce(r, &m.delay), registerOnce(r, &m.late), registerOnce(r, &m.underWay))
}

// registerOnce registers a collector, or takes the one in its place that another agent has
// registered.
func registerOnce[C prometheus.Collector](r prometheus.Registerer, c *C) error {
	if r == nil {
		return nil
	}
	err := r.Register(*c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if same, ok := already.ExistingCollector.(C); ok {
			*c, err = same, nil
		}
	}
	return err
}

// outcomeLabel is the label of a request: ok, refused (an answer that is an error) or failed
// (no answer).
func outcomeLabel(err error) string {
	switch {
	case err == nil:
		return "ok"
	case statusOf(err) != 0:
		return "refused"
	}
	return "failed"
}

// beat counts a heartbeat that was sent late by a time.
func (m *metrics) beat(late time.Duration, err error) {
	m.beats.WithLabelValues(outcomeLabel(err)).Inc()
	m.delay.Observe(max(late, 0).Seconds())
}

func (m *metrics) registration(err error) { m.registrations.WithLabelValues(outcomeLabel(err)).Inc() }
func (m *metrics) lost()                  { m.losses.Inc() }
func (m *metrics) failover()              { m.failovers.Inc() }
