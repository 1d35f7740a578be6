package rfc2136

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
	"github.com/mec-liveness/mepserver/test/nameserver"
)

func TestKeyFilesOfBINDAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"key \"mep\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + secret + "\";\n};\n":                               "mep. hmac-sha256.", // tsig-keygen mep
		"key mep.edge.example. { secret " + secret + "; algorithm \"HMAC-SHA512\"; };":                              "mep.edge.example. hmac-sha512.",
		"// made by hand\n# for mep\n/* two\nlines */ key Mep{algorithm hmac-sha384;secret " + secret + ";};// end": "mep. hmac-sha384.",
		"key key { algorithm hmac-sha256; secret \"" + secret + "\"; };":                                            "key. hmac-sha256.",
	} {
		k, err := parseKey(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, k.name+" "+k.algorithm)
		mac, err := k.Generate([]byte("x"), &dns.TSIG{Hdr: dns.RR_Header{Name: k.name}, Algorithm: k.algorithm})
		require.NoError(t, err)
		assert.NotEmpty(t, mac)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", k, k, *k), secret[:8], "it is never printed")
	}
}

// Whatever stands at a wrong place may be the secret, so that nothing of the file is quoted.
func TestAKeyFileThatIsNoneIsRefusedWithoutQuotingIt(t *testing.T) {
	const form = "must have the form of BIND's key files"
	for text, want := range map[string]string{
		"":               form,
		"SECRET":         form,
		"key mep SECRET": form,
		"key mep { algorithm hmac-sha256; secret \"SECRET\"; }":              form,
		"key mep { algorithm hmac-sha256; secret SECRET; secret SECRET; };":  form,
		"key mep { algorithm hmac-sha256; SECRET; };":                        form,
		"key mep { algorithm hmac-sha256 secret SECRET; };":                  form,
		"key mep { algorithm hmac-sha256; secret SECRET; }; zone x { };":     form,
		"include SECRET; key mep { algorithm hmac-sha256; secret SECRET; };": form,
		"key \"m p\" { algorithm hmac-sha256; secret SECRET; };":             "must have a key whose name is a domain name",
		"key \"\" { algorithm hmac-sha256; secret SECRET; };":                "must have a key whose name is a domain name",
		"key mep { algorithm hmac-sha256; secret \"SEC RET\"; };":            "must have a secret in base64",
		"key mep { algorithm hmac-sha256; };":                                "must have a secret in base64",
		"key mep { algorithm hmac-sha256; secret \"\"; };":                   "must have a secret in base64",
		"key mep { secret SECRET; };":                                        "must have the algorithm hmac-sha256, hmac-sha384 or hmac-sha512; tsig-keygen makes such a key",
		"key mep { algorithm hmac-md5; secret SECRET; };":                    "must have the algorithm hmac-sha256, hmac-sha384 or hmac-sha512; tsig-keygen makes such a key",
		"key mep { algorithm hmac-sha1; secret SECRET; };":                   "must have the algorithm hmac-sha256, hmac-sha384 or hmac-sha512; tsig-keygen makes such a key",
		"key mep { algorithm hmac-sha256; secret \"SECRET\n\"; };":           "must end each quoted text on its line",
		"/* key mep": "must end the comment that it begins with /*",
		"key a { algorithm hmac-sha256; secret SECRET; }; key b { algorithm x; secret SECRET; };": "must have one key, not 2: nothing says which is the server's",
		"mep. IN KEY 512 3 165 SECRET": form,
	} {
		_, err := parseKey(text)
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), "SEC", text)
	}
}

func TestTheKeyFileIsARuleOfTheConfiguration(t *testing.T) {
	check := func(file string, driver conf.DNSDriver) (out []string) {
		KeyFile(time.Now())(conf.Config{Rules: conf.Rules{DNS: conf.DNSRules{Driver: driver, TSIGKeyFile: file}}}, func(path, format string, args ...any) {
			out = append(out, path+": "+fmt.Sprintf(format, args...))
		})
		return out
	}
	good := nameserver.WriteKey(t, "mep", "hmac-sha256", secret)
	assert.Empty(t, check(good, conf.DNSUpdate))
	assert.Empty(t, check("", conf.DNSUpdate))
	assert.Empty(t, check("missing", conf.DNSHosts), "it has its fault already")
	missing := filepath.Join(t.TempDir(), "missing")
	assert.Equal(t, []string{`rules.dns.tsigKeyFile: "` + missing + `" cannot be read: no such file or directory`}, check(missing, conf.DNSUpdate))
	for mode, fit := range map[os.FileMode]bool{0o400: true, 0o440: true, 0o600: true, 0o640: true, 0o644: false, 0o604: false, 0o660: false, 0o602: false} {
		require.NoError(t, os.Chmod(good, mode))
		lines := check(good, conf.DNSUpdate)
		assert.Equal(t, fit, len(lines) == 0, "%o: %s", mode, lines)
		if !fit {
			assert.Contains(t, lines[0], fmt.Sprintf("has the mode %04o", mode))
			assert.Contains(t, lines[0], "chmod 600")
		}
	}
	_, err := New(conf.DNSRules{TSIGKeyFile: good + "x"}, time.Now, nil)
	assert.ErrorContains(t, err, "rules.dns.tsigKeyFile: ")
}

func FuzzKeyFile(f *testing.F) {
	f.Add(`key "mep" { algorithm hmac-sha256; secret "` + secret + `"; };`)
	f.Add("/*/ # \" key key { ; } key")
	f.Add("key a{algorithm hmac-sha512;secret AAAA;};//")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKey(text)
		switch {
		case (k == nil) == (err == nil):
			t.Fatal("a key or an error")
		case err == nil && (!driver.PlainName(k.name) || k.algorithm == "" || k.sum == nil):
			t.Fatalf("no key: %+v", k)
		case err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b"):
			t.Fatalf("%q", err)
		}
	})
}
