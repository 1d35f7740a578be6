package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
)

// folder is where a test has its files.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T) folder { return folder{t, t.TempDir()} }

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) write(name string, parts ...[]byte) string {
	f.t.Helper()
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	require.NoError(f.t, os.WriteFile(f.path(name), all, 0o600))
	return f.path(name)
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8Text(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return block("PRIVATE KEY", der)
}

// certificate is one that key signs itself, valid for an hour around now.
func certificate(t testing.TB, key crypto.Signer, change ...func(*x509.Certificate)) []byte {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"mep.example"}}
	for _, f := range change {
		f(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	return block("CERTIFICATE", der)
}

// A pair that would fail every handshake must not be taken, and all that is wrong with it is
// said at once.
func TestAPairThatNoClientTakesIsRefused(t *testing.T) {
	f := newFolder(t)
	key, other := ecKey(t), ecKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	good := certificate(t, key)
	for name, c := range map[string]struct {
		cert, key []byte
		password  string
		want      []string
	}{
		"good":                  {good, pkcs8Text(t, key), "", nil},
		"a key of another":      {good, pkcs8Text(t, other), "", []string{`k" is not the key of the certificate in`}},
		"the leaf is not first": {append(certificate(t, other), good...), pkcs8Text(t, key), "", []string{"must have the certificate of the key first; it stands in place 2"}},
		"expired":               {certificate(t, key, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), pkcs8Text(t, key), "", []string{"expired at 2"}},
		"not yet valid":         {certificate(t, key, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), pkcs8Text(t, key), "", []string{"is not valid before 2"}},
		"no SAN":                {certificate(t, key, func(c *x509.Certificate) { c.DNSNames = nil }), pkcs8Text(t, key), "", []string{"has no subject alternative name"}},
		"a client's": {certificate(t, key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), pkcs8Text(t, key), "",
			[]string{"serverAuth is not in it"}},
		"all of it": {certificate(t, key, func(c *x509.Certificate) { c.DNSNames, c.NotAfter = nil, time.Now().Add(-time.Minute) }), pkcs8Text(t, other), "",
			[]string{"expired", "no subject alternative name", "is not the key"}},
		"no certificate":    {pkcs8Text(t, key), pkcs8Text(t, key), "", []string{"has no PEM block of a certificate"}},
		"no key":            {good, good, "", []string{"has no PEM block of a private key"}},
		"two keys":          {good, append(pkcs8Text(t, key), pkcs8Text(t, other)...), "", []string{"has several private keys"}},
		"cut off":           {good[:len(good)-40], pkcs8Text(t, key), "", []string{"is damaged or cut off"}},
		"no certificate's":  {block("CERTIFICATE", []byte("x")), pkcs8Text(t, key), "", []string{"has a certificate that is damaged"}},
		"no key's":          {good, block("PRIVATE KEY", []byte("x")), "", []string{"has a key that is damaged"}},
		"empty":             {[]byte{}, []byte{}, "", []string{"no PEM block of a certificate", "no PEM block of a private key"}},
		"a weak key":        {certificate(t, weak), pkcs8Text(t, weak), "", []string{"RSA key of 1024 bits", "RSA key of 1024 bits"}},
		"a curve of none":   {certificate(t, p224), pkcs8Text(t, p224), "", []string{"on the curve P-224", "on the curve P-224"}},
		"an empty password": {good, pkcs8Text(t, key), "\n", []string{"is empty; it must hold the password on one line"}},
		"two lines":         {good, pkcs8Text(t, key), "a\nb\n", []string{"has several lines"}},
	} {
		p := Pair{CertFile: f.write("c", c.cert), KeyFile: f.write("k", c.key), Server: true}
		if c.password != "" {
			p.PasswordFile = f.write("p", []byte(c.password))
		}
		got, err := Load(p, time.Now())
		if c.want == nil {
			require.NoError(t, err, name)
			require.NotNil(t, got.Leaf)
			continue
		}
		var faults Faults
		require.ErrorAs(t, err, &faults, name)
		require.Nil(t, got, name)
		require.Len(t, faults, len(c.want), "%s: %v", name, err)
		for i, want := range c.want {
			require.Contains(t, faults[i].Error(), want, name)
		}
	}
	missing := Pair{CertFile: f.path("none"), KeyFile: f.dir, PasswordFile: f.path("none")}
	_, err = Load(missing, time.Now())
	require.ErrorContains(t, err, "cannot be read: no such file or directory")
	require.ErrorContains(t, err, "it is no regular file")
	_, err = Load(Pair{CertFile: f.write("c", certificate(t, key, func(c *x509.Certificate) { c.DNSNames = nil })), KeyFile: f.write("k", pkcs8Text(t, key))}, time.Now())
	require.NoError(t, err, "a client needs no SAN")
}

// To open a pipe or to read a device can take for ever, and with it the start or the next
// handshake.
func TestWhatNeverEndsIsNotRead(t *testing.T) {
	f := newFolder(t)
	require.NoError(t, syscall.Mkfifo(f.path("pipe"), 0o600))
	written := f.path("written") // one that somebody has open and does not write to
	require.NoError(t, syscall.Mkfifo(written, 0o600))
	both, err := os.OpenFile(written, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = both.Close() })
	require.NoError(t, os.Symlink(f.path("pipe"), f.path("link")))
	for _, path := range []string{f.path("pipe"), written, f.path("link"), f.dir, "/dev/zero"} {
		_, err := ReadFile(path, 1<<20)
		require.ErrorContains(t, err, "it is no regular file", path)
	}
	_, err = ReadFile(f.write("large", make([]byte, 1<<20+1)), 1<<20)
	require.ErrorContains(t, err, "it is larger than 1 MiB")
	b, err := ReadFile(f.write("full", make([]byte, 1<<20)), 1<<20)
	require.NoError(t, err)
	require.Len(t, b, 1<<20)
	b, err = ReadFile(f.write("empty"), 1<<20)
	require.NoError(t, err)
	require.Equal(t, []byte{}, b)
}

// encryptedForms are the key in all forms that are taken.
func encryptedForms(t *testing.T, key *ecdsa.PrivateKey, password string) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	old, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(password), x509.PEMCipherAES256) //nolint:staticcheck // it is what operators have
	require.NoError(t, err)
	forms := map[string][]byte{"RFC 1421": pem.EncodeToMemory(old)}
	for name, kdf := range map[string]pkcs8.KDFOpts{
		"PBKDF2": pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 2048, HMACHash: crypto.SHA256}, "scrypt": pkcs8.ScryptOpts{SaltSize: 16, CostParameter: 1 << 14, BlockSize: 8, ParallelizationParameter: 1},
	} {
		der, err := pkcs8.MarshalPrivateKey(key, []byte(password), &pkcs8.Opts{Cipher: pkcs8.AES256CBC, KDFOpts: kdf})
		require.NoError(t, err)
		forms[name] = block("ENCRYPTED PRIVATE KEY", der)
	}
	return forms
}

func TestAnEncryptedKeyIsOpenedInBothForms(t *testing.T) {
	f := newFolder(t)
	key := ecKey(t)
	const secret = "s3cret phrase"
	p := Pair{CertFile: f.write("c", certificate(t, key)), KeyFile: f.path("k"), PasswordFile: f.path("p"), Server: true}
	for name, text := range encryptedForms(t, key, secret) {
		f.write("k", text)
		for _, end := range []string{"", "\n", "\r\n"} {
			f.write("p", []byte(secret+end))
			_, err := Load(p, time.Now())
			require.NoError(t, err, "%s %q", name, end)
		}
		f.write("p", []byte("another"))
		_, err := Load(p, time.Now())
		var faults Faults
		require.ErrorAs(t, err, &faults, name)
		require.Equal(t, Password, faults[0].Part, "%s: %v", name, err)
		require.ErrorContains(t, err, "does not open the key")
		require.NotContains(t, err.Error(), "another", "no password is shown")
		open := p
		open.PasswordFile = ""
		_, err = Load(open, time.Now())
		require.ErrorContains(t, err, "is encrypted, and no password is given", name)
		require.Equal(t, open.Server, strings.Contains(err.Error(), "; server.tls.keyPasswordFile names the file that holds it"), "%s: %v", name, err)
		open.Server = !open.Server
		_, err = Load(open, time.Now())
		require.Equal(t, open.Server, strings.Contains(err.Error(), "server.tls.keyPasswordFile"), "%s: notify.keyFile has no password: %v", name, err)
	}
}

// What openssl writes is what operators have.
func TestKeysThatOpenSSLEncryptsAreOpened(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("this machine has no openssl")
	}
	f := newFolder(t)
	f.write("p", []byte("geheim\n"))
	run := func(args ...string) {
		out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f.path("plain"), "-out", f.path("c"), "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.2")
	for name, args := range map[string][]string{
		"PKCS#8":        {"pkcs8", "-topk8", "-in", f.path("plain"), "-passout", "pass:geheim", "-out", f.path("k")},
		"PKCS#8 scrypt": {"pkcs8", "-topk8", "-scrypt", "-in", f.path("plain"), "-passout", "pass:geheim", "-out", f.path("k")},
		"traditional":   {"rsa", "-aes128", "-traditional", "-in", f.path("plain"), "-passout", "pass:geheim", "-out", f.path("k")},
		"3DES":          {"rsa", "-des3", "-traditional", "-in", f.path("plain"), "-passout", "pass:geheim", "-out", f.path("k")},
	} {
		run(args...)
		c, err := Load(Pair{CertFile: f.path("c"), KeyFile: f.path("k"), PasswordFile: f.path("p"), Server: true}, time.Now())
		require.NoError(t, err, name)
		require.True(t, c.Leaf.IPAddresses[0].Equal(net.ParseIP("127.0.0.2")))
	}
	run("pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-in", f.path("plain"), "-passout", "pass:geheim", "-out", f.path("k"))
	_, err = Load(Pair{CertFile: f.path("c"), KeyFile: f.path("k"), PasswordFile: f.path("p")}, time.Now())
	require.ErrorContains(t, err, "by a scheme that is not known; openssl pkcs8 -topk8 -v2 aes-256-cbc writes one that is")
}

func TestAFileMayHaveSeveralKeys(t *testing.T) {
	f := newFolder(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ec := ecKey(t)
	file := f.write("k", pkcs8Text(t, ec), []byte("# a remark\n"), pkcs8Text(t, edwards), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long)))
	private, err := Load(PrivateKeys{file}, time.Now())
	require.NoError(t, err)
	require.Len(t, private, 3)
	for i, want := range []interface {
		Equal(x crypto.PrivateKey) bool
	}{ec, edwards, long} { // the same numbers may be kept with leading zeros
		require.True(t, want.Equal(private[i]), "key %d", i)
	}

	var parts [][]byte
	for _, k := range private {
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		require.NoError(t, err)
		parts = append(parts, block("PUBLIC KEY", der))
	}
	parts = append(parts, certificate(t, ec, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&long.PublicKey)))
	public, err := Load(PublicKeys{f.write("p", parts...)}, time.Now())
	require.NoError(t, err)
	require.Len(t, public, 5)

	for name, parts := range map[string][][]byte{"none": {[]byte("x")}, "the second is damaged": {pkcs8Text(t, ec), block("PRIVATE KEY", []byte("y"))},
		"encrypted": {encryptedForms(t, ec, "x")["PBKDF2"]}} {
		_, err := Load(PrivateKeys{f.write("k", parts...)}, time.Now())
		require.Error(t, err, name)
		_, err = Load(PublicKeys{f.path("k")}, time.Now())
		require.Error(t, err, name)
	}
}

func TestAPoolNeedsAnAuthorityThatIsValid(t *testing.T) {
	f := newFolder(t)
	key := ecKey(t)
	old := certificate(t, key, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	_, err := Load(Pool{f.write("ca", old)}, time.Now())
	require.ErrorContains(t, err, "has no certificate that is valid now")
	pool, err := Load(Pool{f.write("ca", old, certificate(t, key))}, time.Now())
	require.NoError(t, err)
	require.NotNil(t, pool)
	_, err = Load(Pool{f.path("none")}, time.Now())
	require.ErrorContains(t, err, "cannot be read")
}

// Contents that cannot be used change nothing, and what is written at the next moment is
// taken. Kubernetes swaps a link, and cp -p keeps the time of another file.
func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		first, second := ecKey(t), ecKey(t)
		p := Pair{CertFile: f.write("c", certificate(t, first)), KeyFile: f.write("k", pkcs8Text(t, first)), Server: true}
		var reports []error
		k, err := Keep(p, time.Now, func(err error) { reports = append(reports, err) })
		require.NoError(t, err)
		current := func() crypto.PrivateKey { return k.Current().PrivateKey }
		time.Sleep(readEvery)
		require.Equal(t, first, current())
		f.write("c", certificate(t, second))
		require.Equal(t, first, current(), "not more often than every second")
		for range 5 { // the key is not there yet
			time.Sleep(readEvery)
			require.Equal(t, first, current())
		}
		require.True(t, k.Failing())
		require.Len(t, reports, 1, "it is said once")
		require.ErrorContains(t, reports[0], "is not the key of the certificate")
		f.write("k", pkcs8Text(t, second))
		time.Sleep(readEvery)
		require.Equal(t, second, current())
		require.False(t, k.Failing())
		require.Len(t, reports, 2)
		require.NoError(t, reports[1])
		require.NoError(t, os.Remove(f.path("k")))
		time.Sleep(readEvery)
		require.Equal(t, second, current())
		require.ErrorContains(t, reports[2], "cannot be read")
		f.write("k", pkcs8Text(t, second))
		time.Sleep(readEvery)
		require.Equal(t, second, current())
		require.False(t, k.Failing())
	})
}

// What is not valid yet is taken when it is, without another change of the files.
func TestACertificateIsTakenWhenItsTimeComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		key := ecKey(t)
		p := Pair{CertFile: f.write("c", certificate(t, key)), KeyFile: f.write("k", pkcs8Text(t, key)), Server: true}
		k, err := Keep(p, time.Now, nil)
		require.NoError(t, err)
		before := k.Current()
		f.write("c", certificate(t, key, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))
		time.Sleep(readEvery)
		require.Same(t, before, k.Current())
		time.Sleep(time.Minute + retryEvery)
		require.NotSame(t, before, k.Current())
	})
}

// No file makes the parsers panic, hang or take much memory.
func FuzzFiles(f *testing.F) {
	key := ecKey(f)
	der, err := pkcs8.MarshalPrivateKey(key, []byte("p"), &pkcs8.Opts{Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 10, HMACHash: crypto.SHA256}})
	require.NoError(f, err)
	f.Add(certificate(f, key), pkcs8Text(f, key), []byte("p\n"))
	f.Add(certificate(f, key), block("ENCRYPTED PRIVATE KEY", der), []byte("p"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"), []byte("-----BEGIN EC PRIVATE KEY-----\nDEK-Info: AES-256-CBC,00\n\nAA==\n-----END EC PRIVATE KEY-----\n"), []byte{})
	f.Fuzz(func(t *testing.T, cert, key, password []byte) {
		now := time.Now()
		pair, err := Pair{CertFile: "c", KeyFile: "k", PasswordFile: "p", Server: true}.Parse([][]byte{cert, key, password}, now)
		assert.Equal(t, err == nil, pair != nil)
		private, err := PrivateKeys{"k"}.Parse([][]byte{key}, now)
		assert.Equal(t, err == nil, len(private) > 0)
		for _, text := range [][]byte{cert, key} {
			public, err := PublicKeys{"k"}.Parse([][]byte{text}, now)
			assert.Equal(t, err == nil, len(public) > 0)
			pool, err := Pool{"c"}.Parse([][]byte{text}, now)
			assert.Equal(t, err == nil, pool != nil)
		}
	})
}
