package identity

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

// newDoor puts the sources of identities together that the configuration names.
func newDoor(ctx context.Context, h *plugins.Host, m *plugins.Collectors) *door {
	c := h.Config.Identity
	d := &door{on: h.Config.Identified(), clock: time.Now, issuer: func() plugins.Issuer { return h.Issuer }, trusts: h.Trusts}
	if !d.on {
		return d
	}
	d.certificates, d.proxy = newCertificates(c), newProxy(c.Proxy)
	if h.Config.EdgeGallery.Site {
		began := time.Now()
		d.site = newSite(h.Config, &machine{network: kernel{}, clock: func() time.Duration { return time.Since(began) }})
		h.Log.Info("whoever proves nothing in EdgeGallery's site is answered at the pod's primary address and on loopback",
			openlog.WithTags(openlog.Tags{"primary": fmt.Sprint(primaryOf(kernel{}, kernel{}.addresses()))}))
		d.routes.site = http.NewServeMux()
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_identity_refused_total",
		Help: "Requests answered 401 or, for want of any keys, 503, by what was wrong with their credentials."}, []string{"reason"})
	for _, why := range faults() {
		refused.WithLabelValues(why)
	}
	m.Add(refused)
	d.refused = func(why string) { refused.WithLabelValues(why).Inc() }
	read := prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_identity_tokens_read_total",
		Help: "Tokens that were verified, or tried to; one that is presented again is verified no more."})
	m.Add(read)
	d.tokens = &tokens{clock: d.clock, known: newCache[tokenHash, bearer](), read: read.Inc}
	if file := h.Config.EdgeGallery.TokenKeyFile; file != "" {
		source := keys.FromFile(file)
		logKeys(h, source, "edgegallery.tokenKeyFile")
		source.Load(ctx)
		h.Go(source.Run)
		d.tokens.mepauth = mepauthVerifier(source)
	}
	if c.JWT.On() {
		source := newKeys(c.JWT)
		watchKeys(h, source, c.JWT.KeyFile == "", m)
		if c.JWT.KeyFile != "" {
			source.Load(ctx)
		}
		h.Go(source.Run)
		d.tokens.verifier = newVerifier(c.JWT, source)
	}
	return d
}

func newKeys(c conf.JWTIdentity) *keys.Source {
	switch {
	case c.KeyFile != "":
		return keys.FromFile(c.KeyFile)
	case c.JWKSURL != "":
		return keys.FromJWKS(c.JWKSURL, c.CAFile)
	}
	return keys.FromDiscovery(c.DiscoveryURL, c.Issuer, c.CAFile)
}

func newVerifier(c conf.JWTIdentity, source token.Keys) *token.Verifier {
	v := &token.Verifier{Issuer: c.Issuer, Audience: c.Audience, Claim: c.Claim, RolesClaim: c.RolesClaim, Keys: source}
	for _, a := range c.Algorithms {
		v.Algorithms = append(v.Algorithms, jose.SignatureAlgorithm(a))
	}
	return v
}

// logKeys logs when the keys of a setting cannot be had and when they can again.
func logKeys(h *plugins.Host, source *keys.Source, of string) {
	source.Changed = func(err error) {
		if err == nil {
			h.Log.Info("the keys of "+of+" can be had", openlog.WithTags(openlog.Tags{"keys": source.Current().Len()}))
			return
		}
		h.Log.Warn("the keys of "+of+" cannot be had; those known last are used",
			openlog.WithTags(openlog.Tags{"keys": source.Current().Len(), "reason": err.Error()}))
	}
}

// watchKeys shows how old the issuer's keys are, and logs when they cannot be had and when
// they can again.
func watchKeys(h *plugins.Host, source *keys.Source, remote bool, m *plugins.Collectors) {
	began := time.Now()
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_identity_keys", Help: "Public keys known of the issuer of identity.jwt."},
		func() float64 { return float64(source.Current().Len()) }))
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_identity_keys_age_seconds",
		Help: "How long ago the source of identity.jwt's keys said last which there are, or since the start. Tokens are verified with the keys known last."},
		func() float64 {
			now := time.Now()
			if age, ever := source.Age(now); ever {
				return age.Seconds()
			}
			return now.Sub(began).Seconds()
		}))
	logKeys(h, source, "identity.jwt")
	if !remote {
		return
	}
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_identity_key_fetches_total",
		Help: "Requests for the keys of identity.jwt, by whether they brought any."}, []string{"outcome"})
	ok, failed := fetches.WithLabelValues("ok"), fetches.WithLabelValues("failed")
	m.Add(fetches)
	source.Counted = func(succeeded bool) {
		if succeeded {
			ok.Inc()
		} else {
			failed.Inc()
		}
	}
}
