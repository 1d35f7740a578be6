package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// renewalTime is how long before its certificate ends a connection is closed behind each
// answer, so that a client that has a newer one by now shows that, and no request fails.
const renewalTime = time.Minute

// certificates knows who presents a client certificate. It reads each once.
type certificates struct {
	on             bool // a certificate is an identity of its own
	prefix, suffix string
	roles          conf.Roles
	proxy          string // SAN of the proxy's; "": there is none
	read           *cache[*x509.Certificate, certificate]
}

func newCertificates(c conf.Identities) *certificates {
	prefix, suffix, _ := strings.Cut(c.Certificate.Pattern, conf.AppPlaceholder)
	return &certificates{c.Certificate.Enabled, prefix, suffix, c.Certificate.Roles, c.Proxy.SAN, newCache[*x509.Certificate, certificate]()}
}

// certificate is what a client certificate says.
type certificate struct {
	caller     *plugins.Caller // nil: it names nobody
	err        error
	isProxy    bool
	thumbprint [sha256.Size]byte
	ends       time.Time // of the first certificate that ends of its chain
}

// of returns what the client certificate of a connection says; nil: there is none. TLS has
// verified its chain when the connection was made, and ends connections whose authority is
// taken away.
func (cs *certificates) of(state *tls.ConnectionState) *certificate {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	if len(state.VerifiedChains) == 0 { // it must not be believed, whoever let it in
		return &certificate{err: badCertificate}
	}
	leaf := state.PeerCertificates[0] // connections that present the same certificate share it
	if c := cs.read.get(leaf); c != nil {
		return c
	}
	c := cs.parse(leaf)
	c.ends = endOf(state.VerifiedChains)
	cs.read.put(leaf, c, func(*certificate) bool { return false })
	return c
}

// parse reads the SANs. Subjects are not read: what stands there has no fixed meaning. A
// certificate that names several is none of them.
func (cs *certificates) parse(leaf *x509.Certificate) *certificate {
	c := &certificate{thumbprint: sha256.Sum256(leaf.Raw)}
	for _, name := range subjectNames(leaf) {
		if cs.proxy != "" && name == cs.proxy {
			c.isProxy = true
			continue
		}
		caller, ok := cs.name(name)
		switch {
		case !ok, caller != nil && c.caller != nil && caller.Name != c.caller.Name:
			c.err = badCertificate
		case caller != nil:
			c.caller = caller
		}
	}
	if c.isProxy && c.caller != nil { // an application must not pass for the proxy
		c.err = badCertificate
	}
	if c.err != nil {
		c.caller, c.isProxy = nil, false
	}
	return c
}

// subjectNames are the SANs that are URIs or DNS names. A URI has a colon and a DNS name has
// none: what does not keep to that is left out, or a DNS name with the text of a URI, which an
// authority may sign for anybody who asks, could pass for it.
func subjectNames(leaf *x509.Certificate) (names []string) {
	for _, u := range leaf.URIs {
		if u.Scheme != "" {
			names = append(names, u.String())
		}
	}
	for _, name := range leaf.DNSNames {
		if !strings.Contains(name, ":") {
			names = append(names, name)
		}
	}
	return names
}

// name says whom a SAN names; nil: nobody. !ok: it has the form of an application's, but what
// it names can be none.
func (cs *certificates) name(san string) (who *plugins.Caller, ok bool) {
	if !cs.on {
		return nil, true
	}
	who = &plugins.Caller{Name: san, Roles: cs.roles[san], Source: "certificate"}
	rest, hasPrefix := strings.CutPrefix(san, cs.prefix)
	app, hasSuffix := strings.CutSuffix(rest, cs.suffix)
	switch {
	case hasPrefix && hasSuffix && mp1.ValidID(app):
		who.Name, who.App = app, app
		if who.Roles == nil {
			who.Roles = []string{conf.RoleApp}
		}
	case who.Roles != nil:
	case hasPrefix && hasSuffix:
		return nil, false
	default:
		return nil, true
	}
	return who, true
}

// endOf is when the chain that lasts longest ends.
func endOf(chains [][]*x509.Certificate) (last time.Time) {
	for _, chain := range chains {
		ends := chain[0].NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(ends) {
				ends = c.NotAfter
			}
		}
		if ends.After(last) {
			last = ends
		}
	}
	return last
}
