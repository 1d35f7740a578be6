package agent

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// away has an agent be away for so long that it must join again, and calls once before the
// fake answers the first request of that method for the service then.
func away(t *testing.T, f *fakePlatform, method string, once func()) *running {
	t.Helper()
	r := run(t, options(f, 1))
	advance(interval)
	f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
	advance(5 * interval)
	f.suspend("id0001")
	called := false
	f.respondWith(func(r *http.Request, _ int) response {
		if !called && r.Method == method && strings.HasSuffix(r.URL.Path, "/services/id0001") {
			called = true
			once()
		}
		return response{}
	})
	advance(5 * interval)
	require.True(t, called)
	return r
}

// What is changed between the GET and the PUT of an agent that joins again stays.
func TestWhoJoinsAgainOverrulesNothingThatIsChangedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		r := away(t, f, http.MethodPut, func() { f.setState("id0001", mp1.Inactive) })
		require.Equal(t, mp1.Inactive, f.registered()["id0001"].State, "the application has set it")
		require.Len(t, f.agents["id0001"], 1, "and the agent is in")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		r := away(t, f, http.MethodPut, func() {
			info := f.registered()["id0001"]
			info.Serializer = "XML"
			f.add("id0001", info)
		})
		require.EqualValues(t, "XML", f.registered()["id0001"].Serializer, "a newer agent has described it")
		require.Len(t, f.agents["id0001"], 1)
		require.NoError(t, r.stop())
	})
}

// No PUT may say SUSPENDED. It was refused for good, and the agent was never joined.
func TestWhatIsSuspendedWhenItIsReadIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		r := away(t, f, http.MethodGet, func() { f.suspend("id0001") })
		f.wantAlive(t, "id0001")
		require.Len(t, f.agents["id0001"], 1)
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
	})
}
