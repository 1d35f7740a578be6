package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// quiet is the log of servers whose connections are meant to break.
var quiet = log.New(io.Discard, "", 0)

// A link that is 150 ms long and loses one piece in twenty leaves room within the window: the
// services are registered over it, and none is missed once.
func TestAgentAtALongAndLossyLinkIsInTime(t *testing.T) {
	tier.Long(t, "test/e2e", "watches services over a bad link for several windows")
	t.Parallel()
	s := mep.Start(t, steady...)
	link := proxy.Start(t, s.Listen)
	link.SetLoss(75*time.Millisecond, 0.05)
	seen := watch(s, "agent-app")
	a := startAgent(t, services(t, 30), "MEP_PLATFORM_ENDPOINTS="+link.URL())
	wait.Until(t, "all are alive", func() bool { return listed(s, 30) && a.ready() })
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		require.True(t, listed(s, 30))
	}
	require.Zero(t, suspensions(s))
	require.Empty(t, seen.end())
	require.True(t, once(s, 30))
	a.end()
	require.True(t, once(s, 0))
}

// An answer that does not come is no heartbeat that did not arrive.
func TestAgentAtAHalfOpenLink(t *testing.T) {
	tier.Long(t, "test/e2e", "leaves links half open for longer than windows")
	t.Parallel()
	s, link, a := pairOn(t, mep.Start(t, steady...), 5)
	ids := a.ids()
	seen := watch(s, "agent-app")
	link.Set(proxy.HalfDown)
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		require.True(t, listed(s, 5), "what it sends arrives")
	}
	wait.Until(t, "it says so", func() bool { return strings.Contains(a.services()[0].LastAnswer, "no answer in time") })
	require.Contains(t, a.Stderr.String(), "a heartbeat was not taken")
	link.Set(proxy.Pass)
	recovers(t, "answers came through again: ready", time.Now(), func() bool { return a.ready() && listed(s, 5) })
	require.Zero(t, suspensions(s))

	link.Set(proxy.HalfUp)
	wait.Until(t, "nothing arrives: all are suspended, and it says so", func() bool { return listed(s, 0) && !a.ready() })
	link.Set(proxy.Pass)
	recovers(t, "requests came through again: all alive", time.Now(), func() bool { return once(s, 5) && a.ready() })
	require.Equal(t, ids, a.ids())
	require.Empty(t, seen.end())
}

// Gateways answer in the platform's place while it restarts.
func TestAgentAtAGatewayThatFails(t *testing.T) {
	tier.Long(t, "test/e2e", "has a gateway fail for longer than windows")
	for name, header := range map[string]string{"500": "", "502": "", "503": "", "504": "", "429": "", "403": "", "503, come back tomorrow": "86400", "429, come back tomorrow": "86400"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, err := strconv.Atoi(name[:3])
			require.NoError(t, err)
			s := mep.Start(t, quick...)
			f := newFront(t, s)
			a := startAgent(t, services(t, 4), "MEP_PLATFORM_ENDPOINTS="+f.URL)
			wait.Until(t, "all are alive", func() bool { return once(s, 4) && a.ready() })
			ids := a.ids()
			f.set(func(w http.ResponseWriter, _ *http.Request) bool {
				if header != "" {
					w.Header().Set("Retry-After", header)
				}
				w.WriteHeader(status)
				return true
			})
			wait.Until(t, "all are suspended, and it says so", func() bool { return listed(s, 0) && !a.ready() })
			wait.Until(t, "it says why", func() bool { return strings.Contains(a.services()[0].LastAnswer, name[:3]) })
			require.Contains(t, a.Stderr.String(), "a heartbeat was not taken")
			f.set(nil)
			recovers(t, "the gateway forwards again: all alive", time.Now(), func() bool { return once(s, 4) && a.ready() })
			require.Equal(t, ids, a.ids())
			a.end()
		})
	}
}

// A POST may be carried out and its answer be lost at any gateway on its way. The agent must
// look before it sends it again.
func TestARegistrationWhoseAnswerIsLostIsNotDoubled(t *testing.T) {
	tier.Long(t, "test/e2e", "starts a platform for each way to lose an answer")
	for _, status := range []int{500, 502, 503, 504, 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := mep.Start(t, quick...)
			f := newFront(t, s)
			seen := watch(s, "agent-app")
			f.set(func(w http.ResponseWriter, r *http.Request) bool {
				if kindOf(r) != http.MethodPost {
					return false
				}
				f.carryOut(r)
				if status == 0 {
					panic(http.ErrAbortHandler) // the connection is cut
				}
				w.WriteHeader(status)
				return true
			})
			a := startAgent(t, services(t, 6), "MEP_PLATFORM_ENDPOINTS="+f.URL)
			wait.Until(t, "all are alive", func() bool { return once(s, 6) && a.ready() })
			require.Equal(t, 6, f.requests(http.MethodPost), "each was sent once")
			a.end()
			require.Empty(t, seen.end())
		})
	}
}

// A POST may be on its way for so long that the list in between does not show it: it is then
// registered twice, which is put right.
func TestARegistrationThatArrivesLateDoesNotStayBeside(t *testing.T) {
	tier.Long(t, "test/e2e", "waits until the agent has given a POST up")
	t.Parallel()
	s := mep.Start(t, quick...)
	f := newFront(t, s)
	var held atomic.Int32
	f.set(func(w http.ResponseWriter, r *http.Request) bool {
		if kindOf(r) != http.MethodPost || held.Add(1) > 3 {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		time.AfterFunc(4*time.Second, func() { f.forward.ServeHTTP(httptest.NewRecorder(), again) }) // the agent has looked by then, and sent another
		w.WriteHeader(http.StatusGatewayTimeout)
		return true
	})
	a := startAgent(t, services(t, 3), "MEP_PLATFORM_ENDPOINTS="+f.URL)
	wait.Until(t, "all are alive", func() bool { return listed(s, 3) && a.ready() })
	wait.Until(t, "the late ones arrive", func() bool { names, err := registeredNames(s, "agent-app"); return err == nil && names["s0"] > 1 })
	wait.Until(t, "and go", func() bool { return once(s, 3) })
	a.end()
	require.True(t, once(s, 0))
}

// A redirect could lead an application's token, and its registrations, to anybody.
func TestAgentFollowsNoRedirect(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for each kind of request to be sent again")
	t.Parallel()
	var strayed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Add(1) }))
	defer elsewhere.Close()
	s := mep.Start(t, quick...)
	f := newFront(t, s)
	redirect := func(status int, kind string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if kindOf(r) != kind {
				return false
			}
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
			return true
		}
	}
	f.set(redirect(307, http.MethodGet))
	a := startAgent(t, services(t, 2), "MEP_PLATFORM_ENDPOINTS="+f.URL)
	wait.Until(t, "its list is redirected", func() bool { return f.requests(http.MethodGet) > 1 })
	require.False(t, a.ready())
	f.set(redirect(308, http.MethodPost))
	wait.Until(t, "its registrations are", func() bool { return f.requests(http.MethodPost) > 1 })
	require.False(t, a.ready())
	f.set(nil)
	wait.Until(t, "all are alive", func() bool { return once(s, 2) && a.ready() })
	for _, status := range []int{301, 302, 303, 307, 308} {
		f.set(redirect(status, heartbeat))
		wait.Until(t, "its heartbeats are, and it says so", func() bool { return strings.Contains(a.services()[0].LastAnswer, fmt.Sprint(status)) })
	}
	f.set(nil)
	wait.Until(t, "all are alive again", func() bool { return once(s, 2) && a.ready() })
	a.end()
	require.Zero(t, strayed.Load())
	require.NotContains(t, a.Stderr.String(), elsewhere.URL, "nor is it repeated in the log")
}
