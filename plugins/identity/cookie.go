package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

// takesCookie says whether a path is one that people look at: our own resources,
// ServiceComb's console and the API that it uses. Mp1 is for programs, which bear tokens: there a
// cookie counts for nothing, so that no page can use it.
func takesCookie(path string) bool {
	switch path {
	case "/", "/board", "/docs", "/openapi.yaml", "/openapi.json", "/metrics":
		return true
	}
	for _, below := range []string{"/mec_liveness/", "/board/", "/docs/", "/servicecomb/", "/v1/", "/v4/", "/registry/"} {
		if strings.HasPrefix(path, below) {
			return true
		}
	}
	return false
}

// consoleFor is where a browser begins with ServiceComb's own console.
const consoleFor = "/servicecomb/"

// leadsToLogin says whether a request that proves nothing is that of a browser whose reader goes to
// ServiceComb's console. Whether that is served here is not told.
func (d *door) leadsToLogin(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == consoleFor && r.Header["Authorization"] == nil && d.routes.isOpen(plugins.LoginPath) &&
		strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// toLogin leads a browser to the login, and from there to the console; err is why. Where a program
// would get 401, the request counts as refused, whatever the status.
func (d *door) toLogin(w http.ResponseWriter, err error) {
	why, answer := refusal(err)
	d.refused(why)
	if errors.Is(answer, server.ErrAnonymous) || errors.Is(answer, server.ErrCredential) {
		plugins.NoteRefused(w)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Location", plugins.LoginPath+"?next=console")
	w.WriteHeader(http.StatusSeeOther)
}

// cookieOf takes the token of a request's cookie; "": there is none. Two of the name are
// refused, for they would be taken in an order that nobody has promised.
func cookieOf(r *http.Request) (raw string, err error) {
	if r.Header["Cookie"] == nil {
		return "", nil
	}
	switch all := r.CookiesNamed(plugins.SessionCookie); {
	case len(all) > 1:
		return "", token.Malformed
	case len(all) == 1:
		if all[0].Value == "" {
			return "", token.Malformed
		}
		return all[0].Value, nil
	}
	return "", nil
}

// Bearer implements plugins.Identity. A token that is bound to a certificate is none for a
// browser: it would be refused with the next request.
func (d *door) Bearer(ctx context.Context, raw string) (ends time.Time, err error) {
	b, err := d.tokens.of(ctx, raw)
	if err == nil && b.thumbprint != nil {
		err = notBound
	}
	if err != nil {
		why, answer := refusal(err)
		d.refused(why)
		return time.Time{}, answer
	}
	return b.expires, nil
}
