package identity

import (
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/certs"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

// KeyFiles is the rule of the files with the keys of other issuers, as they are at a time.
func KeyFiles(now time.Time) conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		j := c.Identity.JWT
		if file := c.EdgeGallery.TokenKeyFile; file != "" {
			if _, err := keys.Read(file); err != nil {
				fault("edgegallery.tokenKeyFile", "%+q %s", file, err)
			}
			if j.On() && j.Issuer == mepauthIssuer {
				fault("edgegallery.tokenKeyFile", "has the keys of %s, and so has identity.jwt; leave one of them empty", mepauthIssuer)
			}
		}
		if j.KeyFile != "" {
			if _, err := keys.Read(j.KeyFile); err != nil {
				fault("identity.jwt.keyFile", "%+q %s", j.KeyFile, err)
			}
		}
		if j.CAFile == "" {
			return
		}
		var faults certs.Faults
		if _, err := certs.Load(certs.Pool{File: j.CAFile}, now); errors.As(err, &faults) {
			for _, one := range faults {
				fault("identity.jwt.caFile", "%s", one.Error())
			}
		}
	}
}
