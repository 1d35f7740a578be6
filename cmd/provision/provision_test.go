package provision

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// in are options of a platform in a new directory.
func in(t *testing.T, hosts ...string) Options {
	t.Helper()
	return Options{Dir: filepath.Join(t.TempDir(), "mep"), Hosts: hosts, Now: now}
}

func left(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestAPlatformIsMadeOfFilesThatOnlyItsOwnerCanRead(t *testing.T) {
	o := in(t, "mep.example.org", "10.0.0.5", "::1")
	p, err := Create(o)
	require.NoError(t, err)
	require.Equal(t, []string{Authority, authorityKey, IssuerKey, Configuration, serverKey, serverCertificate, WebhookKey}, sorted(left(t, o.Dir)))
	info, err := os.Stat(o.Dir)
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|0o700, info.Mode())
	for _, name := range left(t, o.Dir) {
		info, err := os.Stat(p.Path(name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode(), name)
	}
	require.Equal(t, filepath.Join(o.Dir, "data"), p.DataDir)
}

func sorted(names []string) []string {
	order := []string{Authority, authorityKey, IssuerKey, Configuration, serverKey, serverCertificate, WebhookKey}
	var out []string
	for _, want := range order {
		for _, have := range names {
			if have == want {
				out = append(out, have)
			}
		}
	}
	if len(out) != len(names) {
		return names
	}
	return out
}

func pairIn(t *testing.T, dir string) (*x509.Certificate, *x509.CertPool) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, serverCertificate), filepath.Join(dir, serverKey))
	require.NoError(t, err)
	ca, err := os.ReadFile(filepath.Join(dir, Authority))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	return pair.Leaf, pool
}

func TestTheCertificateIsForItsHostsAndForNobodyElse(t *testing.T) {
	o := in(t, "mep.example.org", "10.0.0.5", "::1", "MEP.example.org.")
	_, err := Create(o)
	require.NoError(t, err)
	leaf, pool := pairIn(t, o.Dir)
	for _, h := range []string{"mep.example.org", "10.0.0.5", "::1"} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: h, Roots: pool, CurrentTime: now})
		require.NoError(t, err, h)
	}
	for _, h := range []string{"example.org", "a.mep.example.org", "10.0.0.6", "localhost"} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: h, Roots: pool, CurrentTime: now})
		require.Error(t, err, h)
	}
	require.Equal(t, []string{"mep.example.org"}, leaf.DNSNames, "each once")
	_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.Error(t, err, "whoever has the server's key is no client")
	require.False(t, leaf.IsCA)
	require.LessOrEqual(t, leaf.NotAfter.Sub(leaf.NotBefore), 398*24*time.Hour)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now.Add(-30 * time.Minute)})
	require.NoError(t, err, "clocks differ")
}

func TestAHostThatNoClientCanCallIsRefused(t *testing.T) {
	for _, h := range []string{"", "mep.example.org:30100", "https://mep", "10.0.0.5/24", "0.0.0.0", "::", "fe80::1%eth0", "224.0.0.1", "*.example.org", "a b", "a..b", "-a", "a-",
		"mep_1", "büro", "127.1", "10.0.0", "10.0.0.256", "[::1]", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "aa", "a\n", "a\x00"} {
		o := in(t, h)
		_, err := Create(o)
		require.Error(t, err, h)
		require.NotContains(t, err.Error(), "\n")
		require.NoDirExists(t, o.Dir)
	}
	_, err := Create(in(t))
	require.ErrorContains(t, err, "--host")
	for _, h := range []string{"mep", "localhost", "10.0.0.5", "2001:db8::1", "::ffff:10.0.0.5", "a-1.example", "xn--bro-hoa.example", strings.Repeat("a", 63) + ".example"} {
		_, err := Create(in(t, h))
		require.NoError(t, err, h)
	}
}

func FuzzAHost(f *testing.F) {
	for _, h := range []string{"mep.example.org", "10.0.0.5", "::1", "a:b", "[::1]", "127.0.0.2", "a\nb", "0x7f.1"} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHost(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%q", err)
			}
			return
		}
		again, err := parseHost(h.name)
		if err != nil || again != h {
			t.Fatalf("%q became %q, and that %v: %v", text, h.name, again, err)
		}
	})
}

func TestNothingIsOverwritten(t *testing.T) {
	for _, name := range append(names, "data/etcd") {
		o := in(t, "mep")
		path := filepath.Join(o.Dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("precious"), 0o644))
		_, err := Create(o)
		require.ErrorIs(t, err, ErrThere, name)
		require.ErrorContains(t, err, o.Dir)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "precious", string(b))
		require.Len(t, left(t, o.Dir), 1, "and nothing is added")
	}
	o := in(t, "mep")
	require.NoError(t, os.MkdirAll(o.Dir, 0o755))
	require.NoError(t, os.Symlink("/nonexistent", filepath.Join(o.Dir, serverKey)))
	_, err := Create(o)
	require.ErrorIs(t, err, ErrThere, "a link that leads nowhere is there too")
}

func TestWhatFailsHalfwayLeavesNothing(t *testing.T) {
	o := in(t, "mep")
	p, err := Create(o)
	require.NoError(t, err)
	p.Undo()
	require.NoDirExists(t, o.Dir)
	require.NoError(t, os.Mkdir(o.Dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "mine"), nil, 0o600))
	p, err = Create(o)
	require.NoError(t, err, "other files do not matter")
	p.Undo()
	require.Equal(t, []string{"mine"}, left(t, o.Dir))
	p, err = Create(o)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(p.DataDir, "etcd"), 0o700))
	p.Undo()
	require.Equal(t, []string{"mine"}, left(t, o.Dir), "a store is no part of half a platform")
	o.DataDir = t.TempDir()
	p, err = Create(o)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(p.DataDir, "etcd"), 0o700))
	p.Undo()
	require.Empty(t, left(t, o.DataDir))
	_, err = Create(Options{Dir: "a\nb", Hosts: []string{"mep"}, Now: now})
	require.ErrorContains(t, err, "control characters")
}

func TestAFolderThatCannotBeWrittenIsAnErrorAndLeavesNothing(t *testing.T) {
	for _, dir := range []string{"/proc/nothing/here", "/dev/null"} {
		_, err := Create(Options{Dir: dir, Hosts: []string{"mep"}, Now: now})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestKeysAreNotPutWhereEverybodyCanReplaceThem(t *testing.T) {
	o := in(t, "mep")
	require.NoError(t, os.Mkdir(o.Dir, 0o700))
	require.NoError(t, os.Chmod(o.Dir, 0o777))
	_, err := Create(o)
	require.ErrorContains(t, err, "others may write to "+o.Dir)
	require.Empty(t, left(t, o.Dir))
	for _, mode := range []fs.FileMode{0o770, 0o730, 0o702, 0o770 | fs.ModeSetgid} {
		require.NoError(t, os.Chmod(o.Dir, mode))
		_, err := Create(o)
		require.ErrorContains(t, err, "chmod go-w it", "%s: a group may be anybody's", mode)
		require.Empty(t, left(t, o.Dir))
	}
	require.NoError(t, os.Chmod(o.Dir, 0o777|os.ModeSticky))
	_, err = Create(o)
	require.NoError(t, err)
	file := Options{Dir: filepath.Join(o.Dir, Authority, "x"), Hosts: []string{"mep"}, Now: now}
	_, err = Create(file)
	require.Error(t, err)
}

func TestTwoPlatformsHaveNothingInCommon(t *testing.T) {
	a, b := in(t, "mep"), in(t, "mep")
	for _, o := range []Options{a, b} {
		_, err := Create(o)
		require.NoError(t, err)
	}
	for _, name := range []string{Authority, authorityKey, serverCertificate, serverKey, IssuerKey, WebhookKey} {
		one, err := os.ReadFile(filepath.Join(a.Dir, name))
		require.NoError(t, err)
		two, err := os.ReadFile(filepath.Join(b.Dir, name))
		require.NoError(t, err)
		require.NotEqual(t, one, two, name)
	}
	leaf, _ := pairIn(t, a.Dir)
	_, pool := pairIn(t, b.Dir)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now})
	require.Error(t, err)
}

func TestARenewedCertificateNamesTheSameHostsUnderTheSameAuthority(t *testing.T) {
	o := in(t, "mep.example.org", "10.0.0.5")
	_, err := Create(o)
	require.NoError(t, err)
	before, pool := pairIn(t, o.Dir)
	later := now.Add(300 * 24 * time.Hour)
	made, err := Renew(o.Dir, nil, "mep.example.org:30100", later)
	require.NoError(t, err)
	after, _ := pairIn(t, o.Dir)
	require.Equal(t, Renewal{Until: after.NotAfter, Hosts: []string{"mep.example.org", "10.0.0.5"}}, made)
	require.True(t, after.NotAfter.After(before.NotAfter))
	require.NotEqual(t, before.PublicKey, after.PublicKey)
	require.Equal(t, before.DNSNames, after.DNSNames)
	_, err = after.Verify(x509.VerifyOptions{DNSName: "10.0.0.5", Roots: pool, CurrentTime: later})
	require.NoError(t, err)
	require.Len(t, left(t, o.Dir), 7, "nothing is left beside it")

	_, err = Renew(o.Dir, []string{"other.example.org"}, "mep.example.org:30100", later)
	require.EqualError(t, err, "clients are told to call mep.example.org:30100, which is not among the hosts: give --host mep.example.org too, or change server.advertise in mepserver.yaml first")
	same, _ := pairIn(t, o.Dir)
	require.Equal(t, after.Raw, same.Raw, "what is refused changes nothing")
	made, err = Renew(o.Dir, []string{"other.example.org", "10.0.0.5"}, "10.0.0.5:30100", later)
	require.NoError(t, err)
	require.Equal(t, []string{"mep.example.org"}, made.Dropped)
	_, err = Renew(o.Dir, []string{"other.example.org"}, "", later)
	require.NoError(t, err)
	after, _ = pairIn(t, o.Dir)
	require.Equal(t, []string{"other.example.org"}, after.DNSNames)
	require.Empty(t, after.IPAddresses)

	almost := now.Add(authorityLife - time.Hour)
	made, err = Renew(o.Dir, nil, "", almost)
	require.NoError(t, err)
	require.False(t, made.Until.After(now.Add(authorityLife)), "never longer than its authority")
	_, err = Renew(o.Dir, nil, "", now.Add(authorityLife+time.Hour))
	require.ErrorContains(t, err, "ended at")
	require.NoError(t, os.Remove(filepath.Join(o.Dir, authorityKey)))
	_, err = Renew(o.Dir, nil, "", later)
	require.EqualError(t, err, "this needs ca.key in "+o.Dir+": put it back for this command, and take it away again")
	_, err = Renew(filepath.Join(o.Dir, "no"), []string{"mep"}, "", later)
	require.EqualError(t, err, "no platform in "+filepath.Join(o.Dir, "no")+"; --dir names the folder that init made")
	other := in(t, "mep")
	_, err = Create(other)
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(other.Dir, authorityKey), filepath.Join(o.Dir, authorityKey)))
	_, err = Renew(o.Dir, nil, "", later)
	require.ErrorContains(t, err, "is not the key of")
}

// Root renews what another user's server reads: a key that only root may read would leave that
// server with the old pair, until it ends.
func TestARenewedPairIsReadByWhoeverReadTheOldOne(t *testing.T) {
	o := in(t, "mep")
	_, err := Create(o)
	require.NoError(t, err)
	key, certificate := filepath.Join(o.Dir, serverKey), filepath.Join(o.Dir, serverCertificate)
	require.NoError(t, os.Chmod(key, 0o640))
	require.NoError(t, os.Chmod(certificate, 0o644))
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(key, 4711, 4712))
		require.NoError(t, os.Chown(certificate, 4711, 4712))
	}
	owned := func(path string) string {
		info, err := os.Stat(path)
		require.NoError(t, err)
		is, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		return fmt.Sprint(info.Mode(), is.Uid, is.Gid)
	}
	before := []string{owned(key), owned(certificate)}
	old, err := os.ReadFile(key)
	require.NoError(t, err)
	_, err = Renew(o.Dir, nil, "", now)
	require.NoError(t, err)
	renewed, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NotEqual(t, old, renewed)
	require.Equal(t, before, []string{owned(key), owned(certificate)})
	require.Len(t, left(t, o.Dir), 7, "nothing is left beside it")

	require.NoError(t, os.Remove(key))
	require.NoError(t, os.Symlink(certificate, key))
	_, err = Renew(o.Dir, nil, "", now)
	require.ErrorContains(t, err, "no plain file", "nothing is renewed by half")
	require.Len(t, left(t, o.Dir), 7)
}

func TestASecretIsWrittenWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	out, err := OpenOutput(path, false)
	require.NoError(t, err)
	require.NoFileExists(t, path, "not before there is something in it")
	require.NoError(t, out.Commit([]byte("one\n")))
	out.Close()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	require.Len(t, left(t, filepath.Dir(path)), 1)
	_, err = OpenOutput(path, false)
	require.ErrorIs(t, err, ErrThere)
	require.NoError(t, os.Chmod(path, 0o640))
	out, err = OpenOutput(path, true)
	require.NoError(t, err)
	out.Close()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one\n", string(b), "what was not committed changed nothing")
	out, err = OpenOutput(path, true)
	require.NoError(t, err)
	require.NoError(t, out.Commit([]byte("two\n")))
	out.Close()
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode(), "whoever reads it goes on reading it")
	require.Len(t, left(t, filepath.Dir(path)), 1)

	race, err := OpenOutput(filepath.Join(t.TempDir(), "s"), false)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(race.path, []byte("somebody's"), 0o600))
	require.True(t, errors.Is(race.Commit([]byte("x")), fs.ErrExist))
	race.Close()
	_, err = OpenOutput(t.TempDir(), true)
	require.ErrorContains(t, err, "no plain file")
}
