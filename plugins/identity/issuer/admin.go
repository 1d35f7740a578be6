package issuer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// CredentialsPath is where credentials are administrated, by the admin socket and, for
// admins, by the public port.
const CredentialsPath = "/mec_liveness/v1/credentials"

const maxAdminBody = 64 << 10

// shown is a credential as it is listed; nothing of its secrets is.
type shown struct {
	ID      string   `json:"id"`
	Roles   []string `json:"roles"`
	Apps    []string `json:"apps,omitempty"`
	Created string   `json:"created"`
	Rotated string   `json:"rotated"`
}

func show(c *plugins.Credential) shown {
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }
	return shown{c.ID, c.Roles, c.Apps, at(c.Created), at(c.Rotated)}
}

// made is a credential with the secret that it just got.
type made struct {
	shown
	Secret string `json:"secret"`
}

// administration serves the credentials.
type administration struct {
	accounts Accounts
	list     func(context.Context) ([]plugins.Credential, error)
}

// answer is a handler's status and body; nil: there is none.
type answer func(w http.ResponseWriter, r *http.Request) (status int, body any, err error)

// ServeHTTP implements http.Handler.
func (f answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, err := f(w, r)
	if err != nil {
		server.RefuseError(w, err, 1)
		return
	}
	if body == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		return
	}
	server.WriteJSON(w, status, body)
}

// adminRoute is a route of the administration.
type adminRoute struct {
	pattern, name string
	handler       http.Handler
}

func (a administration) routes() []adminRoute {
	const one = CredentialsPath + "/{id}"
	return []adminRoute{
		{"GET " + CredentialsPath, "mep.GetCredentials", answer(a.all)},
		{"POST " + CredentialsPath, "mep.PostCredential", answer(a.add)},
		{"POST " + one + "/rotate", "mep.RotateCredential", answer(a.rotate)},
		{"DELETE " + one, "mep.DeleteCredential", answer(a.remove)},
		{CredentialsPath, "mep.MethodNotAllowed", refuseMethod(http.MethodGet, http.MethodHead, http.MethodPost)},
		{one, "mep.MethodNotAllowed", refuseMethod(http.MethodDelete)},
		{one + "/rotate", "mep.MethodNotAllowed", refuseMethod(http.MethodPost)},
	}
}

func (a administration) all(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	known, err := a.list(r.Context())
	if err != nil {
		return 0, nil, unavailable(err)
	}
	all := []shown{}
	for _, c := range known {
		all = append(all, show(&c))
	}
	slices.SortFunc(all, func(a, b shown) int { return cmp.Compare(a.ID, b.ID) })
	return http.StatusOK, map[string]any{"credentials": all}, nil
}

func (a administration) add(w http.ResponseWriter, r *http.Request) (int, any, error) {
	var n NewCredential
	if err := readObject(w, r, map[string]any{"id": &n.ID, "roles": &n.Roles, "apps": &n.Apps}); err != nil {
		return 0, nil, err
	}
	c, secret, err := a.accounts.Add(r.Context(), n)
	return http.StatusCreated, made{show(&c), secret}, err
}

func (a administration) rotate(w http.ResponseWriter, r *http.Request) (int, any, error) {
	grace := ""
	if err := readObject(w, r, map[string]any{"grace": &grace}); err != nil {
		return 0, nil, err
	}
	wait := DefaultGrace
	if grace != "" {
		var err error
		if wait, err = time.ParseDuration(grace); err != nil {
			wait = -1 // which Rotate refuses
		}
	}
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	c, secret, err := a.accounts.Rotate(r.Context(), id, wait)
	return http.StatusOK, made{show(&c), secret}, err
}

func (a administration) remove(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	id, err := pathID(r)
	if err == nil {
		err = a.accounts.Remove(r.Context(), id)
	}
	return http.StatusNoContent, nil, err
}

// pathID is the id of the path. What is none is no key of the store either.
func pathID(r *http.Request) (string, error) {
	if id := r.PathValue("id"); mp1.ValidID(id) {
		return id, nil
	}
	return "", server.ErrNoCredential
}

// readObject reads a JSON object into the pointers of its members. An empty body is an empty
// object.
func readObject(w http.ResponseWriter, r *http.Request, members map[string]any) error {
	if kinds := r.Header["Content-Type"]; len(kinds) > 0 {
		if kind, _, err := mime.ParseMediaType(kinds[0]); err != nil || len(kinds) > 1 || kind != "application/json" {
			return &mp1.Invalid{Rule: "The body must be JSON; send Content-Type: application/json."}
		}
	}
	body, err := readAll(w, r, maxAdminBody)
	var e *oauthError
	switch {
	case errors.As(err, &e):
		return &mp1.Invalid{Rule: "The body is too large, or could not be read to its end."}
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	return decodeObject(body, members)
}

// decodeObject decodes a JSON object strictly: each member is known, and there once.
func decodeObject(body []byte, members map[string]any) error {
	bad := &mp1.Invalid{Rule: "The body must be one JSON object."}
	d := json.NewDecoder(bytes.NewReader(body))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return bad
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return bad
		}
		into, known := members[name]
		switch {
		case !known:
			return &mp1.Invalid{Rule: "The body has a member that is not known here."}
		case seen[name]:
			return &mp1.Invalid{Attribute: name, Rule: "is there twice"}
		}
		seen[name] = true
		if err := d.Decode(into); err != nil {
			return &mp1.Invalid{Attribute: name, Rule: "is of another type, or no JSON"}
		}
	}
	if end, err := d.Token(); err != nil || end != json.Delim('}') {
		return bad
	}
	if _, err := d.Token(); err == nil || len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return bad
	}
	return nil
}
