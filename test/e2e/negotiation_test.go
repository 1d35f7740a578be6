package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// MEC 011 v3.1.1 §8.1.2.2: absent, 0 and n differ.
func TestTheIntervalIsNegotiatedAtRegistration(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=2s", "MEP_LIVENESS_DEFAULT_INTERVAL=7s", "MEP_LIVENESS_MAX_INTERVAL=20s")
	for _, c := range []struct{ asked, told int }{{-1, 0}, {0, 7}, {1, 2}, {2, 2}, {9, 9}, {20, 20}, {2147483646, 20}} {
		r := s.Want(201, "POST", mep.ServicesOf("a"), mep.Info(fmt.Sprint("n", c.asked), c.asked))
		for _, m := range []map[string]any{r.Object(t), s.Want(200, "GET", r.Header.Get("Location"), "").Object(t)} {
			links := m["_links"].(map[string]any)
			if c.told == 0 {
				require.NotContains(t, m, "livenessInterval")
				require.NotContains(t, links, "liveness")
				continue
			}
			require.EqualValues(t, c.told, m["livenessInterval"], "asked %d", c.asked)
			href := links["liveness"].(map[string]any)["href"]
			require.Equal(t, fmt.Sprintf("%s/applications/a/services/%s/liveness", mep.Base, m["serInstanceId"]), href)
			require.Equal(t, "/mep"+href.(string), links["self"].(map[string]any)["liveness"])
		}
	}
	for _, bad := range []string{"-1", "1.5", `"5"`, "true", "1e-1"} {
		body := mep.Info("bad", -1)
		body = body[:len(body)-1] + `,"livenessInterval":` + bad + "}"
		s.Want(400, "POST", mep.ServicesOf("a"), body)
	}
}

// The interval that the platform told is told anew when its bounds moved at a
// restart, until the heartbeats show the new pace.
func TestANewIntervalIsToldAfterARestartWithOtherBounds(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "raised", 1)
	low := s.Register("a", "lowered", 4)
	v.Beat()
	s.Kill()
	s.Env = append([]string{}, "MEP_LIVENESS_MIN_INTERVAL=2s", "MEP_LIVENESS_MAX_INTERVAL=2s", "MEP_LIVENESS_DEFAULT_INTERVAL=2s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	s.Restart()
	for _, svc := range []*mep.Service{v, low} {
		r := svc.Beat()
		require.Equal(t, 200, r.Status)
		m := r.Object(t)
		require.EqualValues(t, 2, m["interval"])
		require.Equal(t, "ACTIVE", m["state"])
		require.Contains(t, m, "timeStamp")
	}
	require.Equal(t, 200, v.Beat().Status, "a beat at the old pace is told again")
	time.Sleep(1800 * time.Millisecond)
	require.Equal(t, 204, v.Beat().Status, "the pace shows that it was heard")
	wait.Until(t, "the pace shows that it was heard", func() bool { // later, if this machine was disturbed
		before := low.Last
		if low.Beat().Status == 204 {
			return true
		}
		require.Greater(t, time.Since(before), 2400*time.Millisecond, "at most 1.2 of the new interval after the one before")
		time.Sleep(1800 * time.Millisecond)
		return false
	})
	time.Sleep(1800 * time.Millisecond)
	require.Equal(t, 204, v.Beat().Status)
	require.Equal(t, 204, low.Beat().Status)
	require.EqualValues(t, 2, s.Want(200, "GET", v.Location, "").Object(t)["livenessInterval"])
}

// One heartbeat a second of all services together: 36 a minute are aimed at, and 48 are kept.
func TestTheIntervalThatIsLeftToThePlatformFollowsTheLoad(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_DEFAULT_INTERVAL=60s", "MEP_LIVENESS_MAX_BEATS_PER_SECOND=1")
	var all []*mep.Service
	register := func(interval int) int {
		v := s.Register("a", fmt.Sprint("n", len(all)), interval)
		all = append(all, v)
		return int(s.Want(200, "GET", v.Location, "").Object(t)["livenessInterval"].(float64))
	}
	for range 37 {
		require.Equal(t, 60, register(0), "with so many others")
	}
	require.Equal(t, 120, register(0), "who comes now gets the longer one at once")
	for range 10 {
		register(0)
	}
	require.Equal(t, 204, all[0].Beat().Status, "48 of a minute are kept")
	require.Equal(t, 5, register(5), "what a service asks for is its own")
	told := all[0].Beat()
	require.Equal(t, 200, told.Status)
	require.EqualValues(t, 120, told.Object(t)["interval"])
	require.Equal(t, 200, all[0].Beat().Status, "at the old pace it is told again")
	require.Equal(t, 204, all[40].Beat().Status, "who has it already is told nothing")
	batch := s.Want(200, "POST", "/mec_liveness/v1/heartbeats", fmt.Sprintf(`{"heartbeats":[{"appInstanceId":"a","serInstanceId":%q}]}`, all[1].ID)).Object(t)
	require.EqualValues(t, 120, batch["results"].([]any)[0].(map[string]any)["interval"])
	require.EqualValues(t, 120, s.Want(200, "GET", all[0].Location, "").Object(t)["livenessInterval"])
	require.Equal(t, 3, s.Metric("mep_intervals_told_total"))
	require.Equal(t, 120, s.Metric("mep_interval_chosen_seconds"))
	for _, v := range all[10:] {
		s.Want(204, "DELETE", v.Location, "")
	}
	require.EqualValues(t, 60, all[0].Beat().Object(t)["interval"])
	require.EqualValues(t, 120, s.Want(200, "GET", all[1].Location, "").Object(t)["livenessInterval"], "who has not sent a heartbeat since keeps it")
	require.Equal(t, 60, s.Metric("mep_interval_chosen_seconds"))
}
