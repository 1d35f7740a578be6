package agent

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestWhatThePlatformLostIsRegisteredOnceByTwoAgents(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				f := keeping(10)
				begin := func(n uint64) *running {
					a, err := New(options(f, 5))
					require.NoError(t, err)
					a.jitter = rand.New(rand.NewPCG(seed, n)).Float64
					return start(t, a)
				}
				one := begin(2)
				advance(interval)
				two := begin(3)
				advance(time.Duration(rnd.IntN(20)) * time.Second)
				f.forgetAll()
				advance(3 * interval)
				require.Len(t, f.registered(), 5)
				require.True(t, one.Ready())
				require.True(t, two.Ready())
				require.NoError(t, one.stop())
				require.Len(t, f.registered(), 5)
				require.NoError(t, two.stop())
				require.Empty(t, f.registered())
			})
		})
	}
}

func TestAnOldListIsNoReasonForAPOST(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		f.respondWith(onRequest(http.MethodPost, "", func(*http.Request) response { return respond(429, nil, "Retry-After", "5") }))
		r := run(t, options(f, 1))
		require.Len(t, f.registrations(), 1)
		other := serviceInfo("s0")
		other.SerInstanceID = "another-agents"
		other.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/another-agents/liveness"}}
		f.add("another-agents", other)
		advance(2 * interval)
		require.Len(t, f.registrations(), 1)
		require.Equal(t, "another-agents", r.Status()[0].ID)
		require.NoError(t, r.stop())
	})
}

func TestAListThatIsBehindBringsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		r := quick(t, options(f, 1))
		advance(interval)
		behind := f.registered()["id0001"]
		f.forgetAll()
		f.respondWith(onRequest(http.MethodGet, "/services", func(*http.Request) response {
			return respond(200, []mp1.ServiceInfo{behind})
		}))
		advance(3 * interval)
		f.wantAlive(t, "id0002")
		require.Len(t, f.registrations(), 2)
		require.NoError(t, r.stop())
	})
}

// quick runs an agent that lists within moments of a loss.
func quick(t *testing.T, o Options) *running {
	t.Helper()
	a, err := New(o)
	require.NoError(t, err)
	a.jitter = func() float64 { return 0.1 }
	return start(t, a)
}

// An ingress that answers 404 for a moment, while it is loaded anew, has the agent take its
// registration for gone. What later lists show is there.
func TestAPassingNotFoundMakesNoDouble(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.keeps = keeps
			there := serviceInfo("s0") // its id is greater than that of a new one: it would not be taken for the one to keep
			there.SerInstanceID, there.LivenessInterval = "zzz", &f.interval
			there.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/zzz/liveness"}}
			f.add("zzz", there)
			r := quick(t, options(f, 1))
			advance(interval)
			var up atomic.Bool
			f.respondWith(func(_ *http.Request, _ int) response {
				if !up.Load() {
					return respond(404, nil)
				}
				return response{}
			})
			for len(f.registrations()) == 0 {
				advance(100 * time.Millisecond)
			}
			advance(notFoundTrust)
			up.Store(true)
			advance(3 * interval)
			f.wantAlive(t, "zzz")
			require.True(t, r.Ready())
			require.NoError(t, r.stop())
			require.Empty(t, f.registered())
		})
	}
}

func TestTwoAgentsThatStartAtOnceEndWithOneRegistration(t *testing.T) {
	for _, services := range []int{1, 2} {
		for seed := range uint64(10) {
			t.Run(fmt.Sprint(services, " alike, seed ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(seed, 1))
					var mu sync.Mutex
					delay := func(most time.Duration) {
						mu.Lock()
						d := time.Duration(rnd.Int64N(int64(most)))
						mu.Unlock()
						time.Sleep(d)
					}
					f := keeping(10)
					f.respondWith(onRequest(http.MethodPost, "", func(*http.Request) response {
						delay(4 * time.Second)
						return response{}
					}))
					o := options(f, 1)
					for range services - 1 {
						o.Services = append(o.Services, o.Services[0]) // the same service more than once
					}
					one := run(t, o)
					delay(time.Second)
					two := run(t, o)
					advance(30 * time.Second)
					require.Len(t, f.registered(), services, "seed %d", seed)
					ids := func(r *running) (ids []string) {
						for _, s := range r.Status() {
							ids = append(ids, s.ID)
						}
						slices.Sort(ids)
						return slices.Compact(ids)
					}
					require.Len(t, ids(one), services)
					require.Equal(t, ids(one), ids(two))
					require.True(t, one.Ready())
					require.True(t, two.Ready())
					require.NoError(t, one.stop())
					f.wantAlive(t, ids(two)...)
					require.NoError(t, two.stop())
					require.Empty(t, f.registered())
				})
			})
		}
	}
}

func TestWhatWasThereBeforeIsNoDouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		plain := serviceInfo("s0")
		for _, id := range []string{"a", "b"} {
			plain.SerInstanceID = id
			plain.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/" + id + "/liveness"}}
			f.add(id, plain)
		}
		r := run(t, options(f, 1))
		advance(time.Minute)
		f.wantOnlyScoped(t)
		require.Len(t, f.registered(), 2)
		require.Equal(t, "a", r.Status()[0].ID)
		require.NoError(t, r.stop())
	})
}
