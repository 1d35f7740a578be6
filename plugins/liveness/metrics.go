package liveness

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// metrics count what an operator watches. Labels come from fixed sets only.
type metrics struct {
	plugins.Collectors
	transactions *prometheus.CounterVec
	disturbances *prometheus.CounterVec
	overruled    prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_transactions_total", Help: "Transactions of the liveness engine that this replica carried out.",
		}, []string{"kind"}),
		disturbances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_disturbances_total", Help: "Times this replica did not trust its own observation.",
		}, []string{"reason"}),
	}
	m.Add(m.transactions)
	m.overruled = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mep_suspended_though_heard_total", Help: "Services that another replica suspended although this one had heard them within their window.",
	})
	m.Add(m.disturbances)
	m.Add(m.overruled)
	for _, k := range heartbeat.Kinds {
		m.transactions.WithLabelValues(k.String())
	}
	for _, reason := range []string{"pause", "store", "renewal", "list", "restored"} { // an alert must see the first one
		m.disturbances.WithLabelValues(reason)
	}
	return m
}

// register adds the metrics that are read from the engine when they are asked for.
func (m *metrics) register(e *heartbeat.Engine, replicas func() int) {
	gauge := func(name, help string, f func(heartbeat.Stats) float64) {
		m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return f(e.Stats()) }))
	}
	gauge("mep_replicas", "Replicas that live, this one included, as far as it knows.", func(heartbeat.Stats) float64 { return float64(replicas()) })
	gauge("mep_services", "Service instances known; those removed count for up to a minute more.", func(s heartbeat.Stats) float64 { return float64(s.Records) })
	gauge("mep_services_suspended", "Service instances SUSPENDED.", func(s heartbeat.Stats) float64 { return float64(s.Suspended) })
	gauge("mep_services_absent", "ACTIVE service instances whose lease is gone.", func(s heartbeat.Stats) float64 { return float64(s.Absent) })
	gauge("mep_claims_waiting", "ACTIVE service instances that are silent here, whose claim waits until the other replicas have settled the end of their lease.",
		func(s heartbeat.Stats) float64 { return float64(s.AwaitingPeers) })
	gauge("mep_ends_unsettled", "Ends of leases that this replica has to refute, and has not: the others wait for it.", func(s heartbeat.Stats) float64 { return float64(s.Unsettled) })
	gauge("mep_watermark_idle_seconds", "How long others have waited for this replica without that anything got on here; at 10 it gives up being waited for.",
		func(s heartbeat.Stats) float64 { return s.Unpublished.Seconds() })
	gauge("mep_store_full", "1 while the store takes no writes.", func(s heartbeat.Stats) float64 { return oneIf(s.Full) })
	gauge("mep_mass_expiry", "1 while very many services vanished within one window: none is removed meanwhile.",
		func(s heartbeat.Stats) float64 { return oneIf(s.Massive) })
	gauge("mep_engine_late_seconds", "How long the instance that has waited longest has been due to be looked at, in credited time.",
		func(s heartbeat.Stats) float64 { return s.Late.Seconds() })
	gauge("mep_heartbeats_due_per_second", "Heartbeats that come in a second if every ACTIVE service keeps its interval.", func(s heartbeat.Stats) float64 { return s.Due })
	gauge("mep_heartbeats_bound_per_second", "How many are to come at most (liveness.maxBeatsPerSecond); 0: there is no bound.",
		func(heartbeat.Stats) float64 { return float64(e.Policy.MaxBeatsPerSecond) })
	gauge("mep_interval_chosen_seconds", "The interval that the platform chooses for a service that is registered now and leaves it to the platform.",
		func(s heartbeat.Stats) float64 { return float64(s.Chosen) })
	m.Add(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "mep_intervals_told_total", Help: "Heartbeats that this replica answered with an interval: a new one, or one that was not taken up yet.",
	}, func() float64 { return float64(e.Stats().Told) }))
	m.registerQueues(e)
}

// registerQueues adds the metrics of what waits in the engine.
func (m *metrics) registerQueues(e *heartbeat.Engine) {
	for reason, f := range map[string]func(heartbeat.Stats) int{
		"time": func(s heartbeat.Stats) int { return s.Scheduled },
		"turn": func(s heartbeat.Stats) int { return s.RateLimited },
		"room": func(s heartbeat.Stats) int { return s.AwaitingSpace },
	} {
		m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mep_engine_scheduled", Help: "Service instances that wait to be looked at again, by what they wait for.",
			ConstLabels: prometheus.Labels{"for": reason},
		}, func() float64 { return float64(f(e.Stats())) }))
	}
	for work, f := range map[string]func(heartbeat.Stats) int{
		"refutation": func(s heartbeat.Stats) int { return s.Refutations },
		"claim":      func(s heartbeat.Stats) int { return s.Claims },
		"adoption":   func(s heartbeat.Stats) int { return s.Adoptions },
		"repair":     func(s heartbeat.Stats) int { return s.Repairs },
		"end":        func(s heartbeat.Stats) int { return s.Ends },
		"revocation": func(s heartbeat.Stats) int { return s.Revocations },
		"hook":       func(s heartbeat.Stats) int { return s.Hooks },
	} {
		m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mep_engine_queue", Help: "What waits for a worker of the liveness engine, by sort.",
			ConstLabels: prometheus.Labels{"work": work},
		}, func() float64 { return float64(f(e.Stats())) }))
	}
	for by, f := range map[string]func(heartbeat.Stats) uint64{
		"platform": func(s heartbeat.Stats) uint64 { return s.EndsHere },
		"store":    func(s heartbeat.Stats) uint64 { return s.EndsByStore },
	} {
		m.Add(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "mep_lease_ends_total", Help: "Leases of ACTIVE service instances that ended, by who took away what hung on them: this replica as soon as they had run out, or the store.",
			ConstLabels: prometheus.Labels{"by": by},
		}, func() float64 { return float64(f(e.Stats())) }))
	}
	m.Add(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "mep_engine_notices_dropped_total", Help: "Changes that were not logged and counted, because those before them were not taken.",
	}, func() float64 { return float64(e.Stats().HooksDropped) }))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) committed(t *heartbeat.Txn) { m.transactions.WithLabelValues(t.Kind.String()).Inc() }
func (m *metrics) disturbed(reason string)    { m.disturbances.WithLabelValues(reason).Inc() }
