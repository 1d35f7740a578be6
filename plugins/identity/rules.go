package identity

import (
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/certs"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

// KeyFiles is the rule of the files of identity.jwt, as they are at a time.
func KeyFiles(now time.Time) conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		j := c.Identity.JWT
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
