package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// keepAlive beats every service at its interval until the returned function is
// called; what a stopped or dead server does not answer is simply sent again.
func keepAlive(s *mep.Server, interval time.Duration, services []*mep.Service) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i, v := range services {
		wg.Go(func() {
			select {
			case <-done:
				return
			case <-time.After(interval * time.Duration(i) / time.Duration(len(services))):
			}
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				_, _ = s.Try("PATCH", v.Liveness, mep.Alive)
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

func population(s *mep.Server, name string, n, interval int) (out []*mep.Service) {
	for i := range n {
		out = append(out, s.Register("app-"+name, fmt.Sprint(name, i), interval))
	}
	return out
}

// A pause longer than the window proves nothing about the applications: the living
// stay, discovery never empties, and the dead are still found.
func TestAPausedPlatformSuspendsNobodyWhoLives(t *testing.T) {
	tier.Long(t, "test/e2e", "pauses the platform for longer than windows")
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	living, dead := population(s, "living", 60, 4), population(s, "dead", 10, 1)
	stop := keepAlive(s, time.Second, living) // eight times a window: a machine as busy as this test makes it may be late
	defer stop()
	polls := pollDiscovery(s, "living", len(living))
	for range 3 {
		s.Pause()
		time.Sleep(9 * time.Second)
		s.Resume()
		time.Sleep(500 * time.Millisecond)
	}
	for _, v := range dead {
		wait.Until(t, "the dead are found", func() bool { return v.State() == "SUSPENDED" && !v.Discovered() })
	}
	time.Sleep(3 * time.Second)
	for _, v := range living {
		require.Equal(t, "ACTIVE", v.State())
	}
	counted(s, len(dead), claimed)
	lowest, n := polls()
	require.Equal(t, len(living), lowest, "discovery must never lose the living")
	t.Logf("3 pauses of 9 s with a window of 8 s: %d living, %d dead, 0 false suspensions, %d discovery polls, fewest living seen %d", len(living), len(dead), n, lowest)
}

// pollDiscovery looks at the living all the time and reports the fewest it saw.
func pollDiscovery(s *mep.Server, name string, n int) func() (lowest, polls int) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	var low, count atomic.Int64
	low.Store(int64(n))
	query := mep.Base + "/services?scope_of_locality=MEC_HOST"
	wg.Go(func() {
		for {
			if r, err := s.Try("GET", query, ""); err == nil && r.Status == 200 {
				count.Add(1)
				seen := int64(0)
				for _, m := range r.List(s.T()) {
					if len(m["serName"].(string)) > len(name) && m["serName"].(string)[:len(name)] == name {
						seen++
					}
				}
				if seen < low.Load() {
					low.Store(seen)
				}
			}
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() (int, int) { close(done); wg.Wait(); return int(low.Load()), int(count.Load()) }
}

// kill -9 at any moment loses no acknowledged registration or transition; the
// living are not suspended by it, the dead are.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := mep.Start(t, mep.Fast...)
	var mu sync.Mutex
	var acked []*mep.Service
	gone := map[string]bool{}
	for round := range 4 {
		var wg sync.WaitGroup
		end := make(chan struct{})
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-end:
						return
					default:
					}
					app := fmt.Sprintf("app-%d-%d", round, w)
					v, err := s.TryRegister(app, fmt.Sprint("s", i), 2)
					if err != nil {
						continue
					}
					mu.Lock()
					acked = append(acked, v)
					mu.Unlock()
					if i%5 == 4 {
						if r, err := s.Try("DELETE", v.Location, ""); err == nil && r.Status == 204 {
							mu.Lock()
							gone[v.ID] = true
							mu.Unlock()
						} else {
							mu.Lock()
							gone[v.ID] = false // unknown: it may be either
							mu.Unlock()
						}
					}
				}
			})
		}
		time.Sleep(time.Duration(200+rnd.IntN(600)) * time.Millisecond)
		s.Kill()
		close(end)
		wg.Wait()
		s.Restart()
		known := map[string]bool{}
		for _, m := range s.Want(200, "GET", mep.Base+"/services", "").List(t) {
			known[m["serInstanceId"].(string)] = true
		}
		for _, v := range acked {
			deleted, asked := gone[v.ID]
			status := s.Do("GET", v.Location, "").Status
			switch {
			case !asked:
				require.Equal(t, 200, status, "acknowledged with 201 and lost by kill -9")
			case deleted:
				require.Equal(t, 404, status, "acknowledged with 204 and back after kill -9")
				require.False(t, known[v.ID])
			}
		}
	}
	var living, dead []*mep.Service
	for i, v := range acked {
		if _, asked := gone[v.ID]; asked {
			continue
		}
		if i%10 == 0 {
			dead = append(dead, v)
		} else if len(living) < 80 {
			living = append(living, v)
		}
	}
	stop := keepAlive(s, time.Second, living) // twice an interval, as above
	defer stop()
	time.Sleep(1500 * time.Millisecond)
	for _, v := range living { // those whose window had ended before somebody beat are back by now
		wait.Until(t, "ACTIVE", func() bool { return v.State() == "ACTIVE" })
	}
	s.Kill()
	time.Sleep(4500 * time.Millisecond)
	s.Restart()
	for _, v := range dead {
		wait.Until(t, "the dead are found after a restart", func() bool { return v.State() == "SUSPENDED" })
	}
	for _, v := range living {
		require.Equal(t, "ACTIVE", v.State())
	}
	t.Logf("4 kills, %d registrations acknowledged and kept; then down for 4.5 s: %d living, 0 suspended, %d dead found", len(acked), len(living), len(dead))
}

// A transition that was acknowledged or shown is there after kill -9.
func TestKillKeepsTransitions(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	v := s.Register("a", "b", 1)
	wait.Until(t, "SUSPENDED", func() bool { return v.State() == "SUSPENDED" })
	s.Kill()
	s.Restart()
	require.Equal(t, "SUSPENDED", v.State())
	require.False(t, v.Discovered())
	v.Beat()
	s.Kill()
	s.Restart()
	require.Equal(t, "ACTIVE", v.State())
	require.True(t, v.Discovered())
	wait.Until(t, "SUSPENDED again", func() bool { return v.State() == "SUSPENDED" })
}

// A heartbeat that changes nothing writes nothing: the store's own counters say so.
func TestHeartbeatsWriteNothing(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=5s")
	v := s.Register("a", "b", 300)
	puts, txns := -1, -1
	wait.Until(t, "service-center's own writes about a new service are done", func() bool {
		before := puts
		time.Sleep(time.Second)
		puts, txns = s.Metric("etcd_mvcc_put_total"), s.Metric("etcd_mvcc_txn_total")
		return puts == before
	})
	const beats = 2000
	for range beats {
		require.Equal(t, 204, v.Beat().Status)
	}
	require.Equal(t, puts, s.Metric("etcd_mvcc_put_total"))
	require.Less(t, s.Metric("etcd_mvcc_txn_total"), txns+beats/20, "but for those by which watches ask how far they are, every five seconds")
	require.NotContains(t, s.Log(), "PATCH", "no line per heartbeat")
}
