package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/test/mep"
)

const credentialsPath = "/mec_liveness/v1/credentials"

// identityRoutes are served where the built-in issuer is enabled.
var identityRoutes = []string{"POST /oauth2/token", "GET /.well-known/jwks.json", "GET /login", "POST /login", "POST /logout", "GET " + credentialsPath, "POST " + credentialsPath,
	"DELETE " + credentialsPath + "/{id}", "POST " + credentialsPath + "/{id}/rotate"}

// ofIdentities says whether an answer of them is one of a starting program or a broken store,
// which the tests of plugins/identity/issuer see.
func ofIdentities(pattern, status string) bool {
	return slices.Contains(identityRoutes, pattern) && (status == "503" || status == "507")
}

// identities asks everything of the built-in issuer.
func (j *checker) identities() {
	const form = "application/x-www-form-urlencoded"
	s := mep.Secure(j.t)
	c := s.Add("console", "reader")
	encoded := func(pairs ...string) string {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v.Encode()
	}
	grant := []string{"grant_type", "client_credentials", "client_id", c.ID}
	j.do(s.Server, 200, "POST", "/oauth2/token", encoded(append(grant, "client_secret", c.Secret)...), "Content-Type", form)
	j.bad(s.Server, 400, "POST", "/oauth2/token", encoded("client_id", c.ID, "client_secret", c.Secret), "Content-Type", form)
	j.do(s.Server, 401, "POST", "/oauth2/token", encoded(append(grant, "client_secret", "wrong")...), "Content-Type", form)
	j.do(s.Server, 413, "POST", "/oauth2/token", encoded(append(grant, "client_secret", strings.Repeat("x", 9000))...), "Content-Type", form)
	j.do(s.Server, 200, "GET", "/.well-known/jwks.json", "")
	j.do(s.Server, 200, "GET", "/login", "")
	j.do(s.Server, 303, "POST", "/login", encoded("client_id", c.ID, "client_secret", c.Secret), "Content-Type", form)
	j.do(s.Server, 204, "POST", "/login", `{"client_id":"`+c.ID+`","client_secret":"`+c.Secret+`"}`)
	j.do(s.Server, 400, "POST", "/login", `{}`)
	j.do(s.Server, 401, "POST", "/login", `{"token":"x"}`)
	j.do(s.Server, 204, "POST", "/logout", "")
	j.do(s.Server, 303, "POST", "/logout", "", "Content-Type", form)
	j.credentials(s, s.As(c))
	boss := s.As(s.Add("chief", "admin"))
	for _, pattern := range identityRoutes {
		method, path, _ := strings.Cut(pattern, " ")
		j.bad(boss, 414, method, strings.ReplaceAll(path, "{id}", "id")+"?x="+strings.Repeat("x", 2100), "")
	}
	for range 25 { // wrong secrets
		s.Do(http.MethodPost, "/login", `{"client_id":"console","client_secret":"wrong"}`)
	}
	j.do(s.Server, 429, "POST", "/login", `{"client_id":"console","client_secret":"wrong"}`)
	j.do(s.Server, 429, "POST", "/oauth2/token", encoded(append(grant, "client_secret", "wrong")...), "Content-Type", form)
}

// credentials asks everything of their administration, as an admin and as somebody else.
func (j *checker) credentials(s *mep.Secured, other *mep.Server) {
	boss := s.As(s.Add("boss", "admin"))
	j.do(boss, 201, "POST", credentialsPath, `{"id":"agent","roles":["host"],"apps":["a-*"]}`)
	j.do(boss, 409, "POST", credentialsPath, `{"id":"agent"}`)
	j.bad(boss, 400, "POST", credentialsPath, `{"roles":["app"]}`)
	j.do(boss, 200, "GET", credentialsPath, "")
	j.do(boss, 200, "POST", credentialsPath+"/agent/rotate", `{"grace":"1h"}`)
	j.do(boss, 400, "POST", credentialsPath+"/agent/rotate", `{"grace":"soon"}`)
	j.do(boss, 404, "POST", credentialsPath+"/none/rotate", "")
	j.do(boss, 204, "DELETE", credentialsPath+"/agent", "")
	j.do(boss, 404, "DELETE", credentialsPath+"/agent", "")
	for status, who := range map[int]*mep.Server{401: s.Server, 403: other} {
		j.do(who, status, "GET", credentialsPath, "")
		j.do(who, status, "POST", credentialsPath, `{"id":"x"}`)
		j.do(who, status, "POST", credentialsPath+"/console/rotate", "")
		j.do(who, status, "DELETE", credentialsPath+"/console", "")
	}
}
