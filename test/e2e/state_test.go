package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// shownState is what the tests read of a service's state.
type shownState struct {
	SerInstanceID string    `json:"serInstanceId"`
	State         string    `json:"state"`
	Since         time.Time `json:"since"`
	Reason        string    `json:"reason"`
	Late          bool      `json:"late"`
	Flaps         int       `json:"flaps"`
	GapsSeconds   []float64 `json:"gapsSeconds"`
	LastHeartbeat time.Time `json:"lastHeartbeat"`
	Deadline      time.Time `json:"deadline"`
	Notified      struct {
		Told    int      `json:"told"`
		Pending int      `json:"pending"`
		Failing []string `json:"failing"`
	} `json:"notified"`
	Transitions []struct {
		From   string `json:"from"`
		To     string `json:"to"`
		Reason string `json:"reason"`
	} `json:"transitions"`
	Subscriptions []struct {
		ID        string `json:"id"`
		Delivered bool   `json:"delivered"`
		LastError string `json:"lastError"`
	} `json:"subscriptions"`
}

type shownPlatform struct {
	Platform struct {
		Expiry struct {
			Held   bool      `json:"held"`
			Reason string    `json:"reason"`
			Until  time.Time `json:"until"`
		} `json:"expiry"`
	} `json:"platform"`
	Services []shownState `json:"services"`
}

const statePath = "/mec_liveness/v1/state"

func stateOf(t *testing.T, s *mep.Server, id string) (v shownState) {
	t.Helper()
	s.Want(200, "GET", statePath+"/"+id, "").Into(t, &v)
	return v
}

// Somebody who looks sees a service late before it is dead, then since when and why it is, who was
// told of it and who could not be.
func TestTheStateSaysWhoDiedWhyAndWhoWasTold(t *testing.T) {
	t.Parallel()
	s, good, bad := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s"), consumer.Start(t), consumer.Start(t)
	bad.Answer(500)
	s.Subscribe("watcher", good.URL+"/secret-path", "")
	s.Subscribe("broken", bad.URL+"/secret-path", "")
	dead, alive := s.Register("app-1", "dead", 1), s.Register("app-1", "alive", 1)
	for range 4 {
		dead.Beat()
		alive.Beat()
		time.Sleep(700 * time.Millisecond)
	}
	v := stateOf(t, s, dead.ID)
	require.Equal(t, "ACTIVE", v.State)
	require.Len(t, v.GapsSeconds, 3)
	require.Equal(t, 3*time.Second, v.Deadline.Sub(v.LastHeartbeat).Round(10*time.Millisecond))
	late := false
	wait.Until(t, "it is dead", func() bool {
		alive.Beat()
		v = stateOf(t, s, dead.ID)
		late = late || v.Late && v.State == "ACTIVE"
		return v.State == "SUSPENDED"
	})
	require.True(t, late, "before that it was late")
	wait.Until(t, "it was told", func() bool {
		v = stateOf(t, s, dead.ID)
		return v.Notified.Told == 1 && len(v.Notified.Failing) == 1
	})
	require.Contains(t, v.Reason, "no heartbeat for 3 s")
	require.True(t, v.Since.After(v.LastHeartbeat.Add(3*time.Second)), "%s, %s", v.Since, v.LastHeartbeat)
	require.Equal(t, 1, v.Flaps)
	require.Len(t, v.Transitions, 1)
	require.Equal(t, "SUSPENDED", v.Transitions[0].To)
	require.Len(t, v.Subscriptions, 2)
	for _, one := range v.Subscriptions {
		if one.ID == v.Notified.Failing[0] {
			require.Equal(t, []any{false, "server_error"}, []any{one.Delivered, one.LastError})
		} else {
			require.Equal(t, []any{true, ""}, []any{one.Delivered, one.LastError})
		}
	}
	list := s.Want(200, "GET", statePath+"?app=app-1&name=DEAD", "")
	require.NotContains(t, string(list.Body), "secret-path")
	var all shownPlatform
	list.Into(t, &all)
	require.Len(t, all.Services, 1)
	s.Want(200, "GET", statePath, "").Into(t, &all)
	require.Equal(t, dead.ID, all.Services[0].SerInstanceID, "the dead come first")
	dead.Beat()
	require.Equal(t, "a heartbeat came", stateOf(t, s, dead.ID).Reason)
}

// After a pause nobody is found dead before his window has passed again, and the state says so.
func TestTheStateSaysThatAPauseHoldsDeathsBack(t *testing.T) {
	tier.Long(t, "test/e2e", "pauses a platform")
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=2s")
	v := s.Register("app", "silent", 2)
	v.Beat()
	s.Pause()
	time.Sleep(7 * time.Second)
	s.Resume()
	var all shownPlatform
	wait.Until(t, "it is held for the pause, and not for the start any more", func() bool {
		s.Want(200, "GET", statePath, "").Into(t, &all)
		return all.Platform.Expiry.Held && strings.Contains(all.Platform.Expiry.Reason, "paused")
	})
	until := all.Platform.Expiry.Until
	wait.Until(t, "it is found dead", func() bool { return stateOf(t, s, v.ID).State == "SUSPENDED" })
	require.False(t, stateOf(t, s, v.ID).Since.Before(until.Add(-100*time.Millisecond)), "not before it was said")
}
