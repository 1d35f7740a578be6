package identity

import (
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

const (
	// mepauthIssuer is the iss of mepauth's tokens.
	mepauthIssuer = "mepauth"
	// mepauthTokenPath is where applications get them. This server has nothing there, and must
	// be able to say so to whoever presents an access key.
	mepauthTokenPath = "/mep/token"
)

// mepauthVerifier takes the tokens of EdgeGallery's mepauth. They name no audience, for nobody but
// this platform believes their key, and the address that asked for them; their bearer is the
// application in sub and nothing more. The gateway compares that address with its client's; here
// it must be that of whoever calls without the gateway.
func mepauthVerifier(source token.Keys) *token.Verifier {
	return &token.Verifier{Issuer: mepauthIssuer, NoAudience: true, Algorithms: []jose.SignatureAlgorithm{jose.RS512},
		Claim: "sub", AddressClaim: "clientip", Keys: source}
}

// ignores says whether a token is mepauth's and its key is not known. EdgeGallery's applications
// may present one where they need none. Within the pod only the gateway has tokens: one that comes
// from there without the gateway's header is of a client that had the header taken away.
func (d *door) ignores(r *http.Request, raw string) bool {
	if d.site == nil || fromHere(endsOf(r)) || d.tokens.mepauth != nil || d.tokens.verifier != nil && d.tokens.verifier.Issuer == mepauthIssuer {
		return false
	}
	t, err := token.Parse(raw)
	return err == nil && t.Issuer() == mepauthIssuer
}
