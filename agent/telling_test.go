package agent

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// logged is a log of which a test reads the lines that came since it read last.
type logged struct{ bytes.Buffer }

func (l *logged) lines(t *testing.T) (out []string) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var m struct{ Level, Msg, Reason string }
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		if m.Reason != "" {
			m.Msg += ": " + m.Reason
		}
		out = append(out, m.Level+" "+m.Msg)
	}
	l.Reset()
	return out
}

// Whatever fails is said once, however often it fails, and so is its end. Meanwhile the
// status says it.
func TestEveryFaultIsSaidOnceAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		fails := func(method, end string) {
			f.respondWith(onRequest(method, end, func(*http.Request) response { return respond(500, map[string]string{"detail": "no"}) }))
		}
		fails(http.MethodGet, "/services")
		var log logged
		o := options(f, 1)
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
		r := run(t, o)
		advance(time.Minute)
		require.Equal(t, []string{"WARN the application's services cannot be listed; it is tried again: 500, no"}, log.lines(t))
		require.Equal(t, "500, no", r.Status()[0].LastAnswer)
		require.False(t, r.Ready())

		fails(http.MethodPost, "/services")
		advance(2 * time.Minute)
		require.Equal(t, []string{"INFO the platform answers again", "WARN could not be registered: 500, no"}, log.lines(t))
		require.Equal(t, "500, no", r.Status()[0].LastAnswer)

		fails(http.MethodPatch, "/liveness")
		advance(time.Minute)
		require.Equal(t, []string{"INFO registered", "WARN a heartbeat was not taken: 500, no"}, log.lines(t))
		require.Equal(t, "500, no", r.Status()[0].LastAnswer)
		require.False(t, r.Ready())

		f.respondWith(nil)
		advance(2 * interval)
		require.Equal(t, []string{"INFO heartbeats are taken again"}, log.lines(t))
		require.Equal(t, "204", r.Status()[0].LastAnswer)
		require.True(t, r.Ready())
		advance(time.Hour)
		require.Empty(t, log.lines(t), "and while all is well nothing is said")
		require.NoError(t, r.stop())
	})
}

// A list that fails again after it worked is a new failure: said, and soon tried again.
func TestAListThatFailsAnewIsTriedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		failing := onRequest(http.MethodGet, "/services", func(*http.Request) response { return respond(500, nil) })
		f.respondWith(failing)
		var log logged
		o := options(f, 1)
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
		r := run(t, o)
		advance(5 * time.Minute)
		f.respondWith(nil)
		advance(time.Minute)
		require.True(t, r.Ready())
		log.lines(t)
		f.respondWith(failing)
		f.forgetAll()
		before := len(f.sent(http.MethodGet, "/services"))
		advance(interval + maxReregisterDelay + 4*minRequestBackoff)
		require.GreaterOrEqual(t, len(f.sent(http.MethodGet, "/services"))-before, 2)
		require.Contains(t, log.lines(t), "WARN the application's services cannot be listed; it is tried again: 500")
		require.NoError(t, r.stop())
	})
}

func TestWhatIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.Endpoints = []string{"http://one", "http://two"}
		registry := prometheus.NewPedanticRegistry()
		o.Metrics = registry
		posts := 0
		f.respond = func(r *http.Request, _ int) response {
			switch {
			case r.URL.Host == "one":
				return response{err: refusedDial()}
			case r.Method != http.MethodPost:
				return response{}
			}
			if posts++; posts < 3 {
				return respond(429, nil)
			}
			return response{}
		}
		r := run(t, o)
		advance(3 * interval)
		require.Equal(t, map[string]float64{"refused": 2, "ok": 1, "failed": 0}, counted(t, registry, "mep_agent_registrations_total"))
		require.Equal(t, map[string]float64{"": 1}, counted(t, registry, "mep_agent_failovers_total"))
		require.Equal(t, map[string]float64{"": 0}, counted(t, registry, "mep_agent_registrations_lost_total"))
		beats := float64(len(f.heartbeats()))
		require.Equal(t, map[string]float64{"ok": beats, "refused": 0, "failed": 0}, counted(t, registry, "mep_agent_heartbeats_total"))
		f.forgetAll()
		advance(2 * interval)
		require.Equal(t, map[string]float64{"": 1}, counted(t, registry, "mep_agent_registrations_lost_total"))
		f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
		advance(interval)
		require.Positive(t, counted(t, registry, "mep_agent_heartbeats_total")["failed"])
		require.Error(t, r.stop())
	})
}

// counted are the values of a counter, by the value of its label.
func counted(t *testing.T, registry prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	all, err := registry.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, family := range all {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label = l.GetValue()
			}
			out[label] = m.GetCounter().GetValue()
		}
	}
	return out
}

// One of two services alike is lost: it must not be found in the registration of the other.
func TestWhatOneServiceHasIsNotFoundByItsTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.Services = append(o.Services, o.Services[0])
		r := run(t, o)
		advance(interval)
		f.mu.Lock()
		delete(f.services, "id0002")
		f.mu.Unlock()
		advance(3 * interval)
		require.Len(t, f.registered(), 2)
		status := r.Status()
		require.ElementsMatch(t, []string{"id0001", "id0003"}, []string{status[0].ID, status[1].ID})
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
	})
}

// What has no heartbeats to be sent, or no registration, is not hastened by a machine that
// wakes.
func TestAWakeHastensHeartbeatsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(300)
		f.respond = onRequest(http.MethodPost, "/services", func(r *http.Request) response {
			var b bytes.Buffer
			_, _ = b.ReadFrom(mustBody(r))
			if strings.Contains(b.String(), `"s0"`) {
				return respond(429, nil, "Retry-After", "30")
			}
			return response{}
		})
		o := options(f, 3)
		o.Services[1].Info.LivenessInterval = nil
		a, err := New(o)
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		advance(5 * time.Second)
		posts, beats := len(f.registrations()), len(f.heartbeats())
		slept.Store(int64(time.Hour))
		advance(2 * tickInterval)
		require.Len(t, f.registrations(), posts, "what is to wait waits")
		require.Len(t, f.heartbeats(), beats+1)
		require.Empty(t, f.sent(http.MethodPut, ""))
		require.NoError(t, r.stop())
	})
}

// A platform may have forgotten the agents of what it suspended while the machine slept.
func TestAnAgentThatWakesJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		a, err := New(options(f, 1))
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		advance(3 * interval)
		require.Empty(t, f.sent(http.MethodPut, ""))
		f.suspend("id0001")
		slept.Store(int64(time.Hour))
		advance(2 * tickInterval)
		require.Len(t, f.sent(http.MethodPut, "id0001"), 1)
		require.Len(t, f.agents["id0001"], 1)
		require.NoError(t, r.stop())
	})
}

// Services that are lost together come back one by one: each needs a fresh list, and none has
// it asked for without a pause.
func TestWhatIsLostTogetherDoesNotHaveTheListAskedForWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		r := run(t, options(f, 300))
		advance(2 * interval)
		f.forgetAll()
		before := len(f.sent(http.MethodGet, "/services"))
		advance(3 * interval)
		lists := f.sent(http.MethodGet, "/services")[before:]
		require.Greater(t, len(lists), 10)
		const most = int(time.Second/minListDistance) + 2 // a second: one more is for doubles
		for i := range len(lists) - most {
			require.GreaterOrEqual(t, lists[i+most].at.Sub(lists[i].at), time.Second, "list %d", i)
		}
		require.Len(t, f.registered(), 300)
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
	})
}
