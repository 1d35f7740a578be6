package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// A service that flaps is told of a few times and then once a period, the newest; the server may be killed in
// between. Discovery knows every change at once, and that the service is gone is told at once.
func TestAFlappingServiceIsToldSeldomAndTheNewest(t *testing.T) {
	t.Parallel()
	const changes, period = 3, 15 * time.Second
	s := mep.Start(t, fmt.Sprint("MEP_NOTIFY_FLAP_CHANGES=", changes), fmt.Sprint("MEP_NOTIFY_FLAP_PERIOD=", period), "MEP_LIMITS_WRITES_PER_SECOND=0")
	c := consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	v := s.Register("p", "flappy", -1)
	state := func(to string) {
		s.Want(200, "PUT", v.Location, with(t, mep.Info("flappy", -1), map[string]any{"state": to}))
		require.Equal(t, to, s.State(v.ID))
	}
	for i := range 10 {
		state([]string{"INACTIVE", "ACTIVE"}[i%2])
	}
	began := time.Now()
	state("INACTIVE")
	// told are the changes that were told of, each notification counted once.
	told := func() (all []string) {
		seen := map[string]bool{}
		for _, n := range c.Receipts() {
			if seen[n.ID] {
				continue
			}
			seen[n.ID] = true
			for _, r := range n.ServiceReferences {
				all = append(all, strings.TrimSpace(fmt.Sprint(r.ChangeType, " ", r.State)))
			}
		}
		return all
	}
	wait.Until(t, "all that is told at once", func() bool { return len(told()) >= 1+changes })
	require.Equal(t, []string{"ADDED ACTIVE", "STATE_CHANGED INACTIVE", "STATE_CHANGED ACTIVE", "STATE_CHANGED INACTIVE"}, told())
	counted(s, 11-changes, "mep_notification_changes_put_off_total")
	require.Equal(t, 1, s.Metric("mep_services_flapping"))
	now := s.Want(200, "GET", "/mec_liveness/v1/state/"+v.ID, "")
	require.Contains(t, string(now.Body), `"flapping":{"changes":11,"until":`)
	s.Kill()
	s.Restart()
	for i := range 9 {
		state([]string{"ACTIVE", "INACTIVE"}[i%2])
	}
	wait.Until(t, "what was put off to be told, and the newest state", func() bool {
		all := told()
		return all[len(all)-1] == "STATE_CHANGED ACTIVE" && time.Since(began) > 2*period
	})
	// Beside what was told before the kill: what was put off then, as much again at once, and once a period the newest.
	require.LessOrEqual(t, len(told()), 1+changes+1+changes+3, "of 20 changes: %v", told())
	require.Empty(t, c.Faults())
	for range changes + 2 {
		state("INACTIVE")
		state("ACTIVE")
	}
	s.Want(204, "DELETE", v.Location, "")
	wait.Until(t, "the removal to be told", func() bool { return !c.FirstOf("flappy REMOVED ACTIVE").IsZero() })
	after := len(told())
	time.Sleep(period + time.Second)
	require.Len(t, told(), after, "nothing of it follows")
}
