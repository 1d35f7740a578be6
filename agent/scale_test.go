package agent

import (
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// distant answers each request after a while, and counts those under way.
type distant struct {
	http.RoundTripper
	latency       time.Duration
	underWay, top atomic.Int64
}

func (d *distant) RoundTrip(r *http.Request) (*http.Response, error) {
	n := d.underWay.Add(1)
	defer d.underWay.Add(-1)
	for top := d.top.Load(); n > top && !d.top.CompareAndSwap(top, n); top = d.top.Load() {
	}
	time.Sleep(d.latency)
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

func TestThousandsOfServicesAtADistantPlatformAreInTime(t *testing.T) {
	for _, c := range []struct{ services, seconds int }{{1, 5}, {2000, 5}} {
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
				advance(6 * interval)
				longest, of := f.longestSilence(time.Now())
				t.Logf("longest silence %s, requests at a time %d, goroutines %d", longest, d.top.Load(), runtime.NumGoroutine())
				require.LessOrEqual(t, longest, interval+patience+2*d.latency, of)
				require.NoError(t, r.stop())
				require.Empty(t, f.registered())
			})
		})
	}
}
