package issuer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	afterLogin = "/docs"
	// longestCookie is what every browser keeps (RFC 6265 §6.1), less the name and attributes.
	longestCookie = 4000
	// pagePolicy lets the page load nothing, run nothing, stand in no frame, and send its
	// form nowhere else.
	pagePolicy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

// destination is another page to which a login leads if the form was asked for with ?next= and
// this name; "": there is none of it.
func destination(name string) string {
	switch name {
	case "board":
		return "/board"
	case "console":
		return "/servicecomb/"
	}
	return ""
}

// login gives browsers, which send no Authorization header, a cookie that holds a token. That
// no page of another origin logs anybody in is the door's matter.
type login struct {
	// grant makes a token of a credential; nil: there is no issuer.
	grant func(ctx context.Context, id, secret, scope, peer string) (issued, error)
	// bearer says until when a token of any issuer is valid.
	bearer func(ctx context.Context, token string) (ends time.Time, err error)
	now    func() time.Time
}

// page is the form, with a message or none. It has no script, and nothing that anybody wrote
// is in it.
const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title></head><body>
<h1>Log in</h1>
<p><strong>%s</strong></p>
<form method="post" action="/login" autocomplete="off">
<p><label>client_id <input name="client_id" autofocus></label></p>
<p><label>client_secret <input name="client_secret" type="password"></label></p>
<p>or <label>token <input name="token" type="password"></label></p>
%s<p><button>Log in</button></p>
</form>
<form method="post" action="/logout"><p><button>Log out</button></p></form>
</body></html>
`

// nextField has a form say where the browser goes then, by a name that destination knows.
const nextField = `<input type="hidden" name="next" value="%s">
`

// servePage shows the form. next is what it was asked for with; whatever is not ours is left out.
func servePage(w http.ResponseWriter, status int, message, next string) {
	field := ""
	if destination(next) != "" {
		field = fmt.Sprintf(nextField, next)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, page, message, field)
}

func (l login) form(w http.ResponseWriter, r *http.Request) {
	servePage(w, http.StatusOK, "", r.URL.Query().Get("next"))
}

// proof is what somebody logs in with: a credential or a token; and where a form wants to go then.
type proof struct{ id, secret, token, next string }

// enter answers a login.
func (l login) enter(w http.ResponseWriter, r *http.Request) {
	p, fromForm, err := readProof(w, r)
	var token string
	var ends time.Time
	if err == nil {
		token, ends, err = l.session(w, r, p)
	}
	switch {
	case err != nil && fromForm:
		status, message := http.StatusUnauthorized, "That is not valid."
		var over *server.OverLimit
		var bad *mp1.Invalid
		switch {
		case errors.As(err, &over):
			status, message = http.StatusTooManyRequests, "Too often; wait a little."
		case errors.As(err, &bad):
			status, message = http.StatusBadRequest, "Enter client_id and client_secret, or a token."
		case errors.Is(err, heartbeat.ErrUnavailable):
			status, message = http.StatusServiceUnavailable, "The platform's store does not answer; try again."
		}
		servePage(w, status, message, p.next)
		return
	case err != nil:
		server.RefuseError(w, err, 1)
		return
	}
	http.SetCookie(w, cookie(token, int(ends.Sub(l.now())/time.Second)))
	leave(w, fromForm, cmp.Or(destination(p.next), afterLogin))
}

// session is the token that the cookie holds, and its end.
func (l login) session(w http.ResponseWriter, r *http.Request, p proof) (token string, ends time.Time, err error) {
	switch {
	case p.token != "":
		token = p.token
		ends, err = l.bearer(r.Context(), token)
	case l.grant == nil:
		err = server.ErrCredential
	default:
		noteClaim(w, p.id)
		var made issued
		made, err = l.grant(r.Context(), p.id, p.secret, "", r.RemoteAddr)
		token, ends = made.token, l.now().Add(made.life)
		if err == nil {
			made.note(w)
		}
	}
	switch {
	case err != nil:
		return "", ends, problemOf(err)
	case len(token) > longestCookie || ends.Sub(l.now()) < time.Second:
		return "", ends, server.ErrCredential
	}
	return token, ends, nil
}

// readProof reads a login from a form or from JSON; exactly one of its two kinds must be there.
func readProof(w http.ResponseWriter, r *http.Request) (p proof, fromForm bool, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		f, err := readForm(w, r)
		if err != nil {
			return p, true, &mp1.Invalid{Rule: "The form cannot be read."}
		}
		p, fromForm = proof{f.get("client_id"), f.get("client_secret"), f.get("token"), f.get("next")}, true
	} else if err := readObject(w, r, map[string]any{"client_id": &p.id, "client_secret": &p.secret, "token": &p.token}); err != nil {
		return p, false, err
	}
	if byCredential := p.id != "" && p.secret != ""; byCredential == (p.token != "") || !byCredential && (p.id != "" || p.secret != "") {
		return p, fromForm, &mp1.Invalid{Rule: "The body must have client_id and client_secret, or token."}
	}
	return p, fromForm, nil
}

// exit answers a logout: the browser forgets the token, which ends by itself.
func (l login) exit(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	plugins.NoteRoute(w, "mep.PostLogout", false) // nothing changes here: anybody could fill the audit log with it
	http.SetCookie(w, cookie("", -1))
	leave(w, kind == "application/x-www-form-urlencoded", plugins.LoginPath)
}

// leave sends a form's browser to a page of ours, and tells a program that all is done.
func leave(w http.ResponseWriter, fromForm bool, to string) {
	w.Header().Set("Cache-Control", "no-store")
	if !fromForm {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// cookie is the session's. maxAge is in seconds; below 0 the browser forgets it.
func cookie(token string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: plugins.SessionCookie, Value: token, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}
