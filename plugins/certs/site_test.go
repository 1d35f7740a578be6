package certs

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// EdgeGallery's installer makes a certificate of X.509 v1 whose one name is its common name, with
// a key in the form of the OpenSSL at hand; and its image takes one that has expired.
func TestWhatEdgeGallerysInstallerMakesIsServedInItsEnvironmentOnly(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("this machine has no openssl")
	}
	f := newFolder(t)
	run := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir = f.dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	const subject, password = "/C=CN/ST=Beijing/L=Beijing/O=edgegallery/CN=edgegallery", "te9Fmv%qaq"
	run("genrsa", "-out", "ca.key", "2048")
	run("req", "-new", "-key", "ca.key", "-subj", subject, "-out", "ca.csr")
	run("x509", "-req", "-days", "365", "-in", "ca.csr", "-signkey", "ca.key", "-out", "ca.crt")
	run("genrsa", "-out", "tls.key", "2048")
	run("req", "-new", "-key", "tls.key", "-subj", subject, "-out", "tls.csr")
	run("x509", "-req", "-days", "365", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.cer")
	for form, traditional := range map[string][]string{"ENCRYPTED PRIVATE KEY": nil, "RSA PRIVATE KEY": {"-traditional"}} {
		run(append([]string{"rsa", "-in", "tls.key", "-aes256", "-passout", "pass:" + password, "-out", "server_key.pem"}, traditional...)...)
		p := Pair{CertFile: f.path("server.cer"), KeyFile: f.path("server_key.pem"), Password: []byte(password), Server: true}
		_, err := Load(p, time.Now())
		require.ErrorContains(t, err, "has no subject alternative name", form)
		p.Lenient = true
		for _, now := range []time.Time{time.Now(), time.Now().AddDate(2, 0, 0)} {
			c, err := Load(p, now)
			require.NoError(t, err, form)
			require.Equal(t, "edgegallery", c.Leaf.Subject.CommonName)
			require.True(t, Nameless(c.Leaf))
		}
		p.Password = []byte("another")
		_, err = Load(p, time.Now())
		require.ErrorContains(t, err, "does not open the key", form)
		require.NotContains(t, err.Error(), "another")
		p.Password = nil
		_, err = Load(p, time.Now())
		require.ErrorContains(t, err, "TLS_KEY in EdgeGallery's environment", form)
	}
	_, err = Load(Pool{f.path("ca.crt")}, time.Now())
	require.NoError(t, err)
}
