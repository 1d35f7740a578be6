package matrix

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// presented is what a client shows: headers as pairs, a certificate, and where it calls from.
type presented struct {
	header []string
	cert   *tls.Certificate
	from   string // its address; "": any
}

func bearer(token string) presented {
	return presented{header: []string{"Authorization", "Bearer " + token}}
}

func (p presented) with(header ...string) presented {
	p.header = append(append([]string{}, p.header...), header...)
	return p
}

func (p presented) over(cert *tls.Certificate) presented {
	p.cert = cert
	return p
}

// attack is a way to be taken for the victim, or for somebody who may more.
type attack struct {
	name string
	with presented
	// ignored says that what is presented counts for nothing, as if nothing were: an Open
	// route answers it.
	ignored bool
}

// attacks are all that come to mind that must be a 401 on every route. Each would have every
// role and be the victim if it were believed.
func (w *world) attacks(t *testing.T) []attack {
	t.Helper()
	everything := claims{"roles": []string{"app", "host", "reader", "registry", "admin"}, "apps": []string{victim, "vict*"}}
	with := func(more claims) claims {
		out := claims{}
		for _, c := range []claims{everything, more} {
			for k, v := range c {
				out[k] = v
			}
		}
		return w.issuer.claims(victim, out)
	}
	header := func(more claims) claims {
		out := claims{"alg": "EdDSA", "kid": keyID, "typ": "JWT"}
		for k, v := range more {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
		return out
	}
	now := time.Now().Unix()
	good := w.issuer.signed(header(nil), with(nil))
	stranger := newIssuer(t)
	public, ok := w.issuer.key.Public().(ed25519.PublicKey)
	require.True(t, ok)
	inPEM, err := os.ReadFile(filepath.Join(filepath.Dir(w.issuer.file), "public.pem"))
	require.NoError(t, err)
	set, err := os.ReadFile(w.issuer.file)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	bound := func(cert tls.Certificate) string {
		sum := sha256.Sum256(cert.Certificate[0])
		return w.issuer.signed(header(nil), with(claims{"cnf": claims{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}))
	}
	out := []attack{
		{"nothing", presented{}, true},
		{"an expired token", bearer(w.issuer.signed(header(nil), with(claims{"exp": now - 1}))), false},
		{"a token without an end", bearer(w.issuer.signed(header(nil), with(claims{"exp": nil}))), false},
		{"a token that is not valid yet", bearer(w.issuer.signed(header(nil), with(claims{"nbf": now + 300}))), false},
		{"a token of another issuer", bearer(w.issuer.signed(header(nil), with(claims{"iss": issuerName + "/other"}))), false},
		{"a token of no issuer", bearer(w.issuer.signed(header(nil), with(claims{"iss": nil}))), false},
		{"a token for another audience", bearer(w.issuer.signed(header(nil), with(claims{"aud": "elsewhere"}))), false},
		{"a token for no audience", bearer(w.issuer.signed(header(nil), with(claims{"aud": nil}))), false},
		{"a token of no subject", bearer(w.issuer.signed(header(nil), with(claims{"sub": nil}))), false},
		{"a token whose subject is a path", bearer(w.issuer.signed(header(nil), with(claims{"sub": "../" + victim}))), false},
		{"alg none", bearer(encoded(header(claims{"alg": "none"})) + "." + parts[1] + "."), false},
		{"alg None, signed", bearer(encoded(header(claims{"alg": "None"})) + "." + parts[1] + "." + parts[2]), false},
		{"HS256 with the public key", bearer(withSecret(header(claims{"alg": "HS256"}), with(nil), public)), false},
		{"HS256 with the public key in PEM", bearer(withSecret(header(claims{"alg": "HS256"}), with(nil), inPEM)), false},
		{"HS256 with the key set", bearer(withSecret(header(claims{"alg": "HS256"}), with(nil), set)), false},
		{"HS256 with an empty key", bearer(withSecret(header(claims{"alg": "HS256", "kid": nil}), with(nil), nil)), false},
		{"an unknown kid", bearer(w.issuer.signed(header(claims{"kid": "k2"}), with(nil))), false},
		{"a kid that is a path", bearer(withSecret(header(claims{"alg": "HS256", "kid": "../../../../dev/null"}), with(nil), nil)), false},
		{"a kid that is a path, signed by a stranger", bearer(stranger.signed(header(claims{"kid": "file://" + stranger.file}), with(nil))), false},
		{"a stranger's signature", bearer(stranger.signed(header(nil), with(nil))), false},
		{"a stranger's key in the header", bearer(stranger.signed(header(claims{"jwk": claims{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(stranger.key[32:])}}), with(nil))), false},
		{"a stranger's key set in the header", bearer(stranger.signed(header(claims{"jku": w.trap.URL + "/keys"}), with(nil))), false},
		{"a stranger's certificate in the header", bearer(stranger.signed(header(claims{"x5u": w.trap.URL + "/cert"}), with(nil))), false},
		{"an extension that must be understood", bearer(w.issuer.signed(header(claims{"crit": []string{"exp"}}), with(nil))), false},
		{"claims that were changed", bearer(parts[0] + "." + encoded(with(claims{"x": 1})) + "." + parts[2]), false},
		{"a signature that was cut off", bearer(parts[0] + "." + parts[1] + "."), false},
		{"a signature that was shortened", bearer(good[:len(good)-4]), false},
		{"five parts", bearer(good + "." + parts[1] + "." + parts[2]), false},
		{"no token", presented{header: []string{"Authorization", "Bearer "}}, false},
		{"a token in pieces", bearer(strings.Replace(good, ".", " .", 1)), false},
		{"another scheme", presented{header: []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(victim+":x"))}}, false},
		{"a good token and a bad one", bearer(good).with("Authorization", "Bearer "+parts[0]+"."+parts[1]+".AA"), false},
		{"two good tokens", bearer(good).with("Authorization", "Bearer "+good), false},
		{"a revoked token", bearer(w.revoked), false},
		{"a header from outside the proxy's networks", presented{header: []string{proxyHeader, victim}}, true},
		{"a header with the proxy's certificate from outside its networks", presented{header: []string{proxyHeader, victim}, cert: w.proxy}, true},
		{"a header from the proxy's network without its certificate", presented{header: []string{proxyHeader, victim}, from: proxyAddress}, true},
		{"two headers of the proxy", presented{header: []string{proxyHeader, victim, proxyHeader, other}, cert: w.proxy, from: proxyAddress}, false},
		{"a header of the proxy that is no id", presented{header: []string{proxyHeader, victim + "/../" + other}, cert: w.proxy, from: proxyAddress}, false},
		{"the proxy's header and another's token", bearer(w.issuer.token(other, nil)).with(proxyHeader, victim).over(w.proxy).at(proxyAddress), false},
		{"the victim's token on another's certificate", bearer(w.issuer.token(victim, nil)).over(w.certs[other]), false},
		{"a token that is bound to another certificate", bearer(bound(*w.certs[other])).over(w.certs[victim]), false},
		{"a token that is bound to a certificate, without one", bearer(bound(*w.certs[victim])), false},
		{"a good certificate and a bad token", bearer(parts[0] + "." + parts[1] + ".AA").over(w.certs[victim]), false},
		{"a certificate with two names", presented{cert: w.certs["two"]}, false},
	}
	return out
}

func (p presented) at(address string) presented {
	p.from = address
	return p
}
