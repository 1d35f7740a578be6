package agent

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// requestsSince counts what was sent from a time on: heartbeats together, and single ones.
func (f *fakePlatform) requestsSince(from time.Time) (together, single int) {
	for _, s := range f.sent(http.MethodPost, mp1.HeartbeatsPath) {
		if !s.at.Before(from) {
			together++
		}
	}
	for _, s := range f.sent(http.MethodPatch, "/liveness") {
		if !s.at.Before(from) {
			single++
		}
	}
	return together, single
}

// manyOf is an agent with services at 30 s that are all ready, at a platform of ours.
func manyOf(t *testing.T, f *fakePlatform, services int) *running {
	t.Helper()
	f.keeps = true
	r := run(t, options(f, services))
	for !r.Ready() {
		advance(time.Second)
	}
	return r
}

const thirty = 30 * time.Second

func TestHeartbeatsOfManyServicesGoTogetherAndNoneIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(30)
		f.batches = true
		r := manyOf(t, f, 1000)
		advance(2 * thirty)
		from, before := time.Now(), len(f.heartbeats())
		advance(10 * thirty)
		together, single := f.requestsSince(from)
		t.Logf("in ten intervals of 1,000 services: %d requests with many heartbeats, %d with one", together, single)
		require.GreaterOrEqual(t, len(f.heartbeats())-before, 10000)
		require.Less(t, together+single, 300, "three hundredths of what there were")
		longest, of := f.longestSilence(time.Now())
		require.LessOrEqual(t, longest, thirty, of)
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
	})
}

// A platform that is not ours is never asked for what MEC 011 does not have, and one of ours that
// is older only now and then.
func TestWhereNoneAreTakenTogetherEachHeartbeatIsAPATCH(t *testing.T) {
	for _, ours := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(30)
			f.keeps = ours
			r := run(t, options(f, 200))
			for !r.Ready() {
				advance(time.Second)
			}
			from := time.Now()
			advance(client.BatchRetry + thirty)
			together, single := f.requestsSince(from)
			if ours {
				require.Positive(t, together)
				require.LessOrEqual(t, together, 6, "those under way when the first is refused")
			} else {
				require.Zero(t, together)
				require.Empty(t, f.sent(http.MethodPost, mp1.HeartbeatsPath))
			}
			require.GreaterOrEqual(t, single, 200*20)
			longest, of := f.longestSilence(time.Now())
			require.LessOrEqual(t, longest, thirty+patience, of)
			require.NoError(t, r.stop())
		})
	}
}

// The platform may be replaced by an older one, and by a newer one again.
func TestAPlatformThatNoLongerTakesThemTogetherMissesNoHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(30)
		f.batches = true
		r := manyOf(t, f, 300)
		advance(2*thirty + 7*time.Second)
		f.mu.Lock()
		f.batches = false
		f.mu.Unlock()
		from := time.Now()
		advance(client.BatchRetry / 2)
		together, single := f.requestsSince(from)
		require.Equal(t, 1, together, "the one that was refused")
		require.GreaterOrEqual(t, single, 300*9)
		f.mu.Lock()
		f.batches = true
		f.mu.Unlock()
		advance(client.BatchRetry/2 + thirty)
		from = time.Now()
		advance(2 * thirty)
		together, single = f.requestsSince(from)
		require.Positive(t, together)
		require.Less(t, single, 300, "they go together again")
		longest, of := f.longestSilence(time.Now())
		require.LessOrEqual(t, longest, thirty+patience, of)
		require.NoError(t, r.stop())
	})
}

// What fails as a whole is tried again one by one: the others must not depend on why.
func TestHeartbeatsThatFailedTogetherAreTriedAgainAlone(t *testing.T) {
	for _, failure := range []response{{status: 503}, {status: 500}, {err: errors.New("cut off")}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(30)
			f.batches = true
			r := manyOf(t, f, 100)
			advance(2 * thirty)
			f.respondWith(func(r *http.Request, _ int) response {
				if r.URL.Path == mp1.HeartbeatsPath {
					return failure
				}
				return response{}
			})
			advance(4 * thirty)
			longest, of := f.longestSilence(time.Now())
			require.LessOrEqual(t, longest, thirty*4/3+patience, of)
			require.Len(t, f.registrations(), 100)
			require.NoError(t, r.stop())
		})
	}
}

// Each answer among many leads where the answer to a PATCH does.
func TestEachAnswerAmongManyIsTakenAsThatToAPATCH(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(30)
		f.batches = true
		r := manyOf(t, f, 60) // so that few go alone
		advance(3 * thirty)
		given := map[string]bool{}
		f.mu.Lock()
		f.respondToPart = func(id string) mp1.HeartbeatResult {
			result := map[string]mp1.HeartbeatResult{
				"id0001": {Status: 404}, "id0002": {Status: 409}, "id0003": {Status: 503}, "id0004": {Status: 200, Interval: 12}, "id0005": {Status: 403, Detail: "not yours"},
			}[id]
			if result.Status == 0 || given[id] {
				return mp1.HeartbeatResult{}
			}
			given[id] = true
			return result
		}
		f.mu.Unlock()
		events := map[string][]event{}
		r.locked(func() {
			for _, one := range r.registrations {
				id := one.id
				one.stepped = func(_ stage, e event) {
					events[id] = append(events[id], e)
				}
			}
		})
		advance(2 * thirty)
		want := map[string]event{"id0001": heartbeatRefused, "id0002": heartbeatRefused, "id0003": heartbeatFailed, "id0004": heartbeatTaken, "id0005": heartbeatFailed, "id0006": heartbeatTaken}
		for id, e := range want {
			require.Contains(t, events[id], e, id)
			require.Equal(t, id != "id0006", given[id], id)
		}
		r.locked(func() {
			for _, one := range r.registrations {
				if one.id == "id0004" {
					require.Equal(t, 12*time.Second, one.interval)
				}
			}
		})
		advance(2 * thirty)
		require.True(t, r.Ready(), "all of them beat again")
		require.NoError(t, r.stop())
	})
}
