package issuer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// counts are what was asked of the issuer, by outcome.
type counts struct{ tokens, checks *prometheus.CounterVec }

var grantOutcomes, verifyOutcomes = []string{"made", "refused", "limited", "unavailable"}, []string{"valid", "refused", "unavailable"}

func newCounts() counts {
	vec := func(name, help string, outcomes []string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"outcome"})
		for _, o := range outcomes {
			v.WithLabelValues(o)
		}
		return v
	}
	return counts{
		tokens: vec("mep_issuer_tokens_total", "Tokens that were asked for, by what became of it.", grantOutcomes),
		checks: vec("mep_issuer_verified_total", "Tokens of our own that were verified, each once for as long as it is remembered.", verifyOutcomes),
	}
}

func (c counts) granted(err error) {
	var over *server.OverLimit
	switch {
	case err == nil:
		c.tokens.WithLabelValues("made").Inc()
	case errors.As(err, &over):
		c.tokens.WithLabelValues("limited").Inc()
	case errors.Is(err, heartbeat.ErrUnavailable):
		c.tokens.WithLabelValues("unavailable").Inc()
	default:
		c.tokens.WithLabelValues("refused").Inc()
	}
}

func (c counts) verified(err error) {
	switch {
	case err == nil:
		c.checks.WithLabelValues("valid").Inc()
	case errors.Is(err, heartbeat.ErrUnavailable):
		c.checks.WithLabelValues("unavailable").Inc()
	default:
		c.checks.WithLabelValues("refused").Inc()
	}
}

// register adds the metrics.
func (a *authority) register(cs *plugins.Collectors) {
	cs.Add(a.counts.tokens)
	cs.Add(a.counts.checks)
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_issuer_credentials", Help: "Credentials of the built-in issuer."},
		func() float64 { return float64(a.known.count()) }))
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_issuer_credentials_age_seconds",
		Help: "How old what this replica knows of the credentials may be; above 2 it takes none of their tokens."},
		func() float64 { return a.known.age().Seconds() }))
}
