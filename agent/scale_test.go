package agent

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// distant answers each request after a while, and counts those under way.
type distant struct {
	http.RoundTripper
	latency       time.Duration
	slower        atomic.Int64 // nanoseconds, added to latency; may be changed at any time
	underWay, top atomic.Int64
}

func (d *distant) RoundTrip(r *http.Request) (*http.Response, error) {
	n := d.underWay.Add(1)
	defer d.underWay.Add(-1)
	for top := d.top.Load(); n > top && !d.top.CompareAndSwap(top, n); top = d.top.Load() {
	}
	time.Sleep(d.latency + time.Duration(d.slower.Load()))
	return d.RoundTripper.RoundTrip(r)
}

// longestSilence is the longest time that the platform heard nothing of a registered
// service, and of which.
func (f *fakePlatform) longestSilence(now time.Time) (longest time.Duration, path string) {
	heard := map[string]time.Time{}
	hear := func(p string, at time.Time) {
		if before, ok := heard[p]; ok && at.Sub(before) > longest {
			longest, path = at.Sub(before), p
		}
		heard[p] = at
	}
	for _, b := range f.heartbeats() {
		hear(b.path, b.at)
	}
	for p := range heard {
		hear(p, now)
	}
	return longest, path
}

var many = flag.Int("many", 500, "services at 30 s in the test of thousands")

func TestThousandsOfServicesAtADistantPlatformAreInTime(t *testing.T) {
	for _, c := range []struct{ services, seconds int }{{1, 5}, {2000, 5}, {*many, 30}} {
		t.Run(fmt.Sprint(c.services), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(c.seconds)
				d := &distant{RoundTripper: f, latency: 150 * time.Millisecond}
				began := time.Now()
				r := run(t, options(d, c.services))
				for !r.Ready() {
					advance(time.Second)
				}
				t.Logf("ready after %s, requests at a time %d", time.Since(began), d.top.Load())
				d.top.Store(0)
				interval := time.Duration(c.seconds) * time.Second
				advance(2 * interval)
				longest, of := f.longestSilence(time.Now())
				t.Logf("longest silence %s, requests at a time %d, goroutines %d", longest, d.top.Load(), runtime.NumGoroutine())
				require.LessOrEqual(t, longest, interval+patience+2*d.latency, of)
				require.NoError(t, r.stop())
				require.Empty(t, f.registered())
			})
		})
	}
}

// slowLists takes long for each list and each registration.
type slowLists struct {
	http.RoundTripper
	list, register time.Duration
}

func (s slowLists) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/services"):
		time.Sleep(s.list)
	case r.Method == http.MethodPost:
		time.Sleep(s.register)
	}
	return s.RoundTripper.RoundTrip(r)
}

// A POST needs a list that is not old. Lists of thousands that take longer than they are good
// for would have the registrations wait for lists nearly all the time.
func TestListsThatTakeLongDoNotHoldUpTheRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(300)
		began := time.Now()
		r := run(t, options(slowLists{f, 5 * time.Second, 2 * time.Second}, 1000))
		for !r.Ready() {
			advance(time.Second)
		}
		t.Logf("ready after %s, with %d lists", time.Since(began), len(f.sent("GET", "/services")))
		require.LessOrEqual(t, time.Since(began), time.Minute, "1,000 registrations take 32 s, 64 at a time")
		require.Len(t, f.registrations(), 1000)
		require.NoError(t, r.stop())
	})
}

// With 900 ms of latency and 1,000 services at 1 s more requests would have to be under way
// than an agent may have.
func TestHeartbeatsThatCannotBeInTimeAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(1)
		d := &distant{RoundTripper: f}
		var out bytes.Buffer
		o := options(d, 1000)
		registry := prometheus.NewRegistry()
		o.Log, o.Metrics = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})), registry
		r := run(t, o)
		advance(time.Minute)
		require.True(t, r.Ready())
		require.Empty(t, out.String())
		require.Zero(t, value(t, registry, "mep_agent_heartbeats_late_total"))
		require.Zero(t, value(t, registry, "mep_agent_requests_under_way"))
		d.slower.Store(int64(900 * time.Millisecond))
		advance(20 * time.Second)
		require.Equal(t, 1, strings.Count(out.String(), "heartbeats are sent late"), out.String())
		require.Positive(t, value(t, registry, "mep_agent_heartbeats_late_total"))
		require.LessOrEqual(t, d.top.Load(), int64(maxUrgent+maxOther))
		require.EqualValues(t, d.underWay.Load(), value(t, registry, "mep_agent_requests_under_way"))
		d.slower.Store(0)
		advance(time.Duration(maxQuiet+30) * time.Second)
		d.slower.Store(int64(900 * time.Millisecond))
		advance(20 * time.Second)
		require.Equal(t, 2, strings.Count(out.String(), "heartbeats are sent late"), "it was over meanwhile")
		require.NoError(t, r.stop())
		require.Zero(t, value(t, registry, "mep_agent_requests_under_way"))
	})
}

// value is the sum of a metric over its labels.
func value(t *testing.T, from prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	found := false
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				found = true
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	require.True(t, found, name)
	return sum
}

func TestAgentsOfOneRegistryAreCountedTogether(t *testing.T) {
	for name, wrap := range map[string]func(prometheus.Registerer, int) prometheus.Registerer{
		"together": func(r prometheus.Registerer, _ int) prometheus.Registerer { return r },
		"together, wrapped": func(r prometheus.Registerer, _ int) prometheus.Registerer {
			return prometheus.WrapRegistererWith(prometheus.Labels{"node": "a"}, r)
		},
		"apart": func(r prometheus.Registerer, n int) prometheus.Registerer {
			return prometheus.WrapRegistererWith(prometheus.Labels{"agent": fmt.Sprint(n)}, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry := prometheus.NewRegistry()
				for n := range 3 {
					o := options(newFakePlatform(10), 2)
					o.Metrics = wrap(registry, n)
					r := run(t, o)
					advance(interval)
					require.NoError(t, r.stop())
				}
				require.EqualValues(t, 6, value(t, registry, "mep_agent_registrations_total"))
			})
		})
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "mep_agent_failovers_total"}))
	o := options(nil, 1)
	o.Metrics = registry
	_, err := New(o)
	require.Error(t, err, "the name is something else's")
}
