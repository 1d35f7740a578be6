package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// People log in with tokens of whichever issuer, but for those that a browser cannot bear.
func TestABrowserLogsInWithATokenThatItCanBear(t *testing.T) {
	g := newGate(t)
	g.tokens.issuer = nil
	ends, err := g.Bearer(t.Context(), g.token(nil))
	require.NoError(t, err)
	require.Equal(t, g.now.Unix()+60, ends.Unix())
	for name, raw := range map[string]string{"nothing": "", "no token": "x", "ended": g.token(map[string]any{"exp": g.now.Unix() - 1}),
		"bound": g.token(map[string]any{"cnf": map[string]any{"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}})} {
		g.why = nil
		_, err := g.Bearer(t.Context(), raw)
		require.ErrorIs(t, err, server.ErrCredential, name)
		require.Len(t, g.why, 1, name)
	}
}
