package issuer

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/retryafter"
	"github.com/mec-liveness/mepserver/mp1/server"
)

const (
	maxForm     = 8 << 10
	basicRealm  = `Basic realm="mepserver", charset="UTF-8"`
	keysPath    = "/.well-known/jwks.json"
	keysMaxAge  = "public, max-age=60"
	grantClient = "client_credentials"
)

// oauthError is an error of RFC 6749 §5.2.
type oauthError struct {
	status      int
	code        string
	description string
	wait        time.Duration // Retry-After
}

// Error implements error.
func (e *oauthError) Error() string { return e.code + ": " + e.description }

func badRequest(description string) error {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// serveToken is the token endpoint (RFC 6749 §4.4).
func (a *authority) serveToken(w http.ResponseWriter, r *http.Request) {
	out, err := a.token(w, r)
	h := w.Header()
	h.Set("Pragma", "no-cache") // RFC 6749 §5.1
	if err == nil {
		out.note(w)
		server.WriteJSON(w, http.StatusOK, map[string]any{"access_token": out.token, "token_type": "Bearer",
			"expires_in": int(out.life / time.Second), "scope": strings.Join(out.roles, " ")})
		return
	}
	e := oauthErrorOf(err)
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", basicRealm)
	}
	if e.wait > 0 {
		h.Set("Retry-After", strconv.Itoa(retryafter.Seconds(e.wait)))
	}
	server.WriteJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) (issued, error) {
	f, err := readForm(w, r)
	if err != nil {
		return issued{}, err
	}
	id, secret, err := f.client(r)
	noteClaim(w, id)
	switch {
	case err != nil:
		return issued{}, err
	case f.get("grant_type") == "":
		return issued{}, badRequest("grant_type is missing")
	case f.get("grant_type") != grantClient:
		return issued{}, &oauthError{status: http.StatusBadRequest, code: "unsupported_grant_type", description: "only client_credentials is supported"}
	}
	return a.grant(r.Context(), id, secret, f.get("scope"), r.RemoteAddr)
}

// oauthErrorOf maps errors to those of RFC 6749.
func oauthErrorOf(err error) *oauthError {
	var e *oauthError
	var over *server.OverLimit
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, errClient):
		return &oauthError{status: http.StatusUnauthorized, code: "invalid_client", description: "there is no such client with this secret"}
	case errors.Is(err, errScope):
		return &oauthError{status: http.StatusBadRequest, code: "invalid_scope", description: "scope must be of the roles of the client, each once"}
	case errors.As(err, &over):
		return &oauthError{status: http.StatusTooManyRequests, code: "slow_down", description: "too many in a short time; wait as long as Retry-After says", wait: over.Wait}
	case errors.Is(err, heartbeat.ErrUnavailable):
		return &oauthError{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "the platform's store did not confirm in time; try again", wait: time.Second}
	}
	return &oauthError{status: http.StatusInternalServerError, code: "server_error", description: "the platform failed on this request"}
}

// form is a body of application/x-www-form-urlencoded, each parameter of which is there once
// (RFC 6749 §3.2).
type form map[string]string

func (f form) get(name string) string { return f[name] }

// readForm reads a form. Nothing may stand in the query: URIs end in logs.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return nil, badRequest("parameters must be in the body, not in the URI")
	case err != nil || kind != "application/x-www-form-urlencoded" || len(r.Header["Content-Type"]) != 1:
		return nil, badRequest("the body must be application/x-www-form-urlencoded")
	case r.Header.Get("Content-Encoding") != "":
		return nil, badRequest("the body must not be compressed")
	}
	body, err := readAll(w, r, maxForm)
	if err != nil {
		return nil, err
	}
	return parseForm(body)
}

func parseForm(body []byte) (form, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest("the body is no form")
	}
	f := form{}
	for name, all := range values {
		if len(all) != 1 {
			return nil, badRequest("a parameter is there twice")
		}
		f[name] = all[0]
	}
	return f, nil
}

// readAll reads a body up to a size.
func readAll(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "the body is too large"}
	case err != nil:
		return nil, badRequest("the body could not be read to its end")
	}
	return body, nil
}

// client is what a request says of its client, by exactly one of the ways of RFC 6749 §2.3.1.
func (f form) client(r *http.Request) (id, secret string, err error) {
	headers := r.Header["Authorization"]
	switch {
	case len(headers) == 0:
		if f.get("client_id") == "" || f.get("client_secret") == "" {
			return "", "", errClient
		}
		return f.get("client_id"), f.get("client_secret"), nil
	case len(headers) > 1 || f.get("client_secret") != "":
		return "", "", badRequest("the client must authenticate in exactly one way")
	}
	id, secret, ok := basic(r)
	switch {
	case !ok:
		return "", "", errClient
	case f.get("client_id") != "" && f.get("client_id") != id:
		return "", "", badRequest("client_id is another one than that of the Authorization header")
	}
	return id, secret, nil
}

// basic reads an id and a secret, which are encoded like those of a form inside of it.
func basic(r *http.Request) (id, secret string, ok bool) {
	id, secret, ok = r.BasicAuth()
	if !ok {
		return "", "", false
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return id, secret, errID == nil && errSecret == nil && id != "" && secret != ""
}

// serveKeys publishes the public keys (RFC 7517 §5).
func (a *authority) serveKeys(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", keysMaxAge)
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(a.keys().published)
}
