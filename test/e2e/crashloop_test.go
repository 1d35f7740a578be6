package e2e

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// An application that crashes and registers anew each time used up its limit with its own
// dead, for a day.
func TestACrashLoopDoesNotUseUpTheLimit(t *testing.T) {
	t.Parallel()
	s, c := start(t, append(fast, "MEP_APPLICATIONS_MAX_SERVICES=4")...), newConsumer(t)
	s.subscribe("watcher", c.URL, `{"serNames":["face"]}`)
	dead := func(v *service) func() bool { return func() bool { return v.state() == "SUSPENDED" } }
	keeps := s.register("app-1", "keeps", -1)
	other := s.register("app-2", "face", 1)
	first, second := s.register("app-1", "face", 1), s.register("app-1", "face", 1)
	third := s.register("app-1", "face", 1)
	for _, v := range []*service{other, first, second, third} {
		eventually(t, "the dead are found", dead(v))
	}
	s.want(403, "POST", base+"/applications/app-1/services", info("another name", 1))

	fourth := s.register("app-1", "face", 30)
	s.want(404, "GET", first.location, "")
	for _, v := range []*service{keeps, other, second, third, fourth} {
		s.want(200, "GET", v.location, "")
	}
	eventually(t, "its consumers are told", func() bool {
		n := 0
		for _, line := range c.told() {
			if line == "face REMOVED SUSPENDED" {
				n++
			}
		}
		return n == 1
	})

	var wg sync.WaitGroup
	made := make(chan int, 8)
	for range cap(made) {
		wg.Go(func() {
			if r, err := s.try("POST", base+"/applications/app-1/services", info("face", 30)); err == nil {
				made <- r.status
			}
		})
	}
	wg.Wait()
	close(made)
	got := map[int]int{}
	for status := range made {
		got[status]++
	}
	require.Equal(t, map[int]int{201: 2, 403: 6}, got, "two of its dead are left, and the living are not touched")
	require.Len(t, s.want(200, "GET", base+"/applications/app-1/services", "").list(t), 4)
	s.want(200, "GET", fourth.location, "")
	s.want(200, "GET", other.location, "")
}
