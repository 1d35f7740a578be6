package plugins

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/plugins/certs"
)

const (
	lookEvery = time.Minute // at the files, while nobody connects
	warnEvery = 24 * time.Hour
	hourly    = time.Hour // once it has expired
	// mostWarning is how long before its end a certificate is warned about, or a fifth of
	// its life if that is less: some live for hours.
	mostWarning = 14 * 24 * time.Hour
)

// watch reads the files also while nobody connects, and warns of a certificate that expires.
func (s *tlsServer) watch(ctx context.Context, log openlog.Logger) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	var warned, said time.Time
	var named *tls.Certificate
	for {
		s.now()
		if pair := s.pair.Current(); pair != named {
			named = pair
			s.checkName(pair, log)
		}
		now, end, begin := time.Now(), s.expires(), s.pair.Current().Leaf.NotBefore
		tags := openlog.WithTags(openlog.Tags{"expires": end.UTC().Format(time.RFC3339)})
		switch left := end.Sub(now); {
		case left <= 0 && now.Sub(said) >= hourly:
			said = now
			log.Error("the server's certificate has expired: clients refuse it", tags)
		case left > 0 && left < min(end.Sub(begin)/5, mostWarning) && now.Sub(warned) >= warnEvery:
			warned = now
			log.Warn("the server's certificate expires soon", tags)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// checkName warns if clients that come by the advertised name will refuse the certificate. It is
// no fault: a gateway at that name may have one of its own.
func (s *tlsServer) checkName(pair *tls.Certificate, log openlog.Logger) {
	if certs.Nameless(pair.Leaf) { // in EdgeGallery's environment; elsewhere it is refused
		log.Warn("the server's certificate has no subject alternative name: clients that verify names refuse it; make one that has, for the host that clients use")
		return
	}
	if s.advertised != "" && pair.Leaf.VerifyHostname(s.advertised) != nil {
		log.Warn("the server's certificate does not name the host of server.advertise: clients that come by it refuse the certificate",
			openlog.WithTags(openlog.Tags{"host": s.advertised}))
	}
}

// reportTo logs what became of files that changed.
func reportTo(log openlog.Logger) func(what string, err error) {
	return func(what string, err error) {
		if err != nil {
			log.Error("changed files of TLS cannot be used; what they held before is", openlog.WithTags(openlog.Tags{"files": what, "reason": err.Error()}))
			return
		}
		log.Info("changed files of TLS are used from now on", openlog.WithTags(openlog.Tags{"files": what}))
	}
}
