package suite

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

// bare is a net/http server that answers 204 to everything, over plain HTTP and over TLS, in a
// process of its own. secure is a mepserver beside it that speaks TLS; nil: there is none.
type bare struct {
	*proc.Process
	plain, tls        func(conns int) load.Dialer
	plainWire         load.Dialer
	tlsWire           load.Dialer
	secure            *server
	certFile, keyFile string
	trust             *tls.Config
}

// bareServer starts the bare server of a stage.
func (l *lab) bareServer(s *site) error {
	certFile, keyFile, pool, err := l.Certificate(l.dir)
	if err != nil {
		return err
	}
	p, err := proc.Command{Program: l.Self, Args: []string{"bare", certFile, keyFile}}.Launch()
	if err != nil {
		return err
	}
	s.later(p.Kill)
	_, addresses, ok := strings.Cut(strings.TrimSpace(p.FirstLine(time.Minute)), "bare ready on ")
	at, secureAt, both := strings.Cut(addresses, " ")
	if !ok || !both {
		return fmt.Errorf("the bare server did not start: %s", p.Stderr)
	}
	trust := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	s.bare = &bare{Process: p, plain: netHTTP("http://"+at, nil), tls: netHTTP("https://"+secureAt, trust), plainWire: load.Wire(at, nil), tlsWire: load.Wire(secureAt, trust),
		certFile: certFile, keyFile: keyFile, trust: trust}
	return nil
}

// secure starts a mepserver that speaks TLS.
func (l *lab) secure(s *site) error {
	b := s.bare
	srv := &server{name: "mepserver-tls"}
	o := mep.Options{Binary: l.binary, DataDir: filepath.Join(l.dir, "data", "secure"), Timeout: time.Minute, Roots: b.trust.RootCAs,
		Env: append([]string{"MEP_SERVER_TLS_CERT_FILE=" + b.certFile, "MEP_SERVER_TLS_KEY_FILE=" + b.keyFile}, unlimited...)}
	if err := srv.start(o); err != nil {
		return err
	}
	srv.wire, srv.client = load.Wire(srv.Listen, b.trust), netHTTP(srv.URL, b.trust)
	s.later(srv.Kill)
	b.secure = srv
	return nil
}

func openNothing(context.Context, *lab) (*site, error) { return &site{}, nil }

func openSmall(ctx context.Context, l *lab) (s *site, err error) {
	s = &site{}
	if err := l.bareServer(s); err != nil {
		return s, err
	}
	if err := l.secure(s); err != nil {
		return s, err
	}
	if s.main, err = l.launch(s, "mepserver", nil); err != nil {
		return s, err
	}
	if err := l.register(ctx, s.bare.secure, l.size.small, interval, ""); err != nil {
		return s, err
	}
	return s, l.register(ctx, s.main, l.size.small, interval, "")
}

func openExternal(ctx context.Context, l *lab) (s *site, err error) {
	s = &site{}
	if err := l.bareServer(s); err != nil {
		return s, err
	}
	if s.cluster, err = l.etcd(ctx, s); err != nil {
		return s, err
	}
	if s.main, err = l.launch(s, "mepserver-external", s.cluster.endpoints); err != nil {
		return s, err
	}
	return s, l.register(ctx, s.main, max(l.size.small, 8*l.size.batch), interval, "")
}

func openMiddle(ctx context.Context, l *lab) (s *site, err error) {
	s = &site{}
	if err := l.bareServer(s); err != nil {
		return s, err
	}
	if s.other, err = l.launch(s, "empty", nil); err != nil {
		return s, err
	}
	if s.main, err = l.launch(s, "middle", nil); err != nil {
		return s, err
	}
	return s, l.register(ctx, s.main, l.size.middle, interval, "")
}

func openLarge(ctx context.Context, l *lab) (s *site, err error) {
	s = &site{}
	if err := l.bareServer(s); err != nil {
		return s, err
	}
	if s.main, err = l.launch(s, "large", nil, "MEP_LIVENESS_MIN_INTERVAL=1s"); err != nil {
		return s, err
	}
	return s, l.register(ctx, s.main, l.size.large, interval, "")
}

// openBase registers services at a server that somebody else runs, which end with the stage.
func openBase(ctx context.Context, l *lab) (s *site, err error) {
	s = &site{}
	if err := l.bareServer(s); err != nil {
		return s, err
	}
	u, err := url.Parse(l.Base)
	if err != nil {
		return s, err
	}
	dial := load.Client(l.Base, &http.Client{Timeout: time.Minute, Transport: l.Transport})
	s.main = &server{name: u.Host, wire: dial, client: func(int) load.Dialer { return dial }}
	s.later(func() {
		if err := l.remove(context.WithoutCancel(ctx), s.main, s.main.services); err != nil {
			l.say("not all services were removed again: %v", err)
		}
	})
	return s, l.register(ctx, s.main, min(l.size.small, baseServices), interval, "")
}

// baseServices is how many are registered at a server of somebody else: applications may have a
// thousand, and it may take a hundred changes a second.
const baseServices = 500
