package main

import (
	"cmp"
	"os"
	"slices"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
)

// takeEnvironment is the environment of the process. From then on its secrets are in it no more:
// nothing that runs in this process, and nothing that it starts, can read them there.
func takeEnvironment() []string {
	environ := slices.Clone(os.Environ())
	for _, name := range conf.ServerSecretVariables() {
		_ = os.Unsetenv(name) // it fails for names only that no variable has
	}
	return environ
}

// logSite says in one line what was found of EdgeGallery's platform, and in one line each what
// was not.
func logSite(c conf.Config, log openlog.Logger) {
	if !c.EdgeGallery.Site {
		return
	}
	e := c.EdgeGallery
	tls := "off"
	if c.Server.TLS.On() {
		tls = c.Server.TLS.CertFile
	}
	or := func(text string) string { return cmp.Or(text, "none") }
	log.Info("this is EdgeGallery's environment: its gateway says who calls", openlog.WithTags(openlog.Tags{
		"listen": c.Server.Listen, "tls": tls, "data": c.Store.DataDir, "kong": or(e.Gateway.Admin), "mepauth": or(e.Mepauth),
		"trust": or(e.CAFile), "commonName": or(e.CommonName), "tokenKey": or(e.TokenKeyFile), "dns": or(c.Rules.DNS.URL), "import": or(e.ImportFrom)}))
	for _, f := range c.Warnings {
		log.Warn("not as EdgeGallery's chart has it", openlog.WithTags(openlog.Tags{"where": f.Where, "setting": f.Path, "what": f.Rule}))
	}
}
