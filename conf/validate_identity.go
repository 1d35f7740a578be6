package conf

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The lifetimes that tokens of our own may have. One that is too short for a heartbeat's
// interval costs a token for each; one that is long outlives what its bearer may do elsewhere.
const (
	leastLifetime = time.Second
	mostLifetime  = 24 * time.Hour
)

// OwnIssuer is what iss is of the tokens that this platform makes itself.
const OwnIssuer = "mepserver"

// algorithms are the signatures that tokens of other issuers may have.
func algorithms() []string {
	return []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
}

func (k checker) identity() {
	k.certificate()
	if k.jwtSource() {
		k.jwt()
	}
	k.proxy()
	k.issuer()
}

// useless reports a key that has a value although what it belongs to is not there.
func (k checker) useless(path string, given bool, without string) {
	if given {
		k.report(Fault{k.where(path), path, "is of no use without " + without}, without)
	}
}

func (k checker) certificate() {
	c := k.Identity.Certificate
	const enabled = "identity.certificate.enabled"
	k.useless("identity.certificate.roles", !c.Enabled && len(c.Roles) > 0, enabled)
	if c.Enabled && k.Server.TLS.ClientCAFile == "" {
		k.report(Fault{k.where(enabled), enabled, "needs server.tls.clientCAFile, the certificates that sign those of clients"}, "server.tls.clientCAFile")
	}
	before, after, found := strings.Cut(c.Pattern, AppPlaceholder)
	scheme, rest, hasScheme := strings.Cut(before, ":")
	if !found || strings.Contains(after, AppPlaceholder) || !hasScheme || scheme == "" || rest == "" || strings.IndexFunc(before+after, isNoURI) >= 0 {
		k.fault("identity.certificate.pattern", "must be a URI with %s in it once, such as urn:mec:app:%[1]s or spiffe://domain/app/%[1]s, not %s", AppPlaceholder, shown(c.Pattern))
	}
	for san, roles := range c.Roles {
		if slices.Contains(roles, RoleHost) {
			k.fault("identity.certificate.roles", "must not give %s the role host: a certificate has no list of applications to act for; use a token", shown(san))
			return
		}
	}
}

func isNoURI(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }

// jwtSource checks that there is one source of keys, and says whether there is any.
func (k checker) jwtSource() bool {
	j := k.Identity.JWT
	sources := []struct{ path, value string }{
		{"identity.jwt.keyFile", j.KeyFile}, {"identity.jwt.jwksURL", j.JWKSURL}, {"identity.jwt.discoveryURL", j.DiscoveryURL},
	}
	first := ""
	for _, s := range sources {
		switch {
		case s.value == "":
		case first == "":
			first = s.path
		default:
			k.report(Fault{k.where(s.path), s.path, "must be empty when keys come from " + first + k.writtenAt(first) + ": they come from exactly one source"}, first)
		}
	}
	if first != "" {
		return true
	}
	for _, s := range []struct{ path, value string }{{"identity.jwt.issuer", j.Issuer}, {"identity.jwt.audience", j.Audience}, {"identity.jwt.caFile", j.CAFile}} {
		if s.value != "" {
			k.report(Fault{k.where(s.path), s.path, "is of no use without keys: identity.jwt.keyFile, jwksURL or discoveryURL"},
				"identity.jwt.keyFile", "identity.jwt.jwksURL", "identity.jwt.discoveryURL")
		}
	}
	return false
}

func (k checker) jwt() {
	j := k.Identity.JWT
	for _, s := range []struct{ path, value, why string }{
		{"identity.jwt.issuer", j.Issuer, "what iss of a token must be; otherwise any issuer whose keys are published there would be believed"},
		{"identity.jwt.audience", j.Audience, "what aud of a token must contain; otherwise a token for any other service would do here"},
		{"identity.jwt.claim", j.Claim, "the claim that names the application"},
		{"identity.jwt.rolesClaim", j.RolesClaim, "the claim that names the roles"},
	} {
		if s.value == "" {
			k.report(Fault{k.firstGiven(s.path, "identity.jwt.keyFile", "identity.jwt.jwksURL", "identity.jwt.discoveryURL"), s.path, "must be given: " + s.why})
		}
	}
	if j.Claim != "" && j.Claim == j.RolesClaim {
		k.fault("identity.jwt.rolesClaim", "must be another claim than identity.jwt.claim, not %s too", shown(j.Claim))
	}
	if j.Issuer == OwnIssuer && k.Identity.Issuer.Enabled {
		k.report(Fault{k.where("identity.jwt.issuer"), "identity.jwt.issuer", "must not be " + OwnIssuer + ": that is this server's own issuer" + k.writtenAt("identity.issuer.enabled")}, "identity.issuer.enabled")
	}
	k.jwtAlgorithms(j.Algorithms)
	for _, s := range []struct{ path, value string }{{"identity.jwt.jwksURL", j.JWKSURL}, {"identity.jwt.discoveryURL", j.DiscoveryURL}} {
		if s.value != "" && !keyURL(s.value, s.path == "identity.jwt.discoveryURL") {
			k.fault(s.path, "must be an https URL without user or fragment (http only on loopback)%s; whoever can change what comes from there is every application",
				map[bool]string{true: ", nor query"}[s.path == "identity.jwt.discoveryURL"]) // not shown: a URL may hold a password
		}
	}
	if j.CAFile != "" && j.KeyFile != "" {
		k.useless("identity.jwt.caFile", true, "identity.jwt.jwksURL or discoveryURL")
	}
}

func (k checker) jwtAlgorithms(given []string) {
	const path = "identity.jwt.algorithms"
	if len(given) == 0 {
		k.fault(path, "must name at least one algorithm of %s", strings.Join(algorithms(), ", "))
	}
	for i, a := range given {
		switch {
		case strings.HasPrefix(strings.ToUpper(a), "HS"), strings.EqualFold(a, "none"):
			k.fault(path, "must not have %s: everybody who verifies such a token could make one; there are %s", shown(a), strings.Join(algorithms(), ", "))
			return
		case !slices.Contains(algorithms(), a):
			k.fault(path, "must be of %s, not %s", strings.Join(algorithms(), ", "), shown(a))
			return
		case slices.Contains(given[:i], a):
			k.fault(path, "must name %s once", shown(a))
			return
		}
	}
}

// keyURL says whether keys may be fetched from a URL.
func keyURL(text string, noQuery bool) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || noQuery && (u.RawQuery != "" || u.ForceQuery) {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	local := err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
	return u.Scheme == "https" || u.Scheme == "http" && local
}

func (k checker) proxy() {
	p := k.Identity.Proxy
	const header, from, san = "identity.proxy.header", "identity.proxy.from", "identity.proxy.san"
	if p.Header == "" {
		k.useless(from, len(p.From) > 0, header)
		k.useless(san, p.SAN != "", header)
		return
	}
	if !headerOfOurs(p.Header) {
		k.fault(header, "must be the name of a header that nobody else has a use for, such as X-App-Instance-Id, not %s", shown(p.Header))
	}
	if len(p.From) == 0 {
		k.report(Fault{k.firstGiven(from, header), from, "must list the networks that the proxy calls from"}, header)
	}
	tls := k.Server.TLS
	switch {
	case tls.On() && p.SAN == "":
		k.report(Fault{k.firstGiven(san, header), san, "must be given with TLS" + k.writtenAt("server.tls.certFile") +
			": it tells the proxy from applications, which may call from its networks"}, header, "server.tls.certFile")
	case tls.On() && tls.ClientCAFile == "":
		k.report(Fault{k.firstGiven(san, header), san, "needs server.tls.clientCAFile, the certificates that sign the proxy's"}, "server.tls.clientCAFile")
	case !tls.On() && p.SAN != "":
		k.useless(san, true, "server.tls.certFile")
	case !tls.On() && everyAddress(p.From):
		k.fault(from, "must not be every address without TLS: whoever calls could name any application")
	default:
		k.proxySAN()
	}
}

// proxySAN keeps the proxy's name apart from all others: whoever is given a certificate with
// that name, as the application or the caller that it names, would pass for the proxy.
func (k checker) proxySAN() {
	c, san := k.Identity.Certificate, k.Identity.Proxy.SAN
	if !c.Enabled || san == "" {
		return
	}
	const path, pattern, roles = "identity.proxy.san", "identity.certificate.pattern", "identity.certificate.roles"
	report := func(whose, other string) {
		k.report(Fault{k.where(path), path, "must not be " + shown(san) + ": a certificate with that name is " + whose + " by " + other + k.writtenAt(other)}, other)
	}
	before, after, found := strings.Cut(c.Pattern, AppPlaceholder)
	rest, begins := strings.CutPrefix(san, before)
	if found && begins && strings.HasSuffix(rest, after) {
		report("an application's", pattern)
		return
	}
	if _, is := c.Roles[san]; is {
		report("somebody's with roles of its own", roles)
	}
}

// everyAddress says whether networks together hold all addresses that a caller may have, of
// IPv4 or of IPv6: two halves are as much as the whole.
func everyAddress(networks []netip.Prefix) bool {
	unicast4 := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/2"), netip.MustParsePrefix("192.0.0.0/3")}
	global6 := netip.MustParsePrefix("2000::/3") // RFC 4291 §2.4: all that is assigned as global unicast
	return covered(global6, networks) || !slices.ContainsFunc(unicast4, func(part netip.Prefix) bool { return !covered(part, networks) })
}

// covered says whether each address of one network is in some of the others.
func covered(whole netip.Prefix, by []netip.Prefix) bool {
	part := false
	for _, n := range by {
		if n.Overlaps(whole) {
			if n.Bits() <= whole.Bits() {
				return true
			}
			part = true
		}
	}
	if !part {
		return false
	}
	bits := whole.Bits()
	half := whole.Addr().AsSlice()
	half[bits/8] |= 0x80 >> (bits % 8)
	second, _ := netip.AddrFromSlice(half)
	return covered(netip.PrefixFrom(whole.Addr(), bits+1), by) && covered(netip.PrefixFrom(second, bits+1), by)
}

// headerOfOurs says whether a header may name an application: not one that HTTP, browsers or
// this server give a meaning of their own.
func headerOfOurs(name string) bool {
	token := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	lower := strings.ToLower(name)
	for _, taken := range []string{"accept", "access-control-", "content-", "if-", "mep-", "proxy-", "sec-"} {
		if strings.HasPrefix(lower, taken) {
			return false
		}
	}
	return strings.IndexFunc(name, token) < 0 && !slices.Contains([]string{"authorization", "connection", "cookie", "date", "expect", "forwarded", "host",
		"keep-alive", "last-event-id", "origin", "prefer", "range", "referer", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}, lower)
}

func (k checker) issuer() {
	i := k.Identity.Issuer
	const enabled, keyFile = "identity.issuer.enabled", "identity.issuer.keyFile"
	if !i.Enabled {
		k.useless(keyFile, i.KeyFile != "", enabled)
		return
	}
	if i.KeyFile == "" {
		k.report(Fault{k.firstGiven(keyFile, enabled), keyFile, "must be given with identity.issuer.enabled" + k.writtenAt(enabled) + "; mepserver init makes it"}, enabled)
	}
	if i.Lifetime < leastLifetime || i.Lifetime > mostLifetime {
		k.fault("identity.issuer.lifetime", "must be from %s to %s, not %s", leastLifetime, mostLifetime, i.Lifetime)
	}
}
