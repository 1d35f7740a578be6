package identity

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/pki"
)

func TestFilesOfKeysAreJudgedWithTheRestOfTheConfiguration(t *testing.T) {
	authority := pki.New(t)
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("text"), 0o600))
	pair := authority.Client("x")
	load := func(lines string) string {
		_, err := conf.Load(conf.Sources{File: "m.yaml", Data: []byte("identity:\n  jwt:\n    issuer: i\n    audience: a\n" + lines), Rules: []conf.Rule{KeyFiles(time.Now())}})
		if err == nil {
			return ""
		}
		return err.Error()
	}
	require.Empty(t, load("    keyFile: "+pair.CertFile+"\n"))
	require.Equal(t, `m.yaml:5: identity.jwt.keyFile: "`+pair.KeyFile+`" has a private key; only the issuer may have that, give the public one`, load("    keyFile: "+pair.KeyFile+"\n"))
	require.Contains(t, load("    keyFile: "+broken+"\n"), "neither a JSON Web Key Set nor PEM")
	require.Contains(t, load("    keyFile: /nowhere/keys\n"), `m.yaml:5: identity.jwt.keyFile: "/nowhere/keys" cannot be read: no such file or directory`)
	require.Empty(t, load("    jwksURL: https://idp.example/keys\n    caFile: "+authority.File+"\n"))
	require.Contains(t, load("    jwksURL: https://idp.example/keys\n    caFile: "+broken+"\n"), "m.yaml:6: identity.jwt.caFile: ")
	mepauth := func(lines string) string {
		_, err := conf.Load(conf.Sources{File: "m.yaml", Data: []byte("compat: edgegallery\n" + lines), Rules: []conf.Rule{KeyFiles(time.Now())}})
		if err == nil {
			return ""
		}
		return err.Error()
	}
	require.Empty(t, mepauth("edgegallery:\n  tokenKeyFile: "+pair.CertFile+"\n"))
	require.Contains(t, mepauth("edgegallery:\n  tokenKeyFile: "+pair.KeyFile+"\n"), "m.yaml:3: edgegallery.tokenKeyFile: ")
	require.Contains(t, mepauth("edgegallery:\n  tokenKeyFile: "+pair.CertFile+"\nidentity:\n  jwt: {keyFile: "+pair.CertFile+", issuer: mepauth, audience: a}\n"), "leave one of them empty")
}
