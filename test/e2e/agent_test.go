package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// quick has every interval be one second and every window two.
var quick = append([]string{"MEP_LIVENESS_DEFAULT_INTERVAL=1s", "MEP_LIVENESS_MAX_INTERVAL=5s"}, mep.Fast...)

// steady is the same with a window of four seconds, for tests in which nobody may be
// missed once: a busy machine runs nothing for a second at times.
var steady = append(append([]string{}, quick...), "MEP_LIVENESS_ALLOWED_MISSES=3")

// patient has a window of ten seconds, for tests in which an agent that nobody may miss is started
// anew: on a busy machine that takes seconds.
var patient = append(append([]string{}, quick...), "MEP_LIVENESS_ALLOWED_MISSES=9")

// pair is a server, the network and an agent with n services that are alive.
func pair(t *testing.T, n int, env ...string) (*mep.Server, *proxy.Proxy, *agent) {
	t.Helper()
	return pairOn(t, mep.Start(t, quick...), n, env...)
}

func pairOn(t *testing.T, s *mep.Server, n int, env ...string) (*mep.Server, *proxy.Proxy, *agent) {
	t.Helper()
	r := proxy.Start(t, s.Listen)
	a := startAgent(t, services(t, n), append([]string{"MEP_PLATFORM_ENDPOINTS=" + r.URL()}, env...)...)
	wait.Until(t, "all are alive", func() bool { return listed(s, n) && a.ready() })
	return s, r, a
}

func TestAgentKeepsEveryServiceAliveAndTakesThemAlong(t *testing.T) {
	t.Parallel()
	s, r, a := pairOn(t, mep.Start(t, steady...), 6)
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		require.True(t, listed(s, 6), "two windows, and nobody is missed once")
	}
	require.Zero(t, suspensions(s))
	require.LessOrEqual(t, r.Opened(), 16, "connections are used again")
	status := proc.Command{Program: a.command.Program, Args: append([]string{"status"}, a.command.Args...), Env: []string{"MEP_LOCAL_LISTEN=" + strings.TrimPrefix(a.url, "http://")}}
	all := regexp.MustCompile(`(?m)^SERVICE +STATE +LAST BEAT +NEXT BEAT +INTERVAL +LAST ANSWER +ID\n(s\d +beating +\S+ ago +in \S+ +1s +204 +\w+\n){6}`)
	wait.Until(t, "the status says that all were answered", func() bool { // on a busy machine one may just wait for its answer
		code, out := status.Run(t, time.Minute)
		require.Zero(t, code, "%s", out.Both)
		require.Contains(t, out.Both.String(), a.ids()[0])
		return all.MatchString(out.Both.String())
	})
	took := a.end()
	require.True(t, listed(s, 0))
	t.Logf("SIGTERM with 6 services: deregistered, and ended after %s", took.Round(time.Millisecond))
}

func TestAgentRidesOutKillNineOfThePlatform(t *testing.T) {
	t.Parallel()
	s, r, a := pair(t, 4)
	ids := a.ids()
	s.Kill()
	time.Sleep(4 * time.Second) // two windows
	s.Restart()
	back := time.Now()
	r.Lead(s.Listen)
	recovers(t, "platform killed for two windows: all alive again after its return", back, func() bool { return listed(s, 4) && a.ready() })
	require.Equal(t, ids, a.ids(), "nothing was registered twice")

	s.Kill()
	s.DataDir = t.TempDir()
	s.Restart()
	back = time.Now()
	r.Lead(s.Listen)
	recovers(t, "platform back with an empty store: all registered again", back, func() bool { return listed(s, 4) && a.ready() })
	for i, id := range a.ids() {
		require.NotEqual(t, ids[i], id)
	}
}

func TestAgentRegistersAgainWhatWasDeletedBehindItsBack(t *testing.T) {
	t.Parallel()
	s, _, a := pair(t, 3)
	ids := a.ids()
	s.Want(204, "DELETE", mep.ServicesOf("agent-app")+"/"+ids[1], "")
	recovers(t, "deleted behind its back: registered again", time.Now(), func() bool { return listed(s, 3) && a.ready() && a.ids()[1] != ids[1] })
	require.Equal(t, []string{ids[0], ids[2]}, []string{a.ids()[0], a.ids()[2]})
}

func TestAgentBringsItsServicesBackAfterTheNetworkIs(t *testing.T) {
	t.Parallel()
	s, r, a := pair(t, 3)
	ids := a.ids()
	r.Set(proxy.Absent)
	wait.Until(t, "all are suspended", func() bool { return listed(s, 0) && s.State(ids[0]) == "SUSPENDED" && s.State(ids[2]) == "SUSPENDED" })
	time.Sleep(3 * time.Second)
	r.Set(proxy.Pass)
	recovers(t, "unreachable for longer than the window: all alive again", time.Now(), func() bool { return listed(s, 3) && a.ready() })
	require.Equal(t, ids, a.ids())
}

func TestAgentThatIsPausedIsSuspendedAndBackAtOnce(t *testing.T) {
	tier.Long(t, "test/e2e", "pauses the agent for longer than windows")
	t.Parallel()
	s, _, a := pair(t, 3)
	ids := a.ids()
	a.Pause()
	wait.Until(t, "all are suspended", func() bool { return listed(s, 0) && s.State(ids[1]) == "SUSPENDED" })
	time.Sleep(3 * time.Second)
	a.Resume()
	recovers(t, "SIGCONT: all ACTIVE again (interval 1 s)", time.Now(), func() bool { return listed(s, 3) })
	require.Equal(t, ids, a.ids())
}

func TestAgentFollowsANewInterval(t *testing.T) {
	t.Parallel()
	s, r, a := pair(t, 2)
	ids := a.ids()
	s.Kill()
	s.Env = []string{"MEP_LIVENESS_DEFAULT_INTERVAL=3s", "MEP_LIVENESS_MIN_INTERVAL=3s", "MEP_LIVENESS_MAX_INTERVAL=3s", "MEP_LIVENESS_ALLOWED_MISSES=2"}
	s.Restart()
	r.Lead(s.Listen)
	recovers(t, "interval moved from 1 s to 3 s: beaten at the new pace", time.Now(), func() bool {
		all := a.services()
		return a.ready() && all[0].Interval == 3 && all[1].Interval == 3
	})
	require.Equal(t, ids, a.ids())
	wait.Until(t, "the platform is content", func() bool { return a.services()[0].LastAnswer == "204" })
	time.Sleep(10 * time.Second)
	require.True(t, listed(s, 2))
	require.Zero(t, suspensions(s))
}

func TestAgentDoesNotBeatWhatTheApplicationSetINACTIVE(t *testing.T) {
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 2)
	id := a.ids()[0]
	path := mep.ServicesOf("agent-app") + "/" + id
	put := func(state string) {
		s.Want(200, "PUT", path, strings.Replace(mep.Info("s0", 1), "ACTIVE", state, 1))
	}
	put("INACTIVE")
	wait.Until(t, "the agent notices", func() bool { return a.services()[0].State == "inactive" })
	time.Sleep(5 * time.Second)
	require.Equal(t, "INACTIVE", s.State(id))
	require.Contains(t, a.Stderr.String(), "is INACTIVE: no heartbeats are sent")
	require.Equal(t, 1, strings.Count(a.Stderr.String(), "is INACTIVE"), "it says so once")
	put("ACTIVE")
	recovers(t, "ACTIVE again by the application: beaten again", time.Now(), func() bool { return a.services()[0].State == "beating" && a.ready() })
	time.Sleep(6 * time.Second)
	require.Equal(t, "ACTIVE", s.State(id))
	require.Zero(t, suspensions(s))
}

func TestAgentFindsItsRegistrationsAgain(t *testing.T) {
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 3, "MEP_APPLICATION_ON_STOP=leave")
	ids := a.ids()
	a.Kill()
	a.restart()
	recovers(t, "agent killed: its registrations found again", time.Now(), a.ready)
	require.Equal(t, ids, a.ids())
	a.end()
	require.True(t, listed(s, 3), "left as configured")
	wait.Until(t, "all are suspended", func() bool { return listed(s, 0) })
	a.restart()
	recovers(t, "agent back after its services were suspended: all alive again", time.Now(), func() bool { return listed(s, 3) && a.ready() })
	require.Equal(t, ids, a.ids())
	require.Len(t, s.Want(200, "GET", mep.ServicesOf("agent-app"), "").List(t), 3)
}

func TestAgentUsesItsSecondEndpointWithinTheInterval(t *testing.T) {
	tier.Long(t, "test/e2e", "cuts links off for several intervals")
	t.Parallel()
	s := mep.Start(t, steady...)
	one, two := proxy.Start(t, s.Listen), proxy.Start(t, s.Listen)
	a := startAgent(t, services(t, 20), "MEP_PLATFORM_ENDPOINTS="+one.URL()+","+two.URL())
	wait.Until(t, "all are alive", func() bool { return listed(s, 20) && a.ready() })
	for _, r := range []*proxy.Proxy{one, two, one} {
		r.Set(proxy.Absent)
		for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			require.True(t, listed(s, 20))
		}
		r.Set(proxy.Pass)
	}
	require.Zero(t, suspensions(s))
	_, metrics := a.get("/metrics")
	require.Regexp(t, `(?m)^mep_agent_failovers_total [1-9]`, metrics)
}

func TestAgentWithholdsTheHeartbeatsOfASickApplication(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, steady...)
	well := filepath.Join(t.TempDir(), "well")
	config := services(t, 2)
	data, err := os.ReadFile(config)
	require.NoError(t, err)
	text := strings.TrimSuffix(string(data), "}\n") + `, probe: {exec: [test, -e, "` + well + `"], interval: 200ms, timeout: 200ms, failures: 2}}` + "\n"
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	a := startAgent(t, config, "MEP_PLATFORM_ENDPOINTS="+s.URL)
	wait.Until(t, "the one without a probe is alive", func() bool { return listed(s, 1) })
	require.Equal(t, "withheld", a.services()[1].State)
	require.NoError(t, os.WriteFile(well, nil, 0o600))
	recovers(t, "the application is well: registered", time.Now(), func() bool { return listed(s, 2) && a.ready() })
	id := a.ids()[1]
	require.NoError(t, os.Remove(well))
	recovers(t, "the application is sick: suspended (window 4 s)", time.Now(), func() bool { return s.State(id) == "SUSPENDED" })
	require.True(t, listed(s, 1))
	require.NoError(t, os.WriteFile(well, nil, 0o600))
	recovers(t, "the application is well again: ACTIVE", time.Now(), func() bool { return s.State(id) == "ACTIVE" && listed(s, 2) })
}

func TestAgentDoesNotCareWhoStartsFirst(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, quick...)
	r := proxy.Start(t, s.Listen)
	r.Set(proxy.Absent)
	a := startAgent(t, services(t, 2), "MEP_PLATFORM_ENDPOINTS="+r.URL())
	time.Sleep(3 * time.Second)
	require.False(t, a.ready())
	r.Set(proxy.Pass)
	recovers(t, "platform up after the agent: all registered", time.Now(), func() bool { return listed(s, 2) && a.ready() })
	r.Set(proxy.Absent)
	began := time.Now()
	require.Positive(t, a.Terminate(), "the services could not be deregistered, and the exit code says so")
	t.Logf("SIGTERM without a platform: ended after %s", time.Since(began).Round(time.Millisecond))
}

func TestAgentIsSmallWithAThousandServices(t *testing.T) {
	tier.Long(t, "test/e2e", "watches a thousand services for several intervals")
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_DEFAULT_INTERVAL=10s")
	a := startAgent(t, services(t, 1000), "MEP_PLATFORM_ENDPOINTS="+s.URL)
	began := time.Now()
	wait.Within(t, 3*time.Minute, "1000 services are registered and alive", func() bool { return listed(s, 1000) && a.ready() })
	t.Logf("1000 services registered and alive: %s", time.Since(began).Round(10*time.Millisecond))
	running := func() int {
		_, metrics := a.get("/metrics")
		n, err := strconv.Atoi(regexp.MustCompile(`(?m)^go_goroutines (\d+)`).FindStringSubmatch(metrics)[1])
		require.NoError(t, err)
		return n
	}
	// A machine that is busy at the start has more connections opened, of two goroutines each;
	// they end when they have been idle for a minute.
	wait.Within(t, 3*time.Minute, "no more goroutines than a few", func() bool { return running() < 100 })
	goroutines := map[string]int{}
	for i := range 3 {
		time.Sleep(10 * time.Second)
		wait.Within(t, 3*time.Minute, "no more goroutines than a few", func() bool {
			goroutines[strconv.Itoa(i)] = running()
			return goroutines[strconv.Itoa(i)] < 100
		})
	}
	require.True(t, listed(s, 1000))
	require.Zero(t, suspensions(s))
	now, most := float64(a.Memory("VmRSS"))/(1<<20), float64(a.Memory("VmHWM"))/(1<<20)
	t.Logf("1000 services, interval 10 s: RSS %.1f MiB now, %.1f MiB at most; goroutines %v", now, most, goroutines)
	require.LessOrEqual(t, now, 30.0, "MiB")
	stopped := time.Now()
	code := a.Terminate()
	left := len(s.Want(200, "GET", mep.ServicesOf("agent-app"), "").List(t))
	t.Logf("SIGTERM with 1000 services: %d deregistered within %s", 1000-left, time.Since(stopped).Round(time.Millisecond))
	require.Equal(t, left == 0, code == 0, "the exit code says whether all were (%d): a busy machine may not manage it in time", code)
}
