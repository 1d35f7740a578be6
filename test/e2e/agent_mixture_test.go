package e2e

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// way is one of two ways from an agent to its platform: a link, and a gateway behind it.
type way struct {
	*front
	link *proxy.Proxy
}

func newWay(t *testing.T, s *mep.Server) way {
	f := newFront(t, s)
	return way{f, proxy.Start(t, f.Listener.Addr().String())}
}

// answering has the gateway answer everything, after it has had it carried out or not.
func (w way) answering(status int, carriedOut bool) {
	w.set(func(to http.ResponseWriter, r *http.Request) bool {
		if carriedOut {
			w.carryOut(r)
		}
		if status == 0 {
			panic(http.ErrAbortHandler) // the connection is cut
		}
		to.Header().Set("Retry-After", "3600")
		to.Header().Set("Location", "http://192.0.2.1/")
		to.WriteHeader(status)
		return true
	})
}

// faults are what may happen to one of the ways while the other is sound.
var faults = []struct {
	name string
	of   func(way)
}{
	{"absent", func(w way) { w.link.Set(proxy.Absent) }},
	{"refusing", func(w way) { w.link.Set(proxy.Refuse) }},
	{"a black hole", func(w way) { w.link.Set(proxy.Blackhole) }},
	{"half open, upwards", func(w way) { w.link.Set(proxy.HalfDown) }},
	{"half open, downwards", func(w way) { w.link.Set(proxy.HalfUp) }},
	{"slow", func(w way) { w.link.SetDelay(150 * time.Millisecond) }},
	{"lossy", func(w way) { w.link.SetLoss(20*time.Millisecond, 0.3) }},
	{"cut", func(w way) { w.link.Cut() }},
	{"502", func(w way) { w.answering(502, false) }},
	{"503", func(w way) { w.answering(503, false) }},
	{"504 of what is done", func(w way) { w.answering(504, true) }},
	{"cut when it is done", func(w way) { w.answering(0, true) }},
	{"cut when it is not done", func(w way) { w.answering(0, false) }},
}

// Whatever happens to one of two ways, for as long as an interval at a time: no service is
// over its window, none is doubled, and none is lost when the agent is killed meanwhile.
func TestAgentWithOneSoundWayIsInTimeWhateverHappensToTheOther(t *testing.T) {
	tier.Long(t, "test/e2e", "breaks links and gateways for half a minute")
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := mep.Start(t, append(append([]string{}, quick...), "MEP_LIVENESS_ALLOWED_MISSES=5")...) // a window of 6 s
	ways := []way{newWay(t, s), newWay(t, s)}
	seen := watch(s, "agent-app")
	a := startAgent(t, services(t, 10), "MEP_PLATFORM_ENDPOINTS="+ways[0].link.URL()+","+ways[1].link.URL())
	wait.Until(t, "all are alive", func() bool { return once(s, 10) && a.ready() })
	ids := a.ids()
	order := rnd.Perm(2 * len(faults))
	for i, n := range order {
		fault, w := faults[n%len(faults)], ways[n/len(faults)]
		t.Logf("way %d is %s", n/len(faults), fault.name)
		fault.of(w)
		if i == len(order)/2 {
			a.Kill()
			a.restart()
		}
		time.Sleep(time.Duration(300+rnd.IntN(900)) * time.Millisecond)
		w.link.Set(proxy.Pass)
		w.set(nil)
		require.Zero(t, suspensions(s), "way %d was %s", n/len(faults), fault.name)
	}
	wait.Until(t, "all are alive, each once", func() bool { return once(s, 10) && a.ready() })
	require.Equal(t, ids, a.ids())
	require.Zero(t, suspensions(s))
	require.Empty(t, seen.end())
	a.end()
	require.True(t, once(s, 0))
	t.Logf("%d faults and a kill: 10 services, window 6 s, 0 suspensions, none doubled", len(order))
}
