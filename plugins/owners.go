package plugins

import "net/http"

// ownConnections is next, with connections known by who uses them: where there are too many, an
// identity with more than its share makes room first, and not everybody behind its address. A
// connection that several identities use, as a proxy's, counts for the last of them.
func ownConnections(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok && c != nil {
			if by := CallerOf(r.Context()); by != nil && c.caller.Load() != by {
				c.caller.Store(by)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// owner is whom the connection counts for: who used it, or else where it comes from.
func (c *connection) owner() string {
	if by := c.caller.Load(); by != nil {
		return "id " + by.Name
	}
	return c.peer
}
