package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// watchDiscovery asks discovery all the time. The function that it returns ends it, and returns how
// often a service was not shown, and the most services that were shown at a time.
func watchDiscovery(s *mep.Server, n int) func() (missed, most int) {
	var wg sync.WaitGroup
	end := make(chan struct{})
	missed, most := 0, 0
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if all, err := s.Discover(); err == nil {
				most = max(most, len(all))
				if len(all) < n {
					missed++
				}
			}
		}
	})
	return func() (int, int) {
		close(end)
		wg.Wait()
		return missed, most
	}
}

// kept is how many registrations the agents' application has, in any state.
func kept(s *mep.Server) int {
	return len(s.Want(200, "GET", mep.ServicesOf("agent-app"), "").List(s.T()))
}

// another starts an agent of the same configuration beside a, and waits until it is ready.
func another(t *testing.T, a *agent) *agent {
	t.Helper()
	b := startAgentIn(t, t.TempDir(), a.command.Args, a.command.Env...)
	wait.Until(t, "the other agent is ready", b.ready)
	return b
}

// The new agent adopted the registration, and the old one's SIGTERM deleted it: for 26 s
// nobody found the service, though the new agent ran all the time.
func TestARollingUpdateOfTheAgentIsSeenByNobody(t *testing.T) {
	tier.Long(t, "test/e2e", "replaces an agent three times")
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 3)
	ids := a.ids()
	end := watchDiscovery(s, 3)
	for range 3 {
		b := another(t, a)
		require.Equal(t, ids, b.ids())
		a.end()
		time.Sleep(2500 * time.Millisecond) // two intervals
		a = b
	}
	missed, most := end()
	require.Zero(t, missed, "a service was not discoverable")
	require.Equal(t, 3, most, "a service was registered twice")
	require.Equal(t, ids, a.ids())
	require.Zero(t, suspensions(s))
	a.end()
	require.Zero(t, kept(s), "the last one leaves nothing behind")
}

// An orchestrator with one replica and Recreate stops the old one first.
func TestAnAgentThatIsStoppedAndStartedAnewRegistersAnew(t *testing.T) {
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 2)
	ids := a.ids()
	a.end()
	require.Zero(t, kept(s))
	a.restart()
	wait.Until(t, "registered again", func() bool { return listed(s, 2) && a.ready() })
	require.NotEqual(t, ids, a.ids())
	require.Equal(t, 2, kept(s))
	a.end()
	require.Zero(t, kept(s))
}

func TestOfTwoReplicasOfAnAgentEitherMayGo(t *testing.T) {
	tier.Long(t, "test/e2e", "watches for longer than a window")
	t.Parallel()
	for _, first := range []int{0, 1} {
		t.Run(strconv.Itoa(first), func(t *testing.T) {
			t.Parallel()
			s, _, a := pairOn(t, mep.Start(t, steady...), 3)
			both := []*agent{a, another(t, a)}
			ids := a.ids()
			end := watchDiscovery(s, 3)
			time.Sleep(1500 * time.Millisecond)
			both[first].end()
			time.Sleep(6 * time.Second) // longer than a window
			missed, most := end()
			require.Zero(t, missed, "a service was not discoverable")
			require.Equal(t, 3, most)
			require.Equal(t, ids, both[1-first].ids())
			both[1-first].end()
			require.Zero(t, kept(s))
		})
	}
}

// Both list nothing, and both register; some seconds later one of them withdraws its own.
func TestTwoAgentsThatStartAtOnceShareOneRegistration(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for the last look for doubles")
	t.Parallel()
	s := mep.Start(t, steady...)
	config := services(t, 3)
	var both [2]*agent
	var wg sync.WaitGroup
	for i := range both {
		wg.Go(func() {
			both[i] = startAgentIn(t, t.TempDir(), []string{"--config", config}, "MEP_PLATFORM_ENDPOINTS="+s.URL)
		})
	}
	wg.Wait()
	wait.Until(t, "all are alive", func() bool {
		all, err := s.Discover()
		return err == nil && len(all) >= 3
	})
	end := watchDiscovery(s, 3)
	wait.Until(t, "each is registered once", func() bool {
		return kept(s) == 3 && both[0].ready() && both[1].ready() && strings.Join(both[0].ids(), " ") == strings.Join(both[1].ids(), " ")
	})
	time.Sleep(12 * time.Second) // the last look for doubles is over
	missed, most := end()
	require.Zero(t, missed, "a service was not discoverable")
	t.Logf("at most %d registrations of 3 services at a time", most)
	require.Equal(t, 3, kept(s))
	both[0].end()
	require.True(t, listed(s, 3))
	both[1].end()
	require.Zero(t, kept(s))
}

// A container that crashes again and again is one agent for the platform: its place is that
// of the dead one, which nobody waits for when it ends.
func TestACrashLoopOfTheAgentLeavesOneRegistration(t *testing.T) {
	tier.Long(t, "test/e2e", "kills an agent many times")
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	s, _, a := pairOn(t, mep.Start(t, patient...), 2)
	ids := a.ids()
	end := watchDiscovery(s, 2)
	for range 12 {
		time.Sleep(time.Duration(rnd.IntN(600)) * time.Millisecond)
		a.Kill()
		a.restart()
	}
	wait.Until(t, "alive again", a.ready)
	missed, most := end()
	require.Zero(t, missed)
	require.Equal(t, 2, most)
	require.Equal(t, ids, a.ids())
	a.end()
	require.Zero(t, kept(s), "the crashed ones do not count")
}

// A crash in the middle of the first registrations doubles none either. What a killed agent
// has sent may be carried out after its successor's list: then that one removes it.
func TestACrashWhileItRegistersDoublesNothing(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for the last look for doubles")
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := mep.Start(t, "MEP_LIVENESS_DEFAULT_INTERVAL=5s") // no double is SUSPENDED before it is looked for
	a := startAgent(t, services(t, 50), "MEP_PLATFORM_ENDPOINTS="+s.URL)
	for range 5 {
		time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
		a.Kill()
		a.restart()
	}
	wait.Until(t, "all are alive", func() bool {
		all, err := s.Discover()
		return err == nil && len(all) >= 50 && a.ready()
	})
	t.Logf("%d registrations of 50 services", kept(s))
	wait.Until(t, "each is registered once", func() bool { return kept(s) == 50 && a.ready() })
	a.end()
	require.Zero(t, kept(s))
}

func TestAPlatformThatLostItsStoreGetsEachServiceOnceFromTwoAgents(t *testing.T) {
	t.Parallel()
	s, r, a := pairOn(t, mep.Start(t, steady...), 4)
	b := another(t, a)
	ids := a.ids()
	s.Kill()
	s.DataDir = t.TempDir()
	s.Restart()
	r.Lead(s.Listen)
	wait.Until(t, "all are registered again", func() bool { return listed(s, 4) && a.ready() && b.ready() && a.ids()[0] != ids[0] })
	wait.Until(t, "by both", func() bool { return strings.Join(a.ids(), " ") == strings.Join(b.ids(), " ") && kept(s) == 4 })
	a.end()
	require.True(t, listed(s, 4))
	b.end()
	require.Zero(t, kept(s))
}

// A restart ignored what had changed in the configuration.
func TestAChangedConfigurationReachesThePlatformAtARestart(t *testing.T) {
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 2)
	ids := a.ids()
	config := a.command.Args[1]
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	a.Kill()
	changed := strings.ReplaceAll(string(text), "serializer: JSON", "serializer: XML, scopeOfLocality: ZONE")
	changed = strings.ReplaceAll(changed, "security: {}", "security: {oAuth2Info: {tokenEndpoint: /t, grantTypes: []}}")
	require.NoError(t, os.WriteFile(config, []byte(changed), 0o600))
	a.restart()
	wait.Until(t, "ready", a.ready)
	require.Equal(t, ids, a.ids())
	for _, m := range s.Want(200, "GET", mep.ServicesOf("agent-app"), "").List(t) {
		require.Equal(t, "XML", m["serializer"])
		require.Equal(t, "ZONE", m["scopeOfLocality"])
		require.Equal(t, "/t", m["transportInfo"].(map[string]any)["security"].(map[string]any)["oAuth2Info"].(map[string]any)["tokenEndpoint"])
	}
	require.Equal(t, 2, kept(s))
	a.end()
	require.Zero(t, kept(s))
}

// between is a gateway before a platform that changes requests and answers.
func between(t *testing.T, s *mep.Server, request func(*http.Request), answer func(*http.Response, []byte) []byte) *httptest.Server {
	t.Helper()
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	g := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); request(r.Out) },
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			_ = r.Body.Close()
			body = answer(r, body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	})
	t.Cleanup(g.Close)
	return g
}

// EdgeGallery's gateway shows its own URLs in place of what was registered: three starts
// made three registrations.
func TestAGatewayThatRewritesEndpointsHasNothingRegisteredTwice(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, steady...)
	g := between(t, s, func(*http.Request) {}, func(r *http.Response, body []byte) []byte {
		if r.Request.Method == http.MethodGet {
			for i := range 3 {
				body = bytes.ReplaceAll(body, fmt.Appendf(nil, `"http://10.0.0.5/%d"`, i), fmt.Appendf(nil, `"https://gateway.example:8443/s%d-x"`, i))
			}
		}
		return body
	})
	a := startAgent(t, services(t, 3), "MEP_PLATFORM_ENDPOINTS="+g.URL)
	wait.Until(t, "all are alive", func() bool { return listed(s, 3) && a.ready() })
	ids := a.ids()
	for range 3 {
		a.Kill()
		a.restart()
		wait.Until(t, "ready", a.ready)
		require.Equal(t, ids, a.ids())
		require.Equal(t, 3, kept(s))
	}
	a.end()
	require.Zero(t, kept(s))
}

// A platform that keeps no agents is not ours. What somebody else keeps alive there is
// told by the time of the last heartbeat.
func TestARollingUpdateAtAPlatformThatKeepsNoAgents(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for heartbeats at a long interval")
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_DEFAULT_INTERVAL=20s", "MEP_LIVENESS_MAX_INTERVAL=20s")
	g := between(t, s, func(r *http.Request) { r.Header.Del("Mep-Agent") }, func(_ *http.Response, body []byte) []byte { return body })
	a := startAgent(t, services(t, 2), "MEP_PLATFORM_ENDPOINTS="+g.URL)
	wait.Until(t, "all are alive", func() bool { return listed(s, 2) && a.ready() })
	ids := a.ids()
	wait.Until(t, "no heartbeat of the old agent is near, which could not be told from the new one's", func() bool {
		for _, v := range a.services() {
			if time.Since(v.LastBeat) < time.Second || time.Until(v.NextBeat) < 3*time.Second {
				return false
			}
		}
		return true
	})
	end := watchDiscovery(s, 2)
	b := another(t, a)
	require.Equal(t, ids, b.ids())
	a.end()
	time.Sleep(5 * time.Second)
	missed, most := end()
	require.Zero(t, missed)
	require.Equal(t, 2, most)
	b.end()
	require.Zero(t, kept(s))
}

// An agent that crashed for good leaves its part to the platform: nothing is left behind.
func TestNothingIsLeftBehindForAnAgentThatIsNoMore(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for the end of a window")
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 2)
	b := another(t, a)
	b.Kill()
	a.end()
	wait.Until(t, "the platform removes what nobody keeps", func() bool { return kept(s) == 0 })
}

// A platform forgets the agents of what it suspends. They enter again when they are back,
// or the first that stops would take the service from the other.
func TestAgentsThatWereCutOffShareTheirRegistrationAgain(t *testing.T) {
	tier.Long(t, "test/e2e", "cuts agents off for longer than a window")
	t.Parallel()
	s, r, a := pairOn(t, mep.Start(t, steady...), 2)
	b := another(t, a)
	ids := a.ids()
	r.Set(proxy.Absent)
	wait.Until(t, "all are suspended", func() bool { return listed(s, 0) && s.State(ids[0]) == "SUSPENDED" && s.State(ids[1]) == "SUSPENDED" })
	r.Set(proxy.Pass)
	wait.Until(t, "all are alive again", func() bool { return listed(s, 2) && a.ready() && b.ready() })
	time.Sleep(2500 * time.Millisecond) // each has sent a heartbeat, and joined
	end := watchDiscovery(s, 2)
	a.end()
	time.Sleep(2500 * time.Millisecond)
	missed, _ := end()
	require.Zero(t, missed)
	require.Equal(t, ids, b.ids())
	b.end()
	require.Zero(t, kept(s))
}
