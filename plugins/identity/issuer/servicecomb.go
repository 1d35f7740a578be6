package issuer

import (
	"net/http"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// clientsKeep is how long a token of ServiceComb's clients must be valid. sc-client 0.7, and
// with it go-chassis 2.7, asks for the next one after ten hours and not when its own is
// refused: with a token that ends before, an application would be out of the registry for the
// rest of them. A token ends with its credential all the same.
const clientsKeep = 12 * time.Hour

// serviceCombLife is how long a token from /v4/token is valid: no longer than any other, but
// for those who need it to use service-center's API, and have no role of more weight.
func (a *authority) serviceCombLife(c *plugins.Credential) time.Duration {
	has := func(roles ...string) bool {
		return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(c.Roles, r) })
	}
	if has(conf.RoleRegistry, conf.RoleReader) && !has(conf.RoleHost, conf.RoleAdmin) {
		return max(a.life, clientsKeep)
	}
	return a.life
}

// tokenForServiceComb answers what ServiceComb's clients ask service-center for a token with,
// when they are told of an account: POST /v4/token (service-center's RBAC API).
func (a *authority) tokenForServiceComb(w http.ResponseWriter, r *http.Request) (int, any, error) {
	var name, password string
	if err := readObject(w, r, map[string]any{"name": &name, "password": &password}); err != nil {
		return 0, nil, err
	}
	if name == "" || password == "" {
		return 0, nil, &mp1.Invalid{Rule: "name and password must be those of a credential."}
	}
	noteClaim(w, name)
	out, err := a.grantFor(r.Context(), name, password, "", r.RemoteAddr, a.serviceCombLife)
	if err != nil {
		return 0, nil, problemOf(err)
	}
	out.note(w)
	return http.StatusOK, map[string]string{"token": out.token}, nil
}
