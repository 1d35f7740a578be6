package plugins

import (
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// TLSFiles is the rule of the files of certificates: those that a configuration names must
// be fit for use at a time. All that is wrong with them is said.
func TLSFiles(now time.Time) conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		check := func(err error, paths ...string) {
			var faults certs.Faults
			errors.As(err, &faults)
			for _, f := range faults {
				fault(paths[f.Part], "%s", f.Error())
			}
		}
		t, n := c.Server.TLS, c.Notify
		if t.CertFile != "" || t.KeyFile != "" {
			password := "server.tls.keyPasswordFile"
			if t.KeyPasswordFile == "" {
				password = "server.tls.keyPassword"
			}
			_, err := certs.Load(serverPair(c), now)
			check(err, "server.tls.certFile", "server.tls.keyFile", password)
		}
		if n.CertFile != "" || n.KeyFile != "" {
			_, err := certs.Load(certs.Pair{CertFile: n.CertFile, KeyFile: n.KeyFile}, now)
			check(err, "notify.certFile", "notify.keyFile")
		}
		for _, pool := range []struct{ path, file string }{{"server.tls.clientCAFile", t.ClientCAFile}, {"notify.caFile", n.CAFile}, {"edgegallery.caFile", c.EdgeGallery.CAFile}} {
			if pool.file != "" {
				_, err := certs.Load(certs.Pool{File: pool.file}, now)
				check(err, pool.path)
			}
		}
	}
}

// serverPair is our certificate. In EdgeGallery's environment it is one for clients that verify
// nothing: its installer makes it without any host's name, and for a year.
func serverPair(c conf.Config) certs.Pair {
	t := c.Server.TLS
	p := certs.Pair{CertFile: t.CertFile, KeyFile: t.KeyFile, PasswordFile: t.KeyPasswordFile, Server: true, Lenient: c.EdgeGallery.Site}
	if t.KeyPassword != "" {
		p.Password = []byte(t.KeyPassword.Reveal())
	}
	return p
}
