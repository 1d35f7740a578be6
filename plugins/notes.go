package plugins

import "net/http"

// Noted is a response writer whose owner wants to know more of a request than it sees: the
// audit log stands in front of everything that finds out who calls and which route answers.
type Noted interface {
	// NoteCaller says who sent the request.
	NoteCaller(c *Caller)
	// NoteClaim says who the sender says to be, which is not proved.
	NoteClaim(id string)
	// NoteRoute says which route answers, and whether it may change something. Without it
	// the method decides that.
	NoteRoute(name string, changes bool)
}

// NoteCaller tells whoever stands in front of w who sent the request, if he wants to know.
func NoteCaller(w http.ResponseWriter, c *Caller) {
	if n := noted(w); n != nil {
		n.NoteCaller(c)
	}
}

// NoteClaim tells whoever stands in front of w who the sender of the request says to be, if he
// wants to know. id must have the form of one: anything else could be a secret in its place.
func NoteClaim(w http.ResponseWriter, id string) {
	if n := noted(w); n != nil {
		n.NoteClaim(id)
	}
}

// NoteRoute tells whoever stands in front of w which route answers, if he wants to know. name
// is a constant of the route, never text of the request.
func NoteRoute(w http.ResponseWriter, name string, changes bool) {
	if n := noted(w); n != nil {
		n.NoteRoute(name, changes)
	}
}

// NoteRefused tells whoever stands in front of w that the request, or a part of it, is refused
// although its status does not say so, if he wants to know. It comes before the status of the answer.
func NoteRefused(w http.ResponseWriter) {
	if n, ok := noted(w).(interface{ NoteRefused() }); ok {
		n.NoteRefused()
	}
}

func noted(w http.ResponseWriter) Noted {
	for {
		if n, ok := w.(Noted); ok {
			return n
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = inner.Unwrap()
	}
}

// Changes says whether requests of a method may change something (RFC 9110 §9.2.1).
func Changes(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}
