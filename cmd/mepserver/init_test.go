package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/conf"
)

// typed runs a command line and returns its outputs.
func typed(t *testing.T, line ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	p := environment{args: line, out: &o, errs: &e, fail: func(why string) { t.Error(why) }}
	code = p.run(t.Context())
	return code, o.String(), e.String()
}

// done runs a command that must succeed.
func done(t *testing.T, line ...string) string {
	t.Helper()
	code, out, errs := typed(t, line...)
	require.Zero(t, code, "%q: %s", line, errs)
	require.Empty(t, errs)
	return out
}

func TestInitMakesAConfigurationThatTheServerTakesBeyondLoopback(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder's")
	out := done(t, "init", "--host", "mep.example.org", "--host", "10.0.0.5", "--dir", dir)
	c, err := conf.Load(conf.Sources{File: filepath.Join(dir, "mepserver.yaml")})
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:30100", c.Server.Listen)
	require.False(t, c.Server.Insecure)
	require.Equal(t, "mep.example.org:30100", c.Server.Advertise)
	require.True(t, c.Server.TLS.On() && c.Identity.On() && c.Identity.Issuer.Enabled)
	require.Equal(t, []string{filepath.Join(dir, "server.pem"), filepath.Join(dir, "issuer.key"), filepath.Join(dir, "webhook.key"), filepath.Join(dir, "data")},
		[]string{c.Server.TLS.CertFile, c.Identity.Issuer.KeyFile, c.Notify.SigningKeyFile, c.Store.DataDir})
	next := regexp.MustCompile(`(?s)next:\n  (mepserver --config .*)\n  (mepserver app add my-app --config .*)\n$`).FindStringSubmatch(out)
	require.Len(t, next, 3, out)
	require.Equal(t, "mepserver --config "+quoted(filepath.Join(dir, "mepserver.yaml")), next[1])
	require.NoDirExists(t, filepath.Join(dir, "data", "admin.sock"))

	var admin struct{ ID, Secret string }
	b, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &admin))
	require.Equal(t, "admin", admin.ID)
	require.GreaterOrEqual(t, len(admin.Secret), 26, "no less than 128 bits")
	require.NotContains(t, out, admin.Secret)
	info, err := os.Stat(filepath.Join(dir, "admin.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, string(b), admin.Secret, "the store has a hash")
		}
		return err
	}))
}

func TestInitNeverReplacesAPlatform(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mep")
	done(t, "init", "--host", "127.0.0.2", "--dir", dir)
	before, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	require.NoError(t, err)
	code, out, errs := typed(t, "init", "--host", "127.0.0.2", "--dir", dir)
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Equal(t, "mepserver: "+filepath.Join(dir, "ca.pem")+" is there already: nothing is overwritten\n", errs)
	require.Contains(t, done(t, "init", "--if-missing", "--host", "127.0.0.2", "--dir", dir), "is left as it is")
	after, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Regexp(t, "was renewed until .*\nit is for 127.0.0.2\n$", done(t, "init", "--renew", "--dir", dir))
}

func TestARenewalSaysForWhomTheCertificateIsNow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mep")
	done(t, "init", "--host", "127.0.0.2", "--host", "mep.example", "--dir", dir)
	code, out, errs := typed(t, "init", "--renew", "--host", "other.example", "--dir", dir)
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, errs, "give --host 127.0.0.2 too, or change server.advertise in mepserver.yaml first")
	require.Regexp(t, "\nit is for 127.0.0.2, other.example, and no longer for mep.example: clients that use that fail now\n$",
		done(t, "init", "--renew", "--host", "127.0.0.2", "--host", "other.example", "--dir", dir))
}

func TestInitThatFailsLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mep")
	code, _, errs := typed(t, "init", "--host", "mep", "--etcd-endpoints", "nowhere", "--dir", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "store.endpoints")
	require.NoDirExists(t, dir)
}

func TestAPlatformForLoopbackListensThere(t *testing.T) {
	for host, listen := range map[string]string{"127.0.0.2": "127.0.0.2:30100", "localhost": "localhost:30100", "::1": "[::1]:30100", "2001:db8::5": "[::]:30100"} {
		dir := filepath.Join(t.TempDir(), "mep")
		done(t, "init", "--host", host, "--dir", dir, "--etcd-endpoints", "http://127.0.0.1:2379")
		c, err := conf.Load(conf.Sources{File: filepath.Join(dir, "mepserver.yaml")})
		require.NoError(t, err)
		require.Equal(t, listen, c.Server.Listen)
		require.Equal(t, conf.Etcd, c.Store.Kind)
		require.Equal(t, filepath.Join(dir, "admin.sock"), c.AdminSocket(), "by which the administrator is made")
		require.NoFileExists(t, filepath.Join(dir, "admin.json"))
	}
}

func TestCredentialsAreMadeAndEndedWhileNoServerRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mep")
	done(t, "init", "--host", "127.0.0.2", "--dir", dir)
	at := []string{"--config", filepath.Join(dir, "mepserver.yaml")}
	app := func(words ...string) []string { return append(append([]string{"app"}, words...), at...) }

	out := done(t, app("add", "my-app")...)
	secret := regexp.MustCompile(`^client_id:     my-app\nclient_secret: (\S+)\n$`).FindStringSubmatch(out)
	require.Len(t, secret, 2, out)
	code, _, errs := typed(t, app("add", "my-app")...)
	require.Equal(t, 1, code)
	require.Equal(t, "mepserver: there is a credential of that id already; mepserver app rotate gives it a new secret\n", errs)
	require.Contains(t, done(t, app("add", "my-app", "--if-missing")...), "left as it is")

	file := filepath.Join(t.TempDir(), "secret")
	code, _, errs = typed(t, app("add", "my-app", "--if-missing", "--out", file)...)
	require.Equal(t, 1, code, "its secret cannot be written")
	require.Contains(t, errs, "there is a credential of that id already")
	require.NoFileExists(t, file)
	done(t, app("add", "other", "--if-missing", "--out", file)...)
	require.Contains(t, done(t, app("add", "other", "--if-missing", "--out", file)...), "left as it is")
	done(t, app("remove", "other")...)
	out = done(t, app("rotate", "my-app", "--out", file, "--grace", "30m")...)
	require.Equal(t, "wrote the secret of my-app to "+file+"\n", out)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotEqual(t, secret[1], strings.TrimSpace(string(b)))
	done(t, app("rotate", "my-app", "--now", "--out", file)...)

	out = done(t, app("add", "site-1", "--role", "host", "--apps", "my-app,site-1.*", "-o", "json")...)
	var made map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Equal(t, []any{"host"}, made["roles"])
	require.Equal(t, []any{"my-app", "site-1.*"}, made["apps"])
	require.NotEmpty(t, made["secret"])

	out = done(t, app("list")...)
	require.Regexp(t, `(?m)^ID +ROLES +APPS +CREATED +ROTATED\nadmin +admin +- .*\nmy-app +app +- .*\nsite-1 +host +my-app,site-1\.\* .*\n$`, out)
	require.NotContains(t, done(t, app("list", "-o", "json")...), "secret")
	require.Equal(t, "removed my-app\n", done(t, app("remove", "my-app")...))
	for _, line := range [][]string{app("remove", "my-app"), app("rotate", "my-app")} {
		code, _, errs = typed(t, line...)
		require.Equal(t, 1, code)
		require.Equal(t, "mepserver: there is no credential of that id; mepserver app list shows all\n", errs)
	}
	require.NotContains(t, done(t, app("list")...), "my-app ")
}

// A bare secret in the place of admin.json would lock its owner out.
func TestACredentialInJSONIsReplacedByOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mep")
	done(t, "init", "--host", "127.0.0.2", "--dir", dir)
	file, config := filepath.Join(dir, "admin.json"), filepath.Join(dir, "mepserver.yaml")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	done(t, "app", "rotate", "admin", "--config", config, "--out", file)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.True(t, remote.HoldsCredential(file), "%s", regexp.MustCompile(`"secret":"[^"]*"`).ReplaceAll(after, nil))
	done(t, "app", "rotate", "admin", "--config", config, "--out", file, "-o", "secret")
	require.False(t, remote.HoldsCredential(file), "as it was asked for")
}

// A secret that was made and could not be written would be lost.
func TestASecretIsOnlyMadeWhenItCanBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mep")
	done(t, "init", "--host", "127.0.0.2", "--dir", dir)
	config := filepath.Join(dir, "mepserver.yaml")
	there := filepath.Join(t.TempDir(), "there")
	require.NoError(t, os.WriteFile(there, []byte("mine"), 0o600))
	for _, path := range []string{there, filepath.Join(dir, "no", "folder")} {
		code, _, errs := typed(t, "app", "add", "my-app", "--config", config, "--out", path)
		require.Equal(t, 1, code)
		require.NotEmpty(t, errs)
	}
	require.NotContains(t, done(t, "app", "list", "--config", config), "my-app")
	b, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "mine", string(b))
	_, err = os.Stat(filepath.Join(dir, "data", "admin.sock"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, printList(io.Discard, asText, nil))
}

func TestTheGreetingNamesTheHostOfTheCertificate(t *testing.T) {
	c := conf.Default()
	c.Server.TLS.CertFile, c.Server.Advertise = "server.pem", "mep.example.org:30100"
	for at, want := range map[string]string{"[::]:30100": "https://mep.example.org:30100/health\n", "10.0.0.5:30100": "https://mep.example.org:30100/health\n"} {
		a, err := net.ResolveTCPAddr("tcp", at)
		require.NoError(t, err)
		var out bytes.Buffer
		greet(&out, c, a)
		require.Contains(t, out.String(), "ready on https://"+at+", ")
		require.Contains(t, out.String(), "curl --cacert CA.pem "+want)
	}
	c.Server.TLS.CertFile = filepath.Join(t.TempDir(), "server.pem")
	ca := filepath.Join(filepath.Dir(c.Server.TLS.CertFile), "ca.pem")
	require.NoError(t, os.WriteFile(ca, nil, 0o600))
	var line bytes.Buffer
	greet(&line, c, &net.TCPAddr{IP: net.IPv6unspecified, Port: 30100})
	require.Contains(t, line.String(), "curl --cacert "+ca+" https://", "which init has made")
	// In EdgeGallery's pod no certificate names a host.
	c.Server.Advertise, c.EdgeGallery.CommonName = "", "edgegallery"
	var out bytes.Buffer
	greet(&out, c, &net.TCPAddr{IP: net.IPv6unspecified, Port: 8088})
	require.Contains(t, out.String(), "curl -k https://127.0.0.1:8088/health\n")
}
