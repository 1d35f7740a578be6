package edgegallery

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

const (
	lookEvery = time.Minute
	// warnBefore is how long before its end a certificate is warned of: whoever makes those of a
	// site anew stops all of it for that, and EdgeGallery's installer gives them 365 days.
	warnBefore = 30 * 24 * time.Hour
	warnEvery  = 24 * time.Hour
	hourly     = time.Hour // once it has ended
)

// partCertificate is what one part of the platform proves itself with, as the newest connection
// showed it. The original verifies nothing: here the part is not believed once that has ended.
type partCertificate struct {
	part    string
	without string // what does not work then
	ends    atomic.Pointer[time.Time]
	left    *prometheus.GaugeVec
}

func newCertificatesLeft() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mep_edgegallery_certificate_seconds_left",
		Help: "Until what EdgeGallery's gateway or mepauth proves itself with ends, its authority included, as the newest connection showed it; below 0: it has; NaN: nothing was shown yet."}, []string{"part"})
}

// seen takes in what a new connection showed.
func (p *partCertificate) seen(ends time.Time) { p.ends.Store(&ends) }

// watch warns daily from some weeks before the end on, and hourly once it has come.
func (p *partCertificate) watch(ctx context.Context, log openlog.Logger) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	var warned, said time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		ends := p.ends.Load()
		if ends == nil {
			continue // nothing was shown yet
		}
		now := time.Now()
		left := ends.Sub(now)
		p.left.WithLabelValues(p.part).Set(left.Seconds())
		tags := openlog.WithTags(openlog.Tags{"part": p.part, "ends": ends.UTC().Format(time.RFC3339), "then": p.without})
		switch {
		case left <= 0 && now.Sub(said) >= hourly:
			said = now
			log.Error("the certificate of a part of EdgeGallery's platform, or its authority (trust.cer), has ended: the part is not believed; make the site's certificates anew", tags)
		case left > 0 && left < warnBefore && now.Sub(warned) >= warnEvery:
			warned = now
			log.Warn("the certificate of a part of EdgeGallery's platform, or its authority (trust.cer), ends soon: the part is not believed then; make the site's certificates anew before", tags)
		}
	}
}

// newPartCertificate has the certificate of a part watched, if there is one.
func newPartCertificate(h *plugins.Host, left *prometheus.GaugeVec, part, without string) *partCertificate {
	p := &partCertificate{part: part, without: without, left: left}
	left.WithLabelValues(part).Set(math.NaN()) // which no alert takes for an end
	h.Go(func(ctx context.Context) { p.watch(ctx, h.Log) })
	return p
}
