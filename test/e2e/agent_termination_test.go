package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	registrationsPath = mp1.AppSupportBase + "/registrations"
	terminationsPath  = mp1.AppSupportBase + "/applications/agent-app/subscriptions"
)

var confirms = []string{"MEP_APPLICATION_CONFIRM_READY=true", "MEP_APPLICATION_ON_TERMINATION=confirm"}

// terminable is a server, and an agent of a registered application that confirms terminations.
func terminable(t *testing.T, n int) (*mep.Server, *agent) {
	t.Helper()
	s := mep.Start(t, quick...)
	require.Equal(t, 201, s.Do("POST", registrationsPath, `{"appName":"face","appInstanceId":"agent-app"}`).Status)
	a := startAgent(t, services(t, n), append([]string{"MEP_PLATFORM_ENDPOINTS=" + s.URL}, confirms...)...)
	wait.Until(t, "all are alive", func() bool { return listed(s, n) && a.ready() })
	wait.Until(t, "it is told of terminations", func() bool { return strings.Contains(a.Stderr.String(), "is told of a termination") })
	return s, a
}

// terminate begins a termination that nobody would wait for in a test.
func terminate(t *testing.T, s *mep.Server) {
	t.Helper()
	require.Equal(t, http.StatusAccepted, s.Do("DELETE", registrationsPath+"/agent-app?graceful=3600", "").Status)
}

// terminated waits until the application is gone, and the agent idles.
func terminated(t *testing.T, s *mep.Server, a *agent) {
	t.Helper()
	wait.Until(t, "the agent has confirmed it", func() bool { return strings.Contains(a.Stdout.String(), "agent-app is terminated") })
	wait.Until(t, "the application is gone", func() bool {
		return listed(s, 0) && s.Do("GET", registrationsPath+"/agent-app", "").Status == http.StatusNotFound
	})
	require.False(t, a.ready())
	status, _ := a.get("/health")
	require.Equal(t, 200, status, "who restarts the agent would register the services again")
	require.Equal(t, 1, strings.Count(a.Stderr.Settled(), "terminates the application"))
}

func TestAgentTellsThatTheApplicationIsReadyAndConfirmsItsTermination(t *testing.T) {
	t.Parallel()
	s, a := terminable(t, 3)
	wait.Until(t, "the admin sees that it is ready", func() bool {
		return strings.Contains(string(s.Do("GET", "/mec_liveness/v1/applications/agent-app", "").Body), `"ready"`)
	})
	wait.Until(t, "the agent has its answer, and says so", func() bool { return strings.Contains(a.Stderr.String(), "the application is ready") })
	terminate(t, s)
	terminated(t, s, a)
	require.Equal(t, 1, strings.Count(a.Stderr.String(), "the application is ready"), "once is enough")
	require.Contains(t, a.Stderr.Settled(), `"deregistered":3`, "by itself, before it confirms")
	a.end()
}

// Its subscription keeps the announcement.
func TestAgentThatIsKilledIsToldOfTheTerminationThatBeganMeanwhile(t *testing.T) {
	t.Parallel()
	s, a := terminable(t, 2)
	a.Kill()
	terminate(t, s)
	a.restart()
	terminated(t, s, a)
	require.Empty(t, s.Do("GET", terminationsPath, "").Object(t)["_links"].(map[string]any)["subscriptions"])
	a.end()
}

func TestAgentConfirmsATerminationToAPlatformThatWasKilledMeanwhile(t *testing.T) {
	tier.Long(t, "test/e2e", "pauses an agent, and starts the platform anew")
	t.Parallel()
	s, a := terminable(t, 2)
	a.Pause()
	terminate(t, s)
	s.Kill()
	a.Resume()
	time.Sleep(2 * time.Second)
	s.Restart()
	terminated(t, s, a)
	a.end()
}

func TestEveryAgentOfAnApplicationConfirmsItsTermination(t *testing.T) {
	t.Parallel()
	s, a := terminable(t, 1)
	b := startAgent(t, services(t, 1), append([]string{"MEP_PLATFORM_ENDPOINTS=" + s.URL}, confirms...)...)
	both := func() int {
		return strings.Count(a.Stderr.String(), "is told of a termination") + strings.Count(b.Stderr.String(), "is told of a termination")
	}
	wait.Until(t, "the second has the subscription of the first, and that one another", func() bool { return both() >= 3 && b.ready() })
	terminate(t, s)
	terminated(t, s, a)
	terminated(t, s, b)
	a.end()
	b.end()
}

func TestAgentThatStopsLeavesNoSubscription(t *testing.T) {
	t.Parallel()
	s, a := terminable(t, 1)
	require.Len(t, s.Do("GET", terminationsPath, "").Object(t)["_links"].(map[string]any)["subscriptions"], 1)
	a.end()
	require.Empty(t, s.Do("GET", terminationsPath, "").Object(t)["_links"].(map[string]any)["subscriptions"])
}

// The WebSocket is opened with what every request has.
func TestAgentIsToldOfTheTerminationByTLSWithItsToken(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, append([]string{eachSecond}, mep.Fast...)...)
	c, admin := s.Add("agent-app"), s.As(s.Add("boss", "admin"))
	require.Equal(t, 201, s.As(c).Do("POST", registrationsPath, `{"appName":"face","appInstanceId":"agent-app"}`).Status)
	a, _ := oauth2Agent(t, s, c, 2, confirms...)
	wait.Until(t, "it is told of terminations", func() bool { return strings.Contains(a.Stderr.String(), "is told of a termination") && a.ready() })
	terminate(t, admin)
	terminated(t, admin, a)
	a.end()
}

// Who is behind NAT has no address for a callback.
func TestListenByWebSocketPrintsEveryChangeOnceAcrossAKill(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	listen := proc.Command{Program: mep.AgentBinary(t), Args: []string{"listen", "--websocket"},
		Env: []string{"MEP_PLATFORM_ENDPOINTS=" + s.URL, "MEP_APPLICATION_ID=nat"}}.Start(t)
	printed := func(text string) func() bool {
		return func() bool { return strings.Contains(listen.Stdout.String(), text) }
	}
	wait.Until(t, "it is connected", printed("listening by WebSocket"))
	s.Register("app", "before", 60)
	wait.Until(t, "it is told", printed("before"))
	s.Kill()
	s.Restart()
	s.Register("app", "after", 60)
	wait.Until(t, "it is told again", printed("after"))
	require.Equal(t, 1, strings.Count(listen.Stdout.String(), " ADDED              ACTIVE    before "))
	require.Zero(t, listen.Terminate())
	require.Empty(t, s.Do("GET", mep.SubscriptionsOf("nat"), "").Object(t)["_links"].(map[string]any)["subscriptions"], "nothing is left behind")

	made := s.Do("POST", mep.SubscriptionsOf("other"), `{"subscriptionType":"SerAvailabilityNotificationSubscription","websockNotifConfig":{"requestWebsocketUri":true}}`).Object(t)
	uri, _ := made["websockNotifConfig"].(map[string]any)["websocketUri"].(string)
	listen = proc.Command{Program: mep.AgentBinary(t), Args: []string{"listen", "--websocket", uri}}.Start(t)
	wait.Until(t, "it is connected", printed("listening by WebSocket"))
	s.Register("app", "third", 60)
	wait.Until(t, "it is told of a subscription that others have made", printed("third"))
	self, _ := made["_links"].(map[string]any)["self"].(map[string]any)["href"].(string)
	require.Equal(t, 204, s.Do("DELETE", self, "").Status)
	wait.Until(t, "the end of the subscription ends it", func() bool { return listen.Ended() })
	require.Contains(t, listen.Stderr.String(), "the subscription")
}
