package matrix

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exchanges are the routes at which credentials are exchanged for tokens: what is presented
// there is judged by them, and the attacks on them have tests of their own.
var exchanges = []string{"/oauth2/token", "/v4/token", "/login", "/logout"}

// TestNoCredentialThatIsWrongOpensARoute is the matrix route × attack.
func TestNoCredentialThatIsWrongOpensARoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	attacks, asked := w.attacks(t), 0
	before := w.stored(t)
	for _, r := range w.routes {
		path := r.path(w.ids)
		if slices.Contains(exchanges, path) {
			continue
		}
		for _, a := range attacks {
			got := w.send(t, a.with, r.method(), path, r.body())
			asked++
			if a.ignored && w.isOpen(path) {
				require.NotContains(t, []int{401, 403}, got.status, "%s with %s: %s", r.Pattern, a.name, got.body)
				continue
			}
			w.refused(t, got, http.StatusUnauthorized, r.Pattern+" with "+a.name)
		}
		require.Equal(t, before, w.stored(t), "%s stored something", r.Pattern)
	}
	require.Zero(t, w.trapped.Load(), "a token had the server fetch a key")
	log := w.s.Log()
	for _, a := range attacks {
		for i := 1; i < len(a.with.header); i += 2 {
			secret := strings.TrimPrefix(a.with.header[i], "Bearer ")
			if len(secret) > 40 {
				require.NotContains(t, log, secret, "the log shows %s", a.name)
				require.NotContains(t, log, secret[len(secret)-30:], "the log shows %s", a.name)
			}
		}
	}
	t.Logf("%d requests: %d routes, %d attacks", asked, len(w.routes), len(attacks))
}

// refused holds a refusal against its form (RFC 6750 §3, RFC 9457).
func (w *world) refused(t *testing.T, got answer, status int, what string) {
	t.Helper()
	require.Equal(t, status, got.status, "%s: %s", what, got.body)
	require.True(t, strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer "), "%s: %v", what, got.header)
	require.Equal(t, "application/problem+json", got.header.Get("Content-Type"), what)
	var p struct {
		Status int
		Detail string
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &p), what)
	require.Equal(t, status, p.Status, what)
	for _, id := range w.ids {
		if len(id) > 8 {
			require.NotContains(t, got.body, id, what)
		}
	}
}
