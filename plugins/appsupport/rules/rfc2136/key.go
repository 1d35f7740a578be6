package rfc2136

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// KeyFile is the rule of rules.dns.tsigKeyFile: the file must hold a key that can be used.
func KeyFile(now time.Time) conf.Rule {
	return func(c conf.Config, fault func(path, format string, args ...any)) {
		if file := c.Rules.DNS.TSIGKeyFile; file != "" && c.Rules.DNS.Driver == conf.DNSUpdate {
			if _, err := certs.Load(keyFile{file}, now); err != nil {
				fault("rules.dns.tsigKeyFile", "%s", err.Error())
			}
		}
	}
}

// key is a TSIG key (RFC 8945). It signs and verifies messages for miekg/dns, which by itself
// would verify an answer by whatever algorithm that names.
type key struct {
	name      string                  // canonical, with its dot
	algorithm string                  // as miekg/dns names it
	sum       func(msg []byte) []byte // knows the secret, which so is never printed
}

// Generate implements dns.TsigProvider.
func (k *key) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	if dns.CanonicalName(t.Hdr.Name) != k.name || dns.CanonicalName(t.Algorithm) != k.algorithm {
		return nil, dns.ErrSecret
	}
	return k.sum(msg), nil
}

// Verify implements dns.TsigProvider.
func (k *key) Verify(msg []byte, t *dns.TSIG) error {
	want, err := k.Generate(msg, t)
	if err != nil {
		return err
	}
	if mac, err := hex.DecodeString(t.MAC); err != nil || !hmac.Equal(mac, want) {
		return dns.ErrSig
	}
	return nil
}

// keyFile is a certs.Source of one key in the form of BIND's key files, which tsig-keygen writes
// and nsupdate -k reads. Its faults quote nothing of the file: whatever stands at a wrong place
// there may be the secret.
type keyFile struct{ path string }

// Files implements certs.Source.
func (f keyFile) Files() []string { return []string{f.path} }

// Parse implements certs.Source.
func (f keyFile) Parse(contents [][]byte, _ time.Time) (*key, error) {
	if contents[0] == nil {
		return nil, nil //nolint:nilnil // that it could not be read is reported already
	}
	err := f.private()
	var k *key
	if err == nil {
		k, err = parseKey(string(contents[0]))
	}
	if err != nil {
		return nil, certs.Faults{{File: f.path, Rule: err.Error()}}
	}
	return k, nil
}

// private refuses a file that everybody on the machine may read or write: whoever has the key
// decides where all names of the zone lead. Its group may read it, as secrets are mounted so.
func (f keyFile) private() error {
	info, err := os.Stat(f.path)
	if err != nil || runtime.GOOS == "windows" {
		return nil //nolint:nilerr // it was read a moment ago; what is there now is found when it is read again
	}
	if mode := info.Mode().Perm(); mode&0o026 != 0 {
		return fmt.Errorf("has the mode %04o: others than its owner and group may read it, or others than its owner may write it; chmod 600 makes it private", mode)
	}
	return nil
}

// parseKey reads a file that has one key and nothing else.
func parseKey(text string) (*key, error) {
	words, err := words(text)
	if err != nil {
		return nil, err
	}
	if n := countKeys(words); n > 1 {
		return nil, fmt.Errorf("must have one key, not %d: nothing says which is the server's", n)
	}
	const form = `must have the form of BIND's key files: key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`
	if len(words) < 5 || words[0] != "key" || words[2] != "{" || words[len(words)-2] != "}" || words[len(words)-1] != ";" {
		return nil, errors.New(form)
	}
	k := &key{name: dns.CanonicalName(words[1])}
	if !driver.PlainName(words[1]) {
		return nil, errors.New("must have a key whose name is a domain name")
	}
	values := map[string]string{}
	for inner := words[3 : len(words)-2]; len(inner) > 0; inner = inner[3:] {
		if len(inner) < 3 || inner[2] != ";" || inner[0] != "algorithm" && inner[0] != "secret" || values[inner[0]] != "" {
			return nil, errors.New(form)
		}
		values[inner[0]] = inner[1]
	}
	if err := k.use(values["algorithm"], values["secret"]); err != nil {
		return nil, err
	}
	return k, nil
}

// countKeys counts the clauses of keys.
func countKeys(words []string) (n int) {
	for i, w := range words {
		if w == "key" && i+2 < len(words) && words[i+2] == "{" {
			n++
		}
	}
	return n
}

// use takes the algorithm and the secret of the key.
func (k *key) use(algorithm, secret string) error {
	var of func() hash.Hash
	switch strings.ToLower(algorithm) {
	case "hmac-sha256":
		k.algorithm, of = dns.HmacSHA256, sha256.New
	case "hmac-sha384":
		k.algorithm, of = dns.HmacSHA384, sha512.New384
	case "hmac-sha512":
		k.algorithm, of = dns.HmacSHA512, sha512.New
	default:
		return errors.New("must have the algorithm hmac-sha256, hmac-sha384 or hmac-sha512; tsig-keygen makes such a key")
	}
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(raw) == 0 {
		return errors.New("must have a secret in base64")
	}
	k.sum = func(msg []byte) []byte {
		h := hmac.New(of, raw)
		h.Write(msg)
		return h.Sum(nil)
	}
	return nil
}

// words splits a file of BIND's into words, quoted strings without their quotes, and the signs
// { } and ;. Comments are those of C, C++ and shells.
func words(text string) (out []string, err error) {
	for text != "" {
		switch c := text[0]; {
		case strings.ContainsRune(" \t\r\n", rune(c)):
			text = text[1:]
		case c == '#', strings.HasPrefix(text, "//"):
			_, text, _ = strings.Cut(text, "\n")
		case strings.HasPrefix(text, "/*"):
			_, rest, ends := strings.Cut(text[2:], "*/")
			if !ends {
				return nil, errors.New("must end the comment that it begins with /*")
			}
			text = rest
		case c == '"':
			word, rest, ends := strings.Cut(text[1:], `"`)
			if !ends || strings.Contains(word, "\n") {
				return nil, errors.New("must end each quoted text on its line")
			}
			out, text = append(out, word), rest
		case strings.ContainsRune("{};", rune(c)):
			out, text = append(out, text[:1]), text[1:]
		default:
			end := strings.IndexAny(text, " \t\r\n\"{};#")
			if end < 0 {
				end = len(text)
			}
			out, text = append(out, text[:end]), text[end:]
		}
	}
	return out, nil
}
