package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// The sizes of the test below; the large ones are
//
//	go test ./test/e2e -run TestAgentKeepsThousands -v -args -agent.services 10000 -agent.interval 30 -agent.for 100
//	go test ./test/e2e -run TestAgentKeepsThousands -v -args -agent.services 2000 -agent.interval 5 -agent.for 60
var (
	agentServices = flag.Int("agent.services", 600, "services of the agent at a distant platform")
	agentInterval = flag.Int("agent.interval", 2, "seconds between their heartbeats")
	agentFor      = flag.Int("agent.for", 10, "seconds for which they are watched")
)

// latency is that of a request to the distant platform.
const latency = 150 * time.Millisecond

// A fixed 16 requests at a time had every one of them suspended: see ADR 0031.
func TestAgentKeepsThousandsAliveAtADistantPlatform(t *testing.T) {
	tier.Long(t, "test/e2e", "sends heartbeats of hundreds of services for some time")
	n, interval, watched := *agentServices, time.Duration(*agentInterval)*time.Second, time.Duration(*agentFor)*time.Second
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1", fmt.Sprint("MEP_LIVENESS_DEFAULT_INTERVAL=", interval),
		fmt.Sprint("MEP_LIVENESS_MAX_INTERVAL=", max(interval, time.Minute)), "MEP_APPLICATIONS_MAX_SERVICES=20000",
		"MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0")
	link := proxy.Start(t, s.Listen)
	link.SetDelay(latency / 2)
	began := time.Now()
	env := []string{"MEP_PLATFORM_ENDPOINTS=" + link.URL()}
	tooMany := n > 5000 // to be removed within the eight seconds that a stop has for it
	if tooMany {
		env = append(env, "MEP_APPLICATION_ON_STOP=leave")
	}
	a := startAgent(t, services(t, n), env...)
	wait.Within(t, 3*time.Minute, "all are alive", a.ready)
	t.Logf("%d services at %s, %s away: all alive after %s", n, interval, latency, time.Since(began).Round(100*time.Millisecond))
	before := suspensions(s)
	figures := func() string {
		return fmt.Sprintf("goroutines %.0f, resident %.0f MB, connections %d, requests under way %.0f, heartbeats %.0f, late %.0f, suspended %d",
			a.metric("go_goroutines"), a.metric("process_resident_memory_bytes")/1e6, link.Opened(), a.metric("mep_agent_requests_under_way"),
			a.metric(`mep_agent_heartbeats_total{outcome="ok"}`), a.metric("mep_agent_heartbeats_late_total"), suspensions(s)-before)
	}
	t.Log(figures())
	for end := time.Now().Add(watched); time.Now().Before(end); {
		time.Sleep(min(watched/5, time.Until(end)))
		t.Log(figures())
		require.LessOrEqual(t, a.metric("go_goroutines"), 3.0*512+50, "none for each service")
	}
	require.Equal(t, before, suspensions(s), "none was over its window:\n%s", a.Stderr)
	require.Zero(t, a.metric("mep_agent_registrations_lost_total"))
	took := a.end()
	t.Logf("ended after %s", took.Round(10*time.Millisecond))
	require.True(t, tooMany || listed(s, 0))
}

// metric is one series of the agent's /metrics, 0 if it is not there.
func (a *agent) metric(series string) (value float64) {
	a.t.Helper()
	status, body := a.get("/metrics")
	require.Equal(a.t, http.StatusOK, status)
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			_, err := fmt.Sscan(text, &value)
			require.NoError(a.t, err)
		}
	}
	return value
}
