package conf

import (
	"net/netip"
	"time"
)

// TLS is the server's own certificate. CertFile and KeyFile together switch the port to
// HTTPS; all files are read again when they change.
type TLS struct {
	CertFile        string // PEM, the server's certificate first
	KeyFile         string // PEM
	KeyPasswordFile string // holds the password of KeyFile, on one line; empty: it has none
	KeyPassword     Secret // the same, from the environment alone
	ClientCAFile    string // PEM, the certificates that sign those of clients; empty: none is asked for
}

// On says whether the port speaks HTTPS.
func (t TLS) On() bool { return t.CertFile != "" }

// Identities lists the sources of what proves who calls. A request that proves nothing is
// anonymous. Without any source, whoever reaches the port may act for any application.
type Identities struct {
	Certificate CertificateIdentity
	JWT         JWTIdentity
	Proxy       ProxyIdentity
	Issuer      Issuer
}

// On says whether there is any source.
func (i Identities) On() bool {
	return i.Certificate.Enabled || i.JWT.On() || i.Proxy.Header != "" || i.Issuer.Enabled
}

// Identified says whether there is any source of what proves who calls, EdgeGallery's gateway and
// its mepauth among them.
func (c Config) Identified() bool {
	return c.Identity.On() || c.EdgeGallery.Site || c.EdgeGallery.TokenKeyFile != ""
}

// AppPlaceholder stands in the pattern of a SAN for the application that it names.
const AppPlaceholder = "{appInstanceId}"

// CertificateIdentity takes a client's certificate for its identity.
type CertificateIdentity struct {
	Enabled bool
	Pattern string // of a URI SAN, with {appInstanceId} once
	Roles   Roles  // roles of those whose SAN is a key
}

// JWTIdentity takes bearer tokens of another issuer. Their keys come from exactly one of
// KeyFile, JWKSURL and DiscoveryURL.
type JWTIdentity struct {
	KeyFile      string // PEM public keys or certificates, or a JWKS
	JWKSURL      string
	DiscoveryURL string // of an OpenID provider, without /.well-known/openid-configuration
	CAFile       string // certificates that sign those of the URLs' servers; empty: the system's
	Issuer       string // what iss must be
	Audience     string // what aud must contain
	Algorithms   []string
	Claim        string // names the application
	RolesClaim   string // names the roles; a token without it has the role app
}

// On says whether tokens of another issuer are taken.
func (j JWTIdentity) On() bool { return j.KeyFile != "" || j.JWKSURL != "" || j.DiscoveryURL != "" }

// ProxyIdentity takes the header of a proxy for the application that calls.
type ProxyIdentity struct {
	Header string         // its name; empty: none is believed
	From   []netip.Prefix // networks that the proxy calls from
	SAN    string         // a SAN of the proxy's own client certificate; mandatory with TLS
}

// Issuer makes tokens at /oauth2/token for the credentials that the store keeps.
type Issuer struct {
	Enabled  bool
	KeyFile  string        // PEM private keys; the first signs, all verify
	Lifetime time.Duration // of a token
}

// Roles are the roles of names.
type Roles map[string][]string

// The roles; docs/security.md says what each may do.
const (
	RoleApp      = "app"
	RoleHost     = "host"
	RoleReader   = "reader"
	RoleRegistry = "registry"
	RoleAdmin    = "admin"
)

// RoleNames are all roles there are.
func RoleNames() []string { return []string{RoleApp, RoleHost, RoleReader, RoleRegistry, RoleAdmin} }

// Audit says where the lines about refused and changing requests go.
type Audit struct {
	File string // empty: standard error, and only if there are identities
}

func defaultIdentities() Identities {
	return Identities{
		Certificate: CertificateIdentity{Pattern: "urn:mec:app:{appInstanceId}"},
		JWT:         JWTIdentity{Algorithms: []string{"ES256", "EdDSA", "PS256", "RS256"}, Claim: "sub", RolesClaim: "roles"},
		Issuer:      Issuer{Lifetime: 15 * time.Minute},
	}
}
