package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// MEC 011 v3.1.1 §8.1.2.2: absent, 0 and n differ.
func TestTheIntervalIsNegotiatedAtRegistration(t *testing.T) {
	t.Parallel()
	s := start(t, "MEP_LIVENESS_MIN_INTERVAL=2s", "MEP_LIVENESS_DEFAULT_INTERVAL=7s", "MEP_LIVENESS_MAX_INTERVAL=20s")
	for _, c := range []struct{ asked, told int }{{-1, 0}, {0, 7}, {1, 2}, {2, 2}, {9, 9}, {20, 20}, {2147483646, 20}} {
		r := s.want(201, "POST", base+"/applications/a/services", info(fmt.Sprint("n", c.asked), c.asked))
		for _, m := range []map[string]any{r.json(t), s.want(200, "GET", r.header.Get("Location"), "").json(t)} {
			links := m["_links"].(map[string]any)
			if c.told == 0 {
				require.NotContains(t, m, "livenessInterval")
				require.NotContains(t, links, "liveness")
				continue
			}
			require.EqualValues(t, c.told, m["livenessInterval"], "asked %d", c.asked)
			href := links["liveness"].(map[string]any)["href"]
			require.Equal(t, fmt.Sprintf("%s/applications/a/services/%s/liveness", base, m["serInstanceId"]), href)
			require.Equal(t, "/mep"+href.(string), links["self"].(map[string]any)["liveness"])
		}
	}
	for _, bad := range []string{"-1", "1.5", `"5"`, "true", "1e-1"} {
		body := info("bad", -1)
		body = body[:len(body)-1] + `,"livenessInterval":` + bad + "}"
		s.want(400, "POST", base+"/applications/a/services", body)
	}
}

// The interval that the platform told is told anew when its bounds moved at a
// restart, until the heartbeats show the new pace.
func TestANewIntervalIsToldAfterARestartWithOtherBounds(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v := s.register("a", "raised", 1)
	low := s.register("a", "lowered", 4)
	v.beat()
	s.kill()
	s.env = append([]string{}, "MEP_LIVENESS_MIN_INTERVAL=2s", "MEP_LIVENESS_MAX_INTERVAL=2s", "MEP_LIVENESS_DEFAULT_INTERVAL=2s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	s.launch()
	for _, svc := range []*service{v, low} {
		r := svc.beat()
		require.Equal(t, 200, r.status)
		m := r.json(t)
		require.EqualValues(t, 2, m["interval"])
		require.Equal(t, "ACTIVE", m["state"])
		require.Contains(t, m, "timeStamp")
	}
	require.Equal(t, 200, v.beat().status, "a beat at the old pace is told again")
	time.Sleep(1800 * time.Millisecond)
	require.Equal(t, 204, v.beat().status, "the pace shows that it was heard")
	require.Equal(t, 204, low.beat().status, "at most 1.2 of the new interval after the one before")
	time.Sleep(1800 * time.Millisecond)
	require.Equal(t, 204, v.beat().status)
	require.Equal(t, 204, low.beat().status)
	require.EqualValues(t, 2, s.want(200, "GET", v.location, "").json(t)["livenessInterval"])
}
