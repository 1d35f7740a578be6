package events

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// metrics are what an operator watches of the streams.
type metrics struct {
	plugins.Collectors
	readers    prometheus.Gauge
	resets     *prometheus.CounterVec
	cut        *prometheus.CounterVec
	unreadable prometheus.Counter
}

// Why a stream begins anew.
const (
	resetNew       = "new"       // it has no Last-Event-ID
	resetForgotten = "forgotten" // what follows its Last-Event-ID is not kept any more, or the id is of another store
	resetChanged   = "changed"   // the caller may discover other services than before, or the store was restored
)

// Why a stream is cut.
const (
	cutSlow   = "slow"   // what was sent was not read in time
	cutBehind = "behind" // what it needs next is not kept any more
)

func newMetrics() *metrics {
	m := &metrics{
		readers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mep_events_readers", Help: "Event streams that are open."}),
		resets:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_events_resets_total", Help: "Resets that were sent in event streams, by their reason."}, []string{"reason"}),
		cut:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_events_cut_total", Help: "Event streams that were ended because their readers were too slow, by what showed it."}, []string{"reason"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_events_unreadable_total",
			Help: "Changes of services that could not be read from the store: no event stream shows them."}),
	}
	for _, why := range []string{resetNew, resetForgotten, resetChanged} {
		m.resets.WithLabelValues(why)
	}
	for _, why := range []string{cutSlow, cutBehind} {
		m.cut.WithLabelValues(why)
	}
	return m
}

func (m *metrics) register(f *feed) {
	m.Add(m.readers)
	m.Add(m.resets)
	m.Add(m.cut)
	m.Add(m.unreadable)
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_events_kept", Help: "Changes of services that this replica keeps for streams that go on."},
		func() float64 { return float64(f.kept()) }))
}
