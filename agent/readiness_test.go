package agent

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReadinessIsConfirmedOnceWhenEveryServiceIsRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		o := options(f, 2)
		o.ConfirmReady = true
		posts := 0
		f.respondWith(func(r *http.Request, _ int) response {
			if r.Method == http.MethodPost {
				if posts++; posts >= 2 && posts < 5 {
					return response{status: 503}
				}
			}
			return response{}
		})
		r := run(t, o)
		advance(200 * time.Millisecond)
		require.Len(t, f.registered(), 1)
		ready, _, _, _ := f.state()
		require.Zero(t, ready, "one is not registered yet")
		advance(time.Minute)
		require.Len(t, f.registered(), 2)
		ready, _, _, _ = f.state()
		require.Equal(t, 1, ready)
		f.forgetAll()
		advance(time.Hour)
		require.Len(t, f.registered(), 2)
		ready, _, _, _ = f.state()
		require.Equal(t, 1, ready, "once a start")
		require.NoError(t, r.stop())
	})
}

func TestReadinessIsConfirmedAgainUntilThePlatformTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.lacking = true // an older platform, which is updated later
		o := options(f, 1)
		o.ConfirmReady = true
		var log strings.Builder
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r := run(t, o)
		advance(10 * time.Minute)
		require.True(t, r.Ready(), "it keeps nothing from working")
		f.set(func() { f.lacking = false })
		advance(10 * time.Minute)
		ready, _, _, _ := f.state()
		require.Equal(t, 1, ready)
		require.NoError(t, r.stop())
		require.Equal(t, 1, strings.Count(log.String(), "does not ask whether"), log.String())
		require.NotContains(t, log.String(), "WARN", "it is no failure")
	})
}
