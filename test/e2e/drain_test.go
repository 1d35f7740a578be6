package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

func drainOf(id string) string { return mp1.LivenessBase + "/services/" + id + "/drain" }

// refusedAsDrained sends what an owner sends, and returns the detail of its refusal.
func refusedAsDrained(t *testing.T, s *mep.Server, method, path, body string) string {
	t.Helper()
	var p mp1.ProblemDetails
	a := s.Want(http.StatusConflict, method, path, body)
	a.Into(t, &p)
	require.Equal(t, mp1.DrainedType, p.Type, "%s", a.Body)
	return p.Detail
}

// notified are the changes that a consumer was told of; what was sent again counts once.
func notified(c *consumer.Consumer) (lines []string) {
	seen := map[string]bool{}
	for _, n := range c.Receipts() {
		if seen[n.ID] {
			continue
		}
		seen[n.ID] = true
		for _, r := range n.ServiceReferences {
			lines = append(lines, fmt.Sprint(r.SerName, " ", r.ChangeType, " ", r.State))
		}
	}
	return lines
}

func TestADrainedServiceIsOutOfUseUntilItIsUndrained(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	c := consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	v := s.Register("app-1", "worker", 1)
	told := []string{"worker ADDED ACTIVE"}
	shows := func(more ...string) {
		t.Helper()
		told = append(told, more...)
		wait.Until(t, "the consumer is told", func() bool { return len(notified(c)) >= len(told) })
		require.Equal(t, told, notified(c))
	}
	require.Equal(t, http.StatusNoContent, v.Beat().Status)
	item := s.Want(200, "PUT", drainOf(v.ID), `{"reason":"disk is <replaced>"}`).Object(t)
	require.Equal(t, []any{v.ID, "worker", "INACTIVE", true, "drained by administrator: disk is <replaced>"},
		[]any{item["serInstanceId"], item["serName"], item["state"], item["drained"], item["reason"]})
	shows("worker STATE_CHANGED INACTIVE")

	refused := func(reason string) {
		t.Helper()
		for range 3 { // for longer than its window
			require.Contains(t, refusedAsDrained(t, s, "PATCH", v.Liveness, mep.Alive), reason)
			require.Contains(t, refusedAsDrained(t, s, "PUT", v.Location, mep.Info("worker", 1)), reason)
			time.Sleep(time.Second)
		}
		require.Equal(t, "INACTIVE", v.State())
		require.Equal(t, "drained by administrator: "+reason, s.Want(200, "GET", v.Liveness, "").Object(t)["reason"])
		i := instance(v)
		require.Equal(t, "DOWN", i["status"])
		require.Equal(t, "drained by administrator: "+reason, i["properties"].(map[string]any)["mec.reason"])
	}
	refused("disk is <replaced>")
	s.Kill()
	s.Restart()
	refused("disk is <replaced>")
	s.Want(200, "PUT", drainOf(v.ID), `{"reason":"it takes longer"}`)
	refused("it takes longer")
	shows()

	item = s.Want(200, "DELETE", drainOf(v.ID), "").Object(t)
	require.Equal(t, []any{"SUSPENDED", false, "undrained by administrator"}, []any{item["state"], item["drained"], item["reason"]})
	require.False(t, v.Discovered(), "it may not have come back")
	s.Want(409, "DELETE", drainOf(v.ID), "")
	require.Equal(t, http.StatusNoContent, v.Beat().Status)
	require.Equal(t, "ACTIVE", v.State())
	shows("worker STATE_CHANGED SUSPENDED", "worker STATE_CHANGED ACTIVE")

	s.Want(404, "PUT", drainOf(strings.Repeat("0", 64)), `{"reason":"nothing is there"}`)
	s.Want(400, "PUT", drainOf(v.ID), `{"reason":""}`)
	s.Want(200, "PUT", drainOf(v.ID), `{"reason":"for good"}`)
	s.Want(204, "DELETE", v.Location, "")
	shows("worker STATE_CHANGED INACTIVE", "worker REMOVED INACTIVE")
	require.Empty(t, c.Faults())
}

// It neither gives up nor registers anew, also when it is started while the service is drained.
func TestAgentWaitsWhileItsServiceIsDrained(t *testing.T) {
	t.Parallel()
	s, _, a := pairOn(t, mep.Start(t, steady...), 2)
	id := a.ids()[0]
	s.Want(200, "PUT", drainOf(id), `{"reason":"disk is replaced"}`)
	notices := func() {
		t.Helper()
		wait.Until(t, "the agent notices", func() bool { return len(a.services()) == 2 && a.services()[0].State == "inactive" })
		time.Sleep(5 * time.Second)
		require.Equal(t, "INACTIVE", s.State(id))
		require.Equal(t, id, a.ids()[0])
		require.True(t, listed(s, 2), "none beside it, and the other one lives")
	}
	notices()
	wait.Until(t, "it says why", func() bool {
		return strings.Contains(a.Stderr.String(), "drained by administrator: disk is replaced")
	})
	a.Kill()
	a.restart()
	notices()
	s.Want(200, "DELETE", drainOf(id), "")
	recovers(t, "undrained: beaten again", time.Now(), func() bool { return a.services()[0].State == "beating" && a.ready() })
	require.Equal(t, "ACTIVE", s.State(id))
	require.Equal(t, id, a.ids()[0])
}
