package conf

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mec-liveness/mepserver/mp1"
)

// setting ties a key to its place in a Config. The pointer's type decides what
// may be written there.
type setting struct {
	path string
	flag string // the flag that sets it too, or ""
	ptr  any    // *string, *bool, *int, *Size, *time.Duration, *[]string, *[]netip.Prefix, *[]mp1.NTPServer, *[]mp1.PTPMaster, *Roles, *choice, *Secret
}

// choice is a string that must be one of a few.
type choice struct {
	set func(string)
	of  []string
}

// settings lists every key there is, in the order of the shipped file.
func settings(c *Config) []setting {
	return slices.Concat([]setting{
		{"server.listen", "listen", &c.Server.Listen},
		{"server.insecure", "insecure", &c.Server.Insecure},
		{"server.advertise", "", &c.Server.Advertise},
		{"server.adminSocket", "", &c.Server.AdminSocket},
		{"server.tls.certFile", "", &c.Server.TLS.CertFile},
		{"server.tls.keyFile", "", &c.Server.TLS.KeyFile},
		{"server.tls.keyPasswordFile", "", &c.Server.TLS.KeyPasswordFile},
		{"server.tls.keyPassword", "", &c.Server.TLS.KeyPassword},
		{"server.tls.clientCAFile", "", &c.Server.TLS.ClientCAFile},
		{"server.origins", "", &c.Server.Origins},
		{"server.consoleDir", "console-dir", &c.Server.ConsoleDir},
		{"identity.certificate.enabled", "", &c.Identity.Certificate.Enabled},
		{"identity.certificate.pattern", "", &c.Identity.Certificate.Pattern},
		{"identity.certificate.roles", "", &c.Identity.Certificate.Roles},
		{"identity.jwt.keyFile", "", &c.Identity.JWT.KeyFile},
		{"identity.jwt.jwksURL", "", &c.Identity.JWT.JWKSURL},
		{"identity.jwt.discoveryURL", "", &c.Identity.JWT.DiscoveryURL},
		{"identity.jwt.caFile", "", &c.Identity.JWT.CAFile},
		{"identity.jwt.issuer", "", &c.Identity.JWT.Issuer},
		{"identity.jwt.audience", "", &c.Identity.JWT.Audience},
		{"identity.jwt.algorithms", "", &c.Identity.JWT.Algorithms},
		{"identity.jwt.claim", "", &c.Identity.JWT.Claim},
		{"identity.jwt.rolesClaim", "", &c.Identity.JWT.RolesClaim},
		{"identity.proxy.header", "", &c.Identity.Proxy.Header},
		{"identity.proxy.from", "", &c.Identity.Proxy.From},
		{"identity.proxy.san", "", &c.Identity.Proxy.SAN},
		{"identity.issuer.enabled", "", &c.Identity.Issuer.Enabled},
		{"identity.issuer.keyFile", "", &c.Identity.Issuer.KeyFile},
		{"identity.issuer.lifetime", "", &c.Identity.Issuer.Lifetime},
		{"store.kind", "", oneOf(&c.Store.Kind, Embedded, Etcd)},
		{"store.dataDir", "data-dir", &c.Store.DataDir},
		{"store.quotaBytes", "", &c.Store.QuotaBytes},
		{"store.endpoints", "etcd-endpoints", &c.Store.Endpoints},
		{"store.caFile", "", &c.Store.CAFile},
		{"store.certFile", "", &c.Store.CertFile},
		{"store.keyFile", "", &c.Store.KeyFile},
		{"store.username", "", &c.Store.Username},
		{"store.passwordFile", "", &c.Store.PasswordFile},
		{"store.password", "", &c.Store.Password},
		{"applications.admission", "", oneOf(&c.Applications.Admission, Open, Registered)},
		{"applications.known", "", &c.Applications.Known},
		{"applications.maxServices", "", &c.Applications.MaxServices},
		{"applications.maxSubscriptions", "", &c.Applications.MaxSubscriptions},
		{"liveness.defaultInterval", "", &c.Liveness.DefaultInterval},
		{"liveness.minInterval", "", &c.Liveness.MinInterval},
		{"liveness.maxInterval", "", &c.Liveness.MaxInterval},
		{"liveness.allowedMisses", "", &c.Liveness.AllowedMisses},
		{"liveness.hold", "", &c.Liveness.Hold},
		{"liveness.deregisterAfter", "", &c.Liveness.DeregisterAfter},
		{"liveness.maxBeatsPerSecond", "", &c.Liveness.MaxBeatsPerSecond},
		{"discovery.includeSuspended", "", &c.Discovery.IncludeSuspended},
		{"notify.timeout", "", &c.Notify.Timeout},
		{"notify.giveUpAfter", "", &c.Notify.GiveUpAfter},
		{"notify.flap.changes", "", &c.Notify.Flap.Changes},
		{"notify.flap.period", "", &c.Notify.Flap.Period},
		{"notify.keptBytes", "", &c.Notify.KeptBytes},
		{"notify.keptBytesInAll", "", &c.Notify.KeptBytesInAll},
		{"notify.allowedCallbackCIDRs", "", &c.Notify.AllowedCallbackCIDRs},
		{"notify.signingKeyFile", "", &c.Notify.SigningKeyFile},
		{"notify.caFile", "", &c.Notify.CAFile},
		{"notify.certFile", "", &c.Notify.CertFile},
		{"notify.keyFile", "", &c.Notify.KeyFile},
		{"rules.dns.driver", "", oneOf(&c.Rules.DNS.Driver, DNSNone, DNSHosts, DNSUpdate, DNSEdgeGallery)},
		{"rules.dns.hostsFile", "", &c.Rules.DNS.HostsFile},
		{"rules.dns.server", "", &c.Rules.DNS.Server},
		{"rules.dns.zone", "", &c.Rules.DNS.Zone},
		{"rules.dns.tsigKeyFile", "", &c.Rules.DNS.TSIGKeyFile},
		{"rules.dns.url", "", &c.Rules.DNS.URL},
		{"timing.ntpServers", "", &c.Timing.NTPServers},
		{"timing.ptpMasters", "", &c.Timing.PTPMasters},
	}, limitSettings(&c.Limits), []setting{
		{"audit.file", "", &c.Audit.File},
		{"board.dashboardURL", "", &c.Board.DashboardURL},
		{"compat", "", oneOf(&c.Compat, CompatNone, CompatEdgeGallery)},
	}, edgeGallerySettings(&c.EdgeGallery))
}

func oneOf[T ~string](p *T, of ...T) *choice {
	c := &choice{set: func(s string) { *p = T(s) }}
	for _, v := range of {
		c.of = append(c.of, string(v))
	}
	return c
}

// env is the environment variable of a key: MEP_ and the path in upper snake.
func (s setting) env() string {
	var b strings.Builder
	b.WriteString("MEP_")
	path := []rune(s.path)
	lower := func(i int) bool { return i >= 0 && i < len(path) && unicode.IsLower(path[i]) }
	for i, r := range path {
		switch {
		case r == '.':
			b.WriteByte('_')
		case unicode.IsUpper(r) && (lower(i-1) || lower(i+1) && lower(i+2)): // clientCAFile is CLIENT_CA_FILE, CIDRs is CIDRS
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

func (s setting) isList() bool {
	switch s.ptr.(type) {
	case *[]string, *[]netip.Prefix, *[]mp1.NTPServer, *[]mp1.PTPMaster, *Roles:
		return true
	}
	return false
}

// isMap says whether the setting is one of names with lists: a list of NAME=WORD WORD where
// a source has no maps of its own.
func (s setting) isMap() bool {
	_, is := s.ptr.(*Roles)
	return is
}

func (s setting) isSecret() bool {
	_, is := s.ptr.(*Secret)
	return is
}

// splitFor gives the words of a text from a source that has no lists of its own.
func splitFor(s setting, text string) []string {
	if !s.isList() {
		return []string{text}
	}
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// assign writes the value into the Config, or says what is wrong with it.
func (s setting) assign(v value) error {
	switch p := s.ptr.(type) {
	case *[]string:
		*p = append([]string(nil), v.words...)
		return nil
	case *[]netip.Prefix:
		return assignPrefixes(p, v.words)
	case *[]mp1.NTPServer:
		return assignNTPServers(p, v.words)
	case *[]mp1.PTPMaster:
		return assignPTPMasters(p, v.words)
	case *Roles:
		return assignRoles(p, v.words)
	}
	text := v.words[0] // every other setting has one word
	switch p := s.ptr.(type) {
	case *string:
		*p = text
	case *Secret:
		if strings.IndexFunc(text, unicode.IsControl) >= 0 {
			return errors.New("must be text without control characters")
		}
		*p = Secret(text)
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false, not %s", shown(text))
		}
		*p = text == "true"
	case *int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("must be a whole number up to %d, not %s", math.MaxInt32, shown(text))
		}
		*p = int(n)
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a Go duration such as 30s, 5m or 24h, not %s", shown(text))
		}
		*p = d
	case *Size:
		n, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = n
	case *choice:
		for _, v := range p.of {
			if text == v {
				p.set(v)
				return nil
			}
		}
		return fmt.Errorf("must be %s, not %s", strings.Join(p.of, " or "), shown(text))
	default:
		return errors.New("has no type that a value can be given for")
	}
	return nil
}

func assignPrefixes(p *[]netip.Prefix, words []string) error {
	var list []netip.Prefix
	var bad []string
	for _, w := range words {
		prefix, err := netip.ParsePrefix(w)
		switch {
		case err != nil:
			bad = append(bad, shown(w))
		case prefix != prefix.Masked():
			bad = append(bad, fmt.Sprintf("%s (has host bits: did you mean %s?)", shown(w), prefix.Masked()))
		default:
			list = append(list, prefix)
		}
	}
	if bad != nil {
		return fmt.Errorf("must be networks such as 10.0.0.0/8 or fd00::/8, not %s", strings.Join(bad, ", "))
	}
	*p = list
	return nil
}

// assignRoles takes words of the form NAME=ROLE ROLE. A NAME may contain the sign itself.
func assignRoles(p *Roles, words []string) error {
	var roles Roles
	for _, w := range words {
		i := strings.LastIndexByte(w, '=')
		if i < 1 || len(strings.Fields(w[i+1:])) == 0 {
			return fmt.Errorf("must give each name at least one role, as NAME=ROLE ROLE, not %s", shown(w))
		}
		if roles[w[:i]] != nil {
			return fmt.Errorf("must name %s once", shown(w[:i]))
		}
		if roles == nil {
			roles = Roles{}
		}
		for _, role := range strings.Fields(w[i+1:]) {
			if !slices.Contains(RoleNames(), role) {
				return fmt.Errorf("must be roles of %s, not %s", strings.Join(RoleNames(), ", "), shown(role))
			}
			roles[w[:i]] = append(roles[w[:i]], role)
		}
	}
	*p = roles
	return nil
}
