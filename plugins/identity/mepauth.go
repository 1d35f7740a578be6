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

// ignores says whether an Authorization that was not taken counts as if it were not there: it is
// meant for somebody else. EdgeGallery's applications may present mepauth's token, whose key is not
// known, where they need none; its portal passes on what its own proxy or the browser adds. It
// proves nothing, so it opens nothing. A token of an issuer that is believed must be right.
//
// Within the pod only the gateway has tokens: one that comes from there without the gateway's
// header is of a client that had the header taken away.
func (d *door) ignores(r *http.Request, values []string) bool {
	if d.site == nil || len(values) != 1 || fromHere(endsOf(r)) {
		return false
	}
	raw, err := bearerOf(values)
	if err != nil {
		return true
	}
	t, err := token.Parse(raw)
	return err != nil || !d.tokens.believes(t.Issuer())
}
