package e2e

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// An application that crashes and registers anew each time used up its limit with its own
// dead, for a day.
func TestACrashLoopDoesNotUseUpTheLimit(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, append(mep.Fast, "MEP_APPLICATIONS_MAX_SERVICES=4")...), consumer.Start(t)
	s.Subscribe("watcher", c.URL, `{"serNames":["face"]}`)
	dead := func(v *mep.Service) func() bool { return func() bool { return v.State() == "SUSPENDED" } }
	keeps := s.Register("app-1", "keeps", -1)
	other := s.Register("app-2", "face", 1)
	first, second := s.Register("app-1", "face", 1), s.Register("app-1", "face", 1)
	third := s.Register("app-1", "face", 1)
	for _, v := range []*mep.Service{other, first, second, third} {
		wait.Until(t, "the dead are found", dead(v))
	}
	s.Want(403, "POST", mep.ServicesOf("app-1"), mep.Info("another name", 1))

	fourth := s.Register("app-1", "face", 30)
	s.Want(404, "GET", first.Location, "")
	for _, v := range []*mep.Service{keeps, other, second, third, fourth} {
		s.Want(200, "GET", v.Location, "")
	}
	wait.Until(t, "its consumers are told", func() bool {
		n := 0
		for _, line := range c.Changes() {
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
			if r, err := s.Try("POST", mep.ServicesOf("app-1"), mep.Info("face", 30)); err == nil {
				made <- r.Status
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
	require.Len(t, s.Want(200, "GET", mep.ServicesOf("app-1"), "").List(t), 4)
	s.Want(200, "GET", fourth.Location, "")
	s.Want(200, "GET", other.Location, "")
}
