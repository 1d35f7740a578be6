package agent

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const dayLong = "86400"

// A gateway that asks for a day must not have a service suspended that it would take a
// moment later.
func TestRetryAfterIsObeyedNoLongerThanTheWindowAllows(t *testing.T) {
	for _, status := range []int{429, 503} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.respond = onHeartbeat(func(n int) response {
				if n%3 == 0 {
					return respond(status, nil, "Retry-After", dayLong)
				}
				return response{}
			})
			r := run(t, options(f, 1))
			advance(10 * time.Minute)
			var taken []sentRequest
			for i, b := range f.heartbeats() {
				if (i+1)%3 != 0 {
					taken = append(taken, b)
				}
			}
			require.GreaterOrEqual(t, len(taken), 40)
			for i, gap := range gaps(taken) {
				require.Less(t, gap, 2*interval, "heartbeat %d", i)
			}
			require.NoError(t, r.stop())
		})
	}
}

func TestAPlatformThatAsksForADayIsTriedEveryFewMinutes(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			refuse := onRequest(method, "", func(*http.Request) response { return respond(503, nil, "Retry-After", dayLong) })
			f.respond = refuse
			r := run(t, options(f, 1))
			advance(time.Hour)
			require.False(t, r.Ready())
			all := len(f.requests)
			require.Greater(t, all, 10)
			if method != http.MethodPatch {
				require.LessOrEqual(t, all, 2*13, "every five minutes at most")
			} else {
				require.LessOrEqual(t, all, 400, "once an interval at most")
			}
			f.respondWith(nil)
			advance(maxLongWait + interval)
			require.True(t, r.Ready())
			require.NoError(t, r.stop())
		})
	}
}

func TestAnIntervalThatOverflowsIsADay(t *testing.T) {
	const seconds = 18446744074 // in nanoseconds it is 0.29 s, modulo 2^64
	for name, answer := range map[string]func(r *http.Request, f *fakePlatform) response{
		"registration": nil,
		"heartbeat": func(r *http.Request, _ *fakePlatform) response {
			if r.Method == http.MethodPatch {
				return respond(200, mp1.ServiceLivenessInfo{State: mp1.Active, Interval: seconds})
			}
			return response{}
		},
		"liveness": func(r *http.Request, _ *fakePlatform) response {
			if r.Method == http.MethodGet && len(r.URL.Path) > len("/liveness") && r.URL.Path[len(r.URL.Path)-9:] == "/liveness" {
				return respond(200, mp1.ServiceLivenessInfo{State: mp1.Active, Interval: seconds})
			}
			return response{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(10)
				if answer == nil {
					f.interval = seconds
				} else {
					f.respond = func(r *http.Request, _ int) response { return answer(r, f) }
				}
				r := run(t, options(f, 1))
				advance(time.Hour)
				require.LessOrEqual(t, len(f.heartbeats()), 5)
				require.EqualValues(t, maxInterval.Seconds(), r.Status()[0].Interval)
				advance(3 * maxInterval)
				require.GreaterOrEqual(t, len(f.heartbeats()), 4, "a heartbeat a day at least")
				require.NoError(t, r.stop())
			})
		})
	}
}

func TestWhatIsRefusedForGoodIsTriedRarely(t *testing.T) {
	for _, status := range []int{400, 403, 404, 409, 422} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.respond = onRequest(http.MethodPost, "", func(*http.Request) response { return respond(status, nil) })
			r := run(t, options(f, 1))
			advance(time.Hour)
			n := len(f.registrations())
			require.LessOrEqual(t, n, 30)
			require.GreaterOrEqual(t, n, 15, "it may be taken when somebody else has changed something")
			advance(time.Hour)
			require.LessOrEqual(t, len(f.registrations())-n, 17)

			good := serviceInfo("s0")
			good.Version = "2"
			f.respondWith(nil)
			require.NoError(t, r.Update("s0", Service{Info: good}))
			advance(time.Second)
			require.True(t, r.Ready(), "a changed description is sent at once")
			require.NoError(t, r.stop())
		})
	}
}
