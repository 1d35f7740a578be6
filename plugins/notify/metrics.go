package notify

import (
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// metrics count what an operator watches, and write the log. Labels come from fixed
// sets only.
type metrics struct {
	plugins.Collectors
	log              openlog.Logger
	attempts         *prometheus.CounterVec
	tests            *prometheus.CounterVec
	retries          prometheus.Counter
	unfinished       prometheus.Counter
	lostEvents       *prometheus.CounterVec
	unreadableEvents prometheus.Counter
	changesPutOff    prometheus.Counter
}

// lossLabels are the labels under which lost events are counted, by the stage they end in.
var lossLabels = map[stage]string{stageGivenUp: "given_up", stageConsumerGone: "dropped", stageSuperseded: "superseded", stageShed: "over_bound"}

func newMetrics(log openlog.Logger) *metrics {
	m := &metrics{log: log,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_notification_posts_total", Help: "Attempts to notify a subscriber, by how they ended.",
		}, []string{"outcome"}),
		tests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_notification_tests_total", Help: "Test notifications that subscribers asked for, by how they ended.",
		}, []string{"outcome"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_notification_retries_total", Help: "Attempts after the one before had failed.",
		}),
		unfinished: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_notification_answers_cut_total", Help: "Answers whose status came and counts, but not the rest of them in time.",
		}),
		lostEvents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_notification_events_lost_total", Help: "Events that a subscriber is not told of any more, by reason.",
		}, []string{"reason"}),
		unreadableEvents: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_notification_events_unreadable_total", Help: "Events of the outbox that this replica could not read: it tells nobody of them.",
		}),
	}
	m.changesPutOff = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mep_notification_changes_put_off_total", Help: "Changes of services that are not told at once, because the service flaps; the same at every replica.",
	})
	m.Add(m.changesPutOff)
	m.Add(m.unreadableEvents)
	m.Add(m.attempts)
	m.Add(m.tests)
	m.Add(m.retries)
	m.Add(m.unfinished)
	m.Add(m.lostEvents)
	for o := range outcomes {
		m.attempts.WithLabelValues(o.String())
		m.tests.WithLabelValues(o.String())
	}
	for _, name := range lossLabels {
		m.lostEvents.WithLabelValues(name)
	}
	return m
}

// files adds the metrics of the files by which we prove who we are.
func (m *metrics) files(w *webhook) {
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_notification_signing_keys", Help: "Keys by which notifications are signed; 0: they are not.",
	}, func() float64 { return float64(len(w.signer.current())) }))
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_notification_files_unusable", Help: "Files of keys and certificates for notifications that hold something that cannot be used, so that what they held before is.",
	}, func() float64 { return float64(w.unusableFiles()) }))
	if w.trust.pair == nil {
		return
	}
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_notification_certificate_seconds_left", Help: "How long the certificate that consumers are shown is still valid; below 0: it has expired.",
	}, func() float64 { return time.Until(w.trust.pair.Current().Leaf.NotAfter).Seconds() }))
}

// register adds the metrics that are read from the dispatcher when they are asked for.
func (m *metrics) register(d *dispatcher) {
	gauge := func(name, help string, f func() float64) {
		m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("mep_subscriptions", "Subscriptions there are.", func() float64 { return float64(d.subscriptions()) })
	gauge("mep_services_flapping", "Services that change so often that consumers are told once for each notify.flap.period; the same at every replica.", func() float64 { return float64(d.flapping()) })
	gauge("mep_notification_websockets", "WebSockets through which subscribers are notified by this replica.", func() float64 { return float64(d.streams()) })
	gauge("mep_notification_posts_in_flight", "Notifications that are being sent.", func() float64 { n, _ := d.permits.counts(); return float64(n) })
	gauge("mep_notification_posts_waiting", "Notifications that wait because there are as many in flight as may be.",
		func() float64 { _, n := d.permits.counts(); return float64(n) })
	gauge("mep_notification_posts_limit", "Notifications that may be in flight; 0: any number.", func() float64 { return float64(d.permits.limit) })
	gauge("mep_notification_kept_bytes", "Bytes of events that the store keeps for subscribers of this replica.", func() float64 {
		if d.retention == nil {
			return 0
		}
		return float64(d.retention.bytes.Load())
	})
	gauge("mep_notification_oldest_seconds", "Age of the oldest event that a subscriber of this replica still waits for; 0: none.",
		func() float64 { return d.oldest().Seconds() })
}

func (d *dispatcher) subscriptions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.entries)
}

// oldest is the age of the oldest event that is still to be sent.
func (d *dispatcher) oldest() time.Duration {
	now, _ := d.now()
	age := time.Duration(0)
	for _, w := range d.workers() {
		age = max(age, w.oldestAge(now))
	}
	return age
}

// attempt implements observer. It logs the first failure in a row and a consumer that is
// gone, and no delivery.
func (m *metrics) attempt(s *plugins.Subscription, r result, failures int, retry bool) {
	m.attempts.WithLabelValues(r.outcome.String()).Inc()
	if retry {
		m.retries.Inc()
	}
	if r.unfinished {
		m.unfinished.Inc()
	}
	switch {
	case r.gone():
		m.log.Warn("subscriber is gone: nothing is sent until it subscribes anew", tags(s, openlog.Tags{}))
	case failures == 1:
		m.log.Warn("subscriber cannot be notified; it is tried again", tags(s, openlog.Tags{"outcome": r.outcome.String()}))
	}
}

// tested implements observer.
func (m *metrics) tested(s *plugins.Subscription, r result) {
	m.tests.WithLabelValues(r.outcome.String()).Inc()
	if !r.delivered() {
		m.log.Warn("a test notification was not taken", tags(s, openlog.Tags{"outcome": r.outcome.String()}))
	}
}

// lost implements observer.
func (m *metrics) lost(s *plugins.Subscription, why stage, events int64) {
	m.lostEvents.WithLabelValues(lossLabels[why]).Add(float64(events))
	switch why {
	case stageGivenUp:
		m.log.Warn("notifications given up: the subscriber could not be reached in time", tags(s, openlog.Tags{"events": events}))
	case stageShed:
		m.log.Warn("notifications lost: more was kept for the subscriber than notify.keptBytes or notify.keptBytesInAll", tags(s, openlog.Tags{"events": events}))
	}
}

// unreadable implements observer.
func (m *metrics) unreadable(events int, first string) {
	m.unreadableEvents.Add(float64(events))
	m.log.Error("events of the outbox cannot be read: nobody is told of them", openlog.WithTags(openlog.Tags{"events": events, "first": plugins.Clean(first)}))
}

// putOff implements observer.
func (m *metrics) putOff() { m.changesPutOff.Inc() }

// tags name a subscription. Of its callback only the host is logged: a path or a query may
// hold a secret.
func tags(s *plugins.Subscription, more openlog.Tags) openlog.Option {
	more["subscriptionId"], more["appInstanceId"] = s.ID, s.Owner
	more["host"] = hostOf(s)
	return openlog.WithTags(more)
}
