package agent

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A platform that takes so many changes a second and refuses the others with 429 gets
// all services registered, without being asked several times for each: who was refused
// again comes later, not all together after the same Retry-After.
func TestManyServicesAreRegisteredAtThePaceOfThePlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services, burst, perSecond = 600, 100, 20
		f := newFakePlatform(300)
		var mu sync.Mutex
		left, at := float64(burst), time.Now()
		f.respond = onRequest(http.MethodPost, "", func(r *http.Request) response {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			left = min(burst, left+perSecond*now.Sub(at).Seconds())
			at = now
			if left < 1 {
				return respond(429, nil, "Retry-After", "1")
			}
			left--
			return response{}
		})
		r := run(t, options(f, services))
		pass(time.Second)
		require.GreaterOrEqual(t, len(f.registrations()), burst)
		for range 10 * 60 {
			pass(time.Second)
			if r.Ready() {
				break
			}
		}
		require.True(t, r.Ready())
		require.Less(t, len(f.registrations()), 6*services)
		require.NoError(t, r.stop())
	})
}
