// Package adminapi asks a server to keep credentials, as an administrator. It knows the requests
// and answers of /mec_liveness/v1/credentials; it must not know how the server is reached, nor
// flags, nor how a secret is shown.
package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/mp1"
)

const route = "/mec_liveness/v1/credentials"

// Credential is one that the server keeps. It has no secret.
type Credential struct {
	ID      string   `json:"id"`
	Roles   []string `json:"roles"`
	Apps    []string `json:"apps,omitempty"`
	Created string   `json:"created,omitempty"`
	Rotated string   `json:"rotated,omitempty"`
}

// New is a credential to be made. Without roles it has the role app.
type New struct {
	ID    string   `json:"id"`
	Roles []string `json:"roles,omitempty"`
	Apps  []string `json:"apps,omitempty"`
}

// Issued is a credential with its secret, which the server does not know any more.
type Issued struct {
	ID     string   `json:"id"`
	Secret string   `json:"secret"`
	Roles  []string `json:"roles,omitempty"`
	Apps   []string `json:"apps,omitempty"`
}

// Errors that a caller tells apart.
var (
	ErrThere   = errors.New("there is a credential of that id already")
	ErrUnknown = errors.New("there is no credential of that id")
)

// API is the administration of one server.
type API struct{ server *remote.Server }

// Of is the administration of a server that can be asked.
func Of(server *remote.Server) *API { return &API{server} }

// List returns all credentials, sorted as the server has them.
func (a *API) List(ctx context.Context) ([]Credential, error) {
	var all struct {
		Credentials []Credential `json:"credentials"`
	}
	if err := a.call(ctx, http.MethodGet, route, nil, http.StatusOK, &all); err != nil {
		return nil, err
	}
	for _, c := range all.Credentials {
		if !mp1.ValidID(c.ID) || !remote.Printable(append(append(c.Roles, c.Apps...), c.Created, c.Rotated)...) {
			return nil, errors.New("the server's list holds something that no credential has; it is not shown")
		}
	}
	return all.Credentials, nil
}

// Add makes a credential. ErrThere: there is one of its id.
func (a *API) Add(ctx context.Context, c New) (Issued, error) {
	return a.issued(ctx, route, c, http.StatusCreated, c.ID)
}

// Rotate gives a credential a new secret. The old one is valid for grace, or for as long as
// the server chooses if grace is nil. ErrUnknown: there is no such credential.
func (a *API) Rotate(ctx context.Context, id string, grace *time.Duration) (Issued, error) {
	var body struct {
		Grace string `json:"grace,omitempty"`
	}
	if grace != nil {
		body.Grace = grace.String()
	}
	return a.issued(ctx, route+"/"+id+"/rotate", body, http.StatusOK, id)
}

// Remove ends a credential and its tokens. ErrUnknown: there is none.
func (a *API) Remove(ctx context.Context, id string) error {
	return a.call(ctx, http.MethodDelete, route+"/"+id, nil, http.StatusNoContent, nil)
}

func (a *API) issued(ctx context.Context, path string, body any, status int, id string) (Issued, error) {
	var made Issued
	if err := a.call(ctx, http.MethodPost, path, body, status, &made); err != nil {
		return made, err
	}
	if made.ID != id || made.Secret == "" || !remote.Printable(made.Secret) || !remote.Printable(append(made.Roles, made.Apps...)...) {
		return Issued{}, errors.New("the server's answer is no credential; it is not shown")
	}
	return made, nil
}

// call sends one request and reads its answer, which must have the status.
func (a *API) call(ctx context.Context, method, path string, body any, status int, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		content = nil
	}
	r, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := a.server.Do(r)
	switch {
	case err != nil:
		return err
	case answer.Status != status:
		return refusal(answer)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return errors.New("the server's answer is not what was asked for; is it a mepserver?")
	}
	return nil
}

// refusal is the error of a status that was not hoped for, with the server's reason.
func refusal(answer remote.Answer) error {
	switch answer.Status {
	case http.StatusConflict:
		return ErrThere
	case http.StatusNotFound:
		if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind == "application/problem+json" {
			return ErrUnknown
		}
	}
	return remote.Refusal(answer.Status, answer.Body)
}
