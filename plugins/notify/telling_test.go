package notify

import (
	"bytes"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// An operator must see whom the platform cannot tell, and how much was lost, and must not
// see the secrets that callbacks hold.
func TestWhatIsNotDeliveredIsCountedAndSaid(t *testing.T) {
	var out bytes.Buffer
	m := newMetrics(plugins.NewLog(&out, "INFO"))
	t.Cleanup(func() { _ = m.Unregister(t.Context()) })
	s := &plugins.Subscription{ID: "sub-1", Owner: "app-1", Asked: mp1.Subscription{CallbackReference: "http://user:hush@Consumer:81/hush?key=hush"}}
	said := func(text string) {
		t.Helper()
		line := out.String()
		out.Reset()
		if text == "" {
			require.Empty(t, line)
			return
		}
		for _, want := range []string{text, `"subscriptionId":"sub-1"`, `"appInstanceId":"app-1"`, `"host":"consumer:81"`} {
			require.Contains(t, line, want)
		}
		require.Equal(t, 1, strings.Count(line, "\n"))
		require.NotContains(t, line, "hush")
	}
	m.attempt(s, result{outcome: timedOut}, 1, false)
	said("subscriber cannot be notified; it is tried again")
	m.attempt(s, result{outcome: timedOut}, 2, true)
	said("")
	m.attempt(s, result{}, 0, true)
	said("")
	m.attempt(s, result{}, 0, false)
	said("")
	m.attempt(s, result{outcome: gone}, 0, false)
	said("subscriber is gone")
	require.InDelta(t, 2, testutil.ToFloat64(m.retries), 0)
	for name, want := range map[string]float64{"timeout": 2, "delivered": 2, "gone": 1, "refused": 0} {
		require.InDelta(t, want, testutil.ToFloat64(m.attempts.WithLabelValues(name)), 0, name)
	}
	m.lost(s, stageGivenUp, 3)
	said("notifications given up")
	m.lost(s, stageShed, 2)
	said("notifications lost: more was kept")
	m.lost(s, stageSuperseded, 5)
	said("")
	m.lost(s, stageConsumerGone, 7)
	said("")
	for name, want := range map[string]float64{"given_up": 3, "over_bound": 2, "superseded": 5, "dropped": 7} {
		require.InDelta(t, want, testutil.ToFloat64(m.lostEvents.WithLabelValues(name)), 0, name)
	}
	m.unreadable(4, "key\n\x1b[2J")
	require.InDelta(t, 4, testutil.ToFloat64(m.unreadableEvents), 0)
	require.Contains(t, out.String(), "events of the outbox cannot be read")
	require.NotContains(t, out.String(), "\x1b")
}
