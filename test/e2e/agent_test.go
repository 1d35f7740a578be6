package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/tier"
)

// quick has every interval be one second and every window two.
var quick = append([]string{"MEP_LIVENESS_DEFAULT_INTERVAL=1s", "MEP_LIVENESS_MAX_INTERVAL=5s"}, fast...)

// steady is the same with a window of four seconds, for tests in which nobody may be
// missed once: a busy machine runs nothing for a second at times.
var steady = append(append([]string{}, quick...), "MEP_LIVENESS_ALLOWED_MISSES=3")

// pair is a server, the network and an agent with n services that are alive.
func pair(t *testing.T, n int, env ...string) (*server, *relay, *agent) {
	t.Helper()
	return pairOn(t, start(t, quick...), n, env...)
}

func pairOn(t *testing.T, s *server, n int, env ...string) (*server, *relay, *agent) {
	t.Helper()
	r := newRelay(t, s)
	a := startAgent(t, services(t, n), append([]string{"MEP_PLATFORM_ENDPOINTS=" + r.url()}, env...)...)
	eventually(t, "all are alive", func() bool { return s.alive(n) && a.ready() })
	return s, r, a
}

func TestAgentKeepsEveryServiceAliveAndTakesThemAlong(t *testing.T) {
	t.Parallel()
	s, r, a := pairOn(t, start(t, steady...), 6)
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		require.True(t, s.alive(6), "two windows, and nobody is missed once")
	}
	require.Zero(t, s.suspensions())
	require.LessOrEqual(t, r.opened.Load(), int64(16), "connections are used again")
	path, err := agentBinary()
	require.NoError(t, err)
	cmd := exec.Command(path, "status", "--config", a.config)
	cmd.Env = append(os.Environ(), "MEP_LOCAL_LISTEN="+strings.TrimPrefix(a.status, "http://"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `(?m)^SERVICE +STATE +LAST BEAT +NEXT BEAT +INTERVAL +LAST ANSWER +ID$`, string(out))
	require.Regexp(t, `(?m)^s0 +beating +\S+ ago +in \S+ +1s +204 +`+a.ids()[0]+`$`, string(out))
	took := a.end()
	require.True(t, s.alive(0))
	t.Logf("SIGTERM with 6 services: deregistered, and ended after %s", took.Round(time.Millisecond))
}

func TestAgentRidesOutKillNineOfThePlatform(t *testing.T) {
	t.Parallel()
	s, r, a := pair(t, 4)
	ids := a.ids()
	s.kill()
	time.Sleep(4 * time.Second) // two windows
	s.launch()
	back := time.Now()
	r.lead(s)
	recovers(t, "platform killed for two windows: all alive again after its return", back, func() bool { return s.alive(4) && a.ready() })
	require.Equal(t, ids, a.ids(), "nothing was registered twice")

	s.kill()
	s.dir = t.TempDir()
	s.launch()
	back = time.Now()
	r.lead(s)
	recovers(t, "platform back with an empty store: all registered again", back, func() bool { return s.alive(4) && a.ready() })
	for i, id := range a.ids() {
		require.NotEqual(t, ids[i], id)
	}
}

func TestAgentRegistersAgainWhatWasDeletedBehindItsBack(t *testing.T) {
	t.Parallel()
	s, _, a := pair(t, 3)
	ids := a.ids()
	s.want(204, "DELETE", base+"/applications/agent-app/services/"+ids[1], "")
	recovers(t, "deleted behind its back: registered again", time.Now(), func() bool { return s.alive(3) && a.ready() && a.ids()[1] != ids[1] })
	require.Equal(t, []string{ids[0], ids[2]}, []string{a.ids()[0], a.ids()[2]})
}

func TestAgentBringsItsServicesBackAfterTheNetworkIs(t *testing.T) {
	t.Parallel()
	s, r, a := pair(t, 3)
	ids := a.ids()
	r.cut()
	eventually(t, "all are suspended", func() bool { return s.alive(0) && s.stateOf(ids[0]) == "SUSPENDED" && s.stateOf(ids[2]) == "SUSPENDED" })
	time.Sleep(3 * time.Second)
	r.join()
	recovers(t, "unreachable for longer than the window: all alive again", time.Now(), func() bool { return s.alive(3) && a.ready() })
	require.Equal(t, ids, a.ids())
}

func TestAgentThatIsPausedIsSuspendedAndBackAtOnce(t *testing.T) {
	tier.Long(t, "test/e2e", "pauses the agent for longer than windows")
	t.Parallel()
	s, _, a := pair(t, 3)
	ids := a.ids()
	a.signal(syscall.SIGSTOP)
	eventually(t, "all are suspended", func() bool { return s.alive(0) && s.stateOf(ids[1]) == "SUSPENDED" })
	time.Sleep(3 * time.Second)
	a.signal(syscall.SIGCONT)
	recovers(t, "SIGCONT: all ACTIVE again (interval 1 s)", time.Now(), func() bool { return s.alive(3) })
	require.Equal(t, ids, a.ids())
}

func TestAgentFollowsANewInterval(t *testing.T) {
	t.Parallel()
	s, r, a := pair(t, 2)
	ids := a.ids()
	s.kill()
	s.env = []string{"MEP_LIVENESS_DEFAULT_INTERVAL=3s", "MEP_LIVENESS_MIN_INTERVAL=3s", "MEP_LIVENESS_MAX_INTERVAL=3s", "MEP_LIVENESS_ALLOWED_MISSES=2"}
	s.launch()
	r.lead(s)
	recovers(t, "interval moved from 1 s to 3 s: beaten at the new pace", time.Now(), func() bool {
		all := a.services()
		return a.ready() && all[0].Interval == 3 && all[1].Interval == 3
	})
	require.Equal(t, ids, a.ids())
	eventually(t, "the platform is content", func() bool { return a.services()[0].LastAnswer == "204" })
	time.Sleep(10 * time.Second)
	require.True(t, s.alive(2))
	require.Zero(t, s.suspensions())
}

func TestAgentDoesNotBeatWhatTheApplicationSetINACTIVE(t *testing.T) {
	t.Parallel()
	s, _, a := pairOn(t, start(t, steady...), 2)
	id := a.ids()[0]
	path := base + "/applications/agent-app/services/" + id
	put := func(state string) {
		s.want(200, "PUT", path, strings.Replace(info("s0", 1), "ACTIVE", state, 1))
	}
	put("INACTIVE")
	eventually(t, "the agent notices", func() bool { return a.services()[0].State == "inactive" })
	time.Sleep(5 * time.Second)
	require.Equal(t, "INACTIVE", s.stateOf(id))
	require.Contains(t, a.log.String(), "is INACTIVE: no heartbeats are sent")
	require.Equal(t, 1, strings.Count(a.log.String(), "is INACTIVE"), "it says so once")
	put("ACTIVE")
	recovers(t, "ACTIVE again by the application: beaten again", time.Now(), func() bool { return a.services()[0].State == "beating" && a.ready() })
	time.Sleep(6 * time.Second)
	require.Equal(t, "ACTIVE", s.stateOf(id))
	require.Zero(t, s.suspensions())
}

func TestAgentFindsItsRegistrationsAgain(t *testing.T) {
	t.Parallel()
	s, _, a := pair(t, 3, "MEP_APPLICATION_ON_STOP=leave")
	ids := a.ids()
	a.kill()
	a.launch()
	recovers(t, "agent killed: its registrations found again", time.Now(), a.ready)
	require.Equal(t, ids, a.ids())
	a.end()
	require.True(t, s.alive(3), "left as configured")
	eventually(t, "all are suspended", func() bool { return s.alive(0) })
	a.launch()
	recovers(t, "agent back after its services were suspended: all alive again", time.Now(), func() bool { return s.alive(3) && a.ready() })
	require.Equal(t, ids, a.ids())
	require.Len(t, s.want(200, "GET", base+"/applications/agent-app/services", "").list(t), 3)
}

func TestAgentUsesItsSecondEndpointWithinTheInterval(t *testing.T) {
	tier.Long(t, "test/e2e", "cuts links off for several intervals")
	t.Parallel()
	s := start(t, steady...)
	one, two := newRelay(t, s), newRelay(t, s)
	a := startAgent(t, services(t, 20), "MEP_PLATFORM_ENDPOINTS="+one.url()+","+two.url())
	eventually(t, "all are alive", func() bool { return s.alive(20) && a.ready() })
	for _, r := range []*relay{one, two, one} {
		r.cut()
		for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			require.True(t, s.alive(20))
		}
		r.join()
	}
	require.Zero(t, s.suspensions())
	_, metrics := a.get("/metrics")
	require.Regexp(t, `(?m)^mep_agent_failovers_total [1-9]`, metrics)
}

func TestAgentWithholdsTheHeartbeatsOfASickApplication(t *testing.T) {
	t.Parallel()
	s := start(t, quick...)
	well := filepath.Join(t.TempDir(), "well")
	config := services(t, 2)
	data, err := os.ReadFile(config)
	require.NoError(t, err)
	text := strings.TrimSuffix(string(data), "}\n") + `, probe: {exec: [test, -e, "` + well + `"], interval: 200ms, timeout: 200ms, failures: 2}}` + "\n"
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	a := startAgent(t, config, "MEP_PLATFORM_ENDPOINTS="+s.url)
	eventually(t, "the one without a probe is alive", func() bool { return s.alive(1) })
	require.Equal(t, "withheld", a.services()[1].State)
	require.NoError(t, os.WriteFile(well, nil, 0o600))
	recovers(t, "the application is well: registered", time.Now(), func() bool { return s.alive(2) && a.ready() })
	id := a.ids()[1]
	require.NoError(t, os.Remove(well))
	recovers(t, "the application is sick: suspended (window 2 s)", time.Now(), func() bool { return s.stateOf(id) == "SUSPENDED" })
	require.True(t, s.alive(1))
	require.NoError(t, os.WriteFile(well, nil, 0o600))
	recovers(t, "the application is well again: ACTIVE", time.Now(), func() bool { return s.stateOf(id) == "ACTIVE" && s.alive(2) })
}

func TestAgentDoesNotCareWhoStartsFirst(t *testing.T) {
	t.Parallel()
	s := start(t, quick...)
	r := newRelay(t, s)
	r.cut()
	a := startAgent(t, services(t, 2), "MEP_PLATFORM_ENDPOINTS="+r.url())
	time.Sleep(3 * time.Second)
	require.False(t, a.ready())
	r.join()
	recovers(t, "platform up after the agent: all registered", time.Now(), func() bool { return s.alive(2) && a.ready() })
	r.cut()
	began := time.Now()
	a.signal(syscall.SIGTERM)
	require.Error(t, a.cmd.Wait(), "the services could not be deregistered, and the exit code says so")
	t.Logf("SIGTERM without a platform: ended after %s", time.Since(began).Round(time.Millisecond))
}

func TestAgentIsSmallWithAThousandServices(t *testing.T) {
	tier.Long(t, "test/e2e", "watches a thousand services for several intervals")
	t.Parallel()
	s := start(t, "MEP_LIVENESS_DEFAULT_INTERVAL=5s")
	a := startAgent(t, services(t, 1000), "MEP_PLATFORM_ENDPOINTS="+s.url)
	began := time.Now()
	recovers(t, "1000 services registered and alive", began, func() bool { return s.alive(1000) && a.ready() })
	goroutines := map[string]int{}
	for i := range 3 {
		time.Sleep(5 * time.Second)
		_, metrics := a.get("/metrics")
		n, err := strconv.Atoi(regexp.MustCompile(`(?m)^go_goroutines (\d+)`).FindStringSubmatch(metrics)[1])
		require.NoError(t, err)
		goroutines[strconv.Itoa(i)] = n
		require.Less(t, n, 100)
	}
	require.True(t, s.alive(1000))
	require.Zero(t, s.suspensions())
	now, most := rss(t, a, "VmRSS"), rss(t, a, "VmHWM")
	t.Logf("1000 services, interval 5 s: RSS %.1f MiB now, %.1f MiB at most; goroutines %v", now, most, goroutines)
	require.LessOrEqual(t, now, 30.0, "MiB")
	a.signal(syscall.SIGTERM)
	stopped := time.Now()
	err := a.cmd.Wait()
	left := len(s.want(200, "GET", base+"/applications/agent-app/services", "").list(t))
	t.Logf("SIGTERM with 1000 services: %d deregistered within %s", 1000-left, time.Since(stopped).Round(time.Millisecond))
	require.Equal(t, left == 0, err == nil, "the exit code says whether all were (%v): a busy machine may not manage it in time", err)
}

// rss is a figure of the agent's memory in MiB.
func rss(t *testing.T, a *agent, name string) float64 {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(a.cmd.Process.Pid) + "/status")
	if err != nil {
		t.Skipf("this system has no /proc to read memory from: %v", err)
	}
	kib, err := strconv.Atoi(regexp.MustCompile(name + `:\s+(\d+) kB`).FindStringSubmatch(string(data))[1])
	require.NoError(t, err)
	return float64(kib) / 1024
}
