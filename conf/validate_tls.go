package conf

import "strings"

// tls checks which of the files of certificates are given, those of our port and those for
// consumers. What the files hold is checked by Sources.Rules.
func (k checker) tls() {
	t := k.Server.TLS
	k.together("server.tls.certFile", t.CertFile != "", "server.tls.keyFile", t.KeyFile != "")
	if t.KeyPasswordFile != "" && t.KeyPassword != "" {
		k.report(Fault{k.where("server.tls.keyPasswordFile"), "server.tls.keyPasswordFile",
			"must be empty when the password itself is given" + k.writtenAt("server.tls.keyPassword")}, "server.tls.keyPassword")
	}
	for _, s := range []struct{ path, file string }{
		{"server.tls.keyPasswordFile", t.KeyPasswordFile}, {"server.tls.keyPassword", t.KeyPassword.Reveal()}, {"server.tls.clientCAFile", t.ClientCAFile},
	} {
		if s.file != "" && t.CertFile == "" && t.KeyFile == "" {
			k.report(Fault{k.where(s.path), s.path, "is of no use without server.tls.certFile"}, "server.tls.certFile", "server.tls.keyFile")
		}
	}
	k.together("notify.certFile", k.Notify.CertFile != "", "notify.keyFile", k.Notify.KeyFile != "")
	for _, s := range []struct{ path, file string }{
		{"server.tls.certFile", t.CertFile}, {"server.tls.keyFile", t.KeyFile}, {"server.tls.keyPasswordFile", t.KeyPasswordFile},
		{"server.tls.clientCAFile", t.ClientCAFile}, {"notify.caFile", k.Notify.CAFile}, {"notify.certFile", k.Notify.CertFile}, {"notify.keyFile", k.Notify.KeyFile},
		{"notify.signingKeyFile", k.Notify.SigningKeyFile},
	} {
		if strings.ContainsRune(s.file, 0) {
			k.fault(s.path, "must be the path of a file, not %s", shown(s.file))
		}
	}
}
