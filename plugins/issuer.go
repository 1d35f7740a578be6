package plugins

import (
	"context"
	"time"

	"github.com/mec-liveness/mepserver/conf"
)

// IssuerName is what iss and aud are of the tokens that this platform makes itself.
const IssuerName = conf.OwnIssuer

// Where a credential is exchanged for a token, and the cookie that holds one. A browser takes a
// name with this prefix only from the server itself, over TLS, and for all of its paths
// (RFC 6265bis §4.1.3.2).
const (
	TokenPath        = "/oauth2/token"
	AccountTokenPath = "/v4/token" // of ServiceComb's clients
	LoginPath        = "/login"
	LogoutPath       = "/logout"
	SessionCookie    = "__Host-mep"
)

// Issuer is what the issuer plugin offers: it knows the tokens that this platform made, and
// whether the credentials that they were made for still stand.
type Issuer interface {
	// Verify checks a token whose iss is IssuerName: its signature, its times and its
	// credential. The error is one that mp1/server answers.
	Verify(ctx context.Context, token string) (*IssuedToken, error)
	// Check says whether the credential and the key of a token that Verify took still stand.
	// It is called for each request, and reads nothing but memory.
	Check(t *IssuedToken) error
}

// IssuedToken is a token of the platform's own. It is not changed after it is made.
type IssuedToken struct {
	Caller     Caller // Source is "token"
	Ends       time.Time
	Credential string // the id
	Generation string // of the credential, when the token was made
	Key        string // id of the key that signed it
}
