package client

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// An agent relies on the set of agents only where the platform keeps one.
func TestAPlatformThatEchoesTheAgentKeepsIt(t *testing.T) {
	sent, echoed := "", ""
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Mep-Agent")
		if echoed != "" {
			w.Header().Set("Mep-Agent", echoed)
		}
		w.WriteHeader(http.StatusNotFound)
	})
	c, err := New(Options{BaseURL: p.URL, Agent: "place.run-1_A"})
	require.NoError(t, err)
	defer c.CloseIdle()
	_, _ = c.Services(t.Context(), mp1.Filter{})
	require.Equal(t, "place.run-1_A", sent)
	require.False(t, c.AgentKept(), "nothing is echoed")
	echoed = "place.another"
	_, _ = c.Services(t.Context(), mp1.Filter{})
	require.False(t, c.AgentKept(), "another agent is echoed")
	echoed = "place.run-1_A"
	_ = c.Remove(t.Context(), "app", "id")
	require.True(t, c.AgentKept(), "an error echoes too")
	echoed = ""
	_, _ = c.Services(t.Context(), mp1.Filter{})
	require.True(t, c.AgentKept())

	plain := p.client(t, "")
	_, _ = plain.Services(t.Context(), mp1.Filter{})
	require.Empty(t, sent, "who is no agent says nothing")
}

func TestAnAgentMustHaveItsForm(t *testing.T) {
	long := strings.Repeat("a", 64)
	for agent, valid := range map[string]bool{long + "." + long: true, "": true, "a.b": true, "-._": true, "a": false, "a.": false, ".b": false,
		"a.b.c": false, "a b.c": false, "a.b\n": false, "ä.b": false, long + "a.b": false, "a." + long + "a": false} {
		_, err := New(Options{BaseURL: "http://h", Agent: agent})
		require.Equal(t, valid, err == nil, "%q: %v", agent, err)
	}
}

// A platform that does not know the scope would remove what others keep alive.
func TestTheScopeOfADeleteGoesOnlyWhereItIsKnown(t *testing.T) {
	var scopes []string
	keeps := false
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		scopes = append(scopes, r.Method+" "+r.Header.Get("Mep-Agent-Scope"))
		if keeps {
			w.Header().Set("Mep-Agent", r.Header.Get("Mep-Agent"))
		}
		w.WriteHeader(http.StatusConflict)
	})
	c, err := New(Options{BaseURL: p.URL, Agent: "place.run"})
	require.NoError(t, err)
	defer c.CloseIdle()
	var bad *mp1.Invalid
	require.ErrorAs(t, c.Remove(t.Context(), "app", "id", AtPlace()), &bad)
	require.ErrorIs(t, c.Remove(t.Context(), "app", "id"), ErrConflict)
	require.ErrorAs(t, c.Remove(t.Context(), "app", "id", AtPlace()), &bad)
	keeps = true
	_ = c.Remove(t.Context(), "app", "id")
	require.ErrorIs(t, c.Remove(t.Context(), "app", "id", AtPlace()), ErrConflict)
	_, err = c.Update(t.Context(), "app", "id", mp1.ServiceInfo{}, AtPlace())
	require.ErrorAs(t, err, &bad)
	require.Equal(t, []string{"DELETE ", "DELETE ", "DELETE place"}, scopes)
}
