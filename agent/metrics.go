package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the agent's metrics. No label is a service's name, for ten thousand services
// would make as many series.
type metrics struct {
	beats, registrations *prometheus.CounterVec
	losses, failovers    prometheus.Counter
	delay                prometheus.Histogram
}

// newMetrics makes the metrics and registers them with r, if r is not nil.
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
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.beats, m.registrations, m.losses, m.failovers, m.delay} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
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
