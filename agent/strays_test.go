package agent

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// late has the first POST be answered by a gateway that has lost its patience, and carried
// out so much later as the platform does it under its agent, or under another.
func (f *fakePlatform) late(after time.Duration, agent string) {
	held := false
	f.respondWith(onRequest(http.MethodPost, "", func(r *http.Request) response {
		f.mu.Lock()
		defer f.mu.Unlock()
		if held {
			return response{}
		}
		held = true
		body, _ := io.ReadAll(mustBody(r))
		again := r.Clone(r.Context())
		if agent != "" {
			again.Header.Set("Mep-Agent", agent)
		}
		time.AfterFunc(after, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			_ = f.serve(again, body).Body.Close()
		})
		return respond(504, nil)
	}))
}

// A POST may be under way for so long that neither the list nor the POST after it knows of
// it. Nobody would beat for what it makes.
func TestARegistrationThatArrivesLateIsRemoved(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 2500 * time.Millisecond, 5 * time.Second, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := keeping(10)
			f.late(after, "")
			r := run(t, options(f, 2))
			advance(time.Minute)
			require.Len(t, f.registrations(), 3)
			require.Len(t, f.registered(), 2, "after %s", after)
			require.True(t, r.Ready())
			posts := len(f.registrations())
			advance(time.Minute)
			require.Len(t, f.registrations(), posts)
			require.NoError(t, r.stop())
			require.Empty(t, f.registered())
		})
	}
}

// An agent is killed while it registers. Its last POST arrives after its successor's list.
func TestARegistrationThatADeadPredecessorMadeLateIsRemoved(t *testing.T) {
	for _, id := range []string{"aaa", "zzz"} { // before ours in the order of ids, and behind it
		synctest.Test(t, func(t *testing.T) {
			f := keeping(10)
			r := run(t, options(f, 1))
			double := f.registered()["id0001"]
			double.SerInstanceID = id
			links := *double.Links
			links.Liveness = &mp1.LinkType{Href: mp1.Base + "/applications/app/services/" + id + "/liveness"}
			double.Links = &links
			f.add(id, double)
			f.mu.Lock()
			place, _, _ := strings.Cut(f.agents["id0001"][0], ".")
			f.agents[id] = []string{place + ".dead"}
			f.mu.Unlock()
			advance(time.Minute)
			require.Len(t, f.registered(), 1)
			require.Contains(t, f.registered(), min(id, "id0001"))
			require.True(t, r.Ready())
			require.NoError(t, r.stop())
			require.Empty(t, f.registered())
		})
	}
}

// wantOnlyScoped wants no DELETE that would remove what an agent elsewhere, or nobody, has made.
func (f *fakePlatform) wantOnlyScoped(t *testing.T) {
	t.Helper()
	for _, d := range f.sent(http.MethodDelete, "") {
		require.Equal(t, "place", d.scope, d.path)
	}
}

// It is asked only for what may be its own, and another agent's stays.
func TestARegistrationOfAnotherAgentIsNoStray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		f.late(5*time.Second, "another.agent")
		r := run(t, options(f, 1))
		advance(time.Minute)
		require.Len(t, f.registered(), 2, "whose id is the greater withdraws, and that is the other agent's affair")
		require.LessOrEqual(t, len(f.sent(http.MethodDelete, "")), 3, "nor is it asked for again and again")
		require.NoError(t, r.stop())
	})
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		r := run(t, options(f, 1))
		double := f.registered()["id0001"]
		double.SerInstanceID = "zzz"
		f.add("zzz", double)
		advance(time.Minute)
		f.wantOnlyScoped(t)
		require.Contains(t, f.registered(), "zzz", "none of its POSTs can have made it, nor a predecessor's")
		require.NoError(t, r.stop())
	})
}

// Elsewhere nobody can say whose a double is.
func TestWhereNoAgentsAreKeptADoubleIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.late(5*time.Second, "")
		r := run(t, options(f, 1))
		advance(time.Minute)
		require.Empty(t, f.sent(http.MethodDelete, "id0002"))
		require.NoError(t, r.stop())
	})
}

func TestAStrayThatCannotBeRemovedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		f.late(8*time.Second, "") // found by the last list
		r := run(t, options(f, 1))
		advance(9 * time.Second)
		failed := 0
		f.respondWith(onRequest(http.MethodDelete, "", func(*http.Request) response {
			if failed++; failed < 4 {
				return respond(503, nil)
			}
			return response{}
		}))
		advance(time.Minute)
		require.Equal(t, 4, failed)
		require.Len(t, f.registered(), 1)
		for _, gap := range gaps(f.sent(http.MethodDelete, "")) {
			require.GreaterOrEqual(t, gap, minDoubleDistance)
		}
		require.NoError(t, r.stop())
	})
}

// It was tried each second, with a list of all services each time.
func TestAStrayThatCannotBeRemovedCostsThePlatformLittle(t *testing.T) {
	for told, most := range map[string]int{"": 22, "20": 17} { // DELETEs in five minutes
		synctest.Test(t, func(t *testing.T) {
			f := keeping(10)
			f.late(8*time.Second, "") // found by the last list
			r := run(t, options(f, 1))
			advance(9 * time.Second)
			f.respondWith(onRequest(http.MethodDelete, "", func(*http.Request) response {
				return respond(503, nil, "Retry-After", told)
			}))
			advance(10 * time.Second)
			require.NotEmpty(t, f.sent(http.MethodDelete, ""))
			lists := len(f.sent(http.MethodGet, "/services"))
			advance(5 * time.Minute)
			deletes := f.sent(http.MethodDelete, "")
			require.GreaterOrEqual(t, len(deletes), 8)
			require.LessOrEqual(t, len(deletes), most)
			if told != "" {
				for _, gap := range gaps(deletes) {
					require.GreaterOrEqual(t, gap, 20*time.Second)
				}
			}
			require.Len(t, f.sent(http.MethodGet, "/services"), lists, "no list tells more")
			f.respondWith(nil)
			advance(time.Minute)
			require.Len(t, f.registered(), 1)
			require.NoError(t, r.stop())
		})
	}
}
