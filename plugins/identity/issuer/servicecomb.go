package issuer

import (
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

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
	out, err := a.grant(r.Context(), name, password, "", r.RemoteAddr)
	if err != nil {
		return 0, nil, problemOf(err)
	}
	out.note(w)
	return http.StatusOK, map[string]string{"token": out.token}, nil
}
