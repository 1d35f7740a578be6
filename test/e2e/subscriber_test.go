package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

func TestADeletedSubscriptionIsNotCalledAnyMore(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append(slices.Clip(mep.Fast), "MEP_LIMITS_WRITES_PER_SECOND=0")...) // one application changes as fast as it can
	const others = 20
	var gone []*consumer.Consumer
	var paths []string
	for i := range others {
		c := consumer.Start(t)
		if i%2 == 0 {
			c.Answer(http.StatusServiceUnavailable)
		}
		gone = append(gone, c)
		paths = append(paths, s.Subscribe("watcher", c.URL, ""))
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			s.Do("DELETE", s.Register("p", fmt.Sprint("s", i), -1).Location, "")
		}
	})
	time.Sleep(time.Second)
	answered := make([]time.Time, others)
	for i, path := range paths {
		wait.Until(t, "it is called", func() bool { return len(gone[i].Receipts()) > 0 })
		s.Want(204, "DELETE", path, "")
		answered[i] = time.Now()
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(2 * time.Second)
	close(end)
	wg.Wait()
	for i, c := range gone {
		for _, r := range c.Receipts() {
			require.False(t, r.At.After(answered[i]), "a POST came after the deletion was answered")
		}
	}
}

// A subscriber that is down is told when it is back, and only of the newest state.
func TestASubscriberThatComesBackIsToldOfTheNewestState(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	c.Answer(http.StatusInternalServerError)
	s.Subscribe("watcher", c.URL, "")
	v := s.Register("p", "x", 1)
	wait.Until(t, "SUSPENDED", func() bool { return v.State() == "SUSPENDED" })
	v.Beat()
	require.Equal(t, "ACTIVE", v.State())
	ok := c.Answer(http.StatusNoContent)
	var told []string
	wait.Until(t, "told", func() bool {
		told = nil
		for _, n := range c.Receipts()[ok:] {
			for _, r := range n.ServiceReferences {
				told = append(told, fmt.Sprint(r.SerName, " ", r.ChangeType, " ", r.State))
			}
		}
		return len(told) > 1
	})
	require.Equal(t, "x ADDED ACTIVE", told[0])
	require.LessOrEqual(t, len(told), 3)
	require.NotZero(t, s.Metric(`mep_notification_posts_total{outcome="server_error"}`))
	require.NotZero(t, s.Metric(`mep_notification_events_lost_total{reason="superseded"}`))
	logged(s, "subscriber cannot be notified")
	require.Equal(t, 1, strings.Count(s.Log(), "subscriber cannot be notified"), "one line for a row of failures")
	require.NotContains(t, s.Log(), c.URL+"/")
}

func TestASubscriberThatSays410IsLeftAlone(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	c.Answer(http.StatusGone)
	path := s.Subscribe("watcher", c.URL, "")
	s.Register("p", "x", -1)
	wait.Until(t, "told", func() bool { return len(c.Receipts()) == 1 })
	c.Answer(http.StatusNoContent)
	s.Register("p", "y", -1)
	time.Sleep(2 * time.Second)
	s.Kill()
	s.Restart()
	s.Register("p", "z", -1)
	time.Sleep(2 * time.Second)
	require.Len(t, c.Receipts(), 1)
	s.Want(200, "GET", path, "")
	s.Subscribe("watcher", c.URL, "")
	s.Register("p", "w", -1)
	wait.Until(t, "told again", func() bool { return len(c.Receipts()) == 2 })
	require.Equal(t, "w ADDED ACTIVE", c.Changes()[1])
}

// What was pending when the platform was told to stop is sent by the next one.
func TestAStopLeavesTheOutboxAsItIs(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	c.Answer(http.StatusServiceUnavailable)
	s.Subscribe("watcher", c.URL, "")
	for i := range 5 {
		s.Register("p", fmt.Sprint("s", i), -1)
	}
	wait.Until(t, "tried", func() bool { return len(c.Receipts()) > 0 })
	require.Zero(t, s.Terminate())
	n, changes := c.Answer(http.StatusNoContent), len(c.Changes()) // the first may have told of several
	s.Restart()
	wait.Until(t, "told", func() bool { return len(c.Changes()) >= changes+5 })
	require.Equal(t, c.Receipts()[0].ID, c.Receipts()[n].ID)
	for i, line := range c.Changes()[changes:] {
		require.Equal(t, fmt.Sprintf("s%d ADDED ACTIVE", i), line)
	}
}
