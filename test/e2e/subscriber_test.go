package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADeletedSubscriptionIsNotCalledAnyMore(t *testing.T) {
	t.Parallel()
	s := start(t, append(slices.Clip(fast), "MEP_LIMITS_WRITES_PER_SECOND=0")...) // one application changes as fast as it can
	const others = 20
	var gone []*consumer
	var paths []string
	for i := range others {
		c := newConsumer(t)
		if i%2 == 0 {
			c.answer(http.StatusServiceUnavailable)
		}
		gone = append(gone, c)
		paths = append(paths, s.subscribe("watcher", c.URL, ""))
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
			s.do("DELETE", s.register("p", fmt.Sprint("s", i), -1).location, "")
		}
	})
	time.Sleep(time.Second)
	answered := make([]time.Time, others)
	for i, path := range paths {
		s.want(204, "DELETE", path, "")
		answered[i] = time.Now()
		require.NotEmpty(t, gone[i].receipts())
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(2 * time.Second)
	close(end)
	wg.Wait()
	for i, c := range gone {
		for _, r := range c.receipts() {
			require.False(t, r.at.After(answered[i]), "a POST came after the deletion was answered")
		}
	}
}

// A subscriber that is down is told when it is back, and only of the newest state.
func TestASubscriberThatComesBackIsToldOfTheNewestState(t *testing.T) {
	t.Parallel()
	s, c := start(t, fast...), newConsumer(t)
	c.answer(http.StatusInternalServerError)
	s.subscribe("watcher", c.URL, "")
	v := s.register("p", "x", 1)
	eventually(t, "SUSPENDED", func() bool { return v.state() == "SUSPENDED" })
	v.beat()
	require.Equal(t, "ACTIVE", v.state())
	c.answer(0)
	ok := len(c.receipts())
	eventually(t, "told", func() bool { return len(c.receipts()) > ok+1 })
	told := c.told()[ok:]
	require.Equal(t, "x ADDED ACTIVE", told[0])
	require.LessOrEqual(t, len(told), 3)
	require.NotZero(t, s.metric(`mep_notification_posts_total{outcome="server_error"}`))
	require.NotZero(t, s.metric(`mep_notification_events_lost_total{reason="superseded"}`))
	require.Equal(t, 1, strings.Count(s.log.String(), "subscriber cannot be notified"), "one line for a row of failures")
	require.NotContains(t, s.log.String(), c.URL+"/")
}

func TestASubscriberThatSays410IsLeftAlone(t *testing.T) {
	t.Parallel()
	s, c := start(t, fast...), newConsumer(t)
	c.answer(http.StatusGone)
	path := s.subscribe("watcher", c.URL, "")
	s.register("p", "x", -1)
	eventually(t, "told", func() bool { return len(c.receipts()) == 1 })
	c.answer(0)
	s.register("p", "y", -1)
	time.Sleep(2 * time.Second)
	s.kill()
	s.launch()
	s.register("p", "z", -1)
	time.Sleep(2 * time.Second)
	require.Len(t, c.receipts(), 1)
	s.want(200, "GET", path, "")
	s.subscribe("watcher", c.URL, "")
	s.register("p", "w", -1)
	eventually(t, "told again", func() bool { return len(c.receipts()) == 2 })
	require.Equal(t, "w ADDED ACTIVE", c.told()[1])
}

// What was pending when the platform was told to stop is sent by the next one.
func TestAStopLeavesTheOutboxAsItIs(t *testing.T) {
	t.Parallel()
	s, c := start(t, fast...), newConsumer(t)
	c.answer(http.StatusServiceUnavailable)
	s.subscribe("watcher", c.URL, "")
	for i := range 5 {
		s.register("p", fmt.Sprint("s", i), -1)
	}
	eventually(t, "tried", func() bool { return len(c.receipts()) > 0 })
	s.signal(syscall.SIGTERM)
	require.NoError(t, s.cmd.Wait())
	c.answer(0)
	n := len(c.receipts())
	s.launch()
	eventually(t, "told", func() bool { return len(c.told()) >= n+5 })
	require.Equal(t, c.receipts()[0].id, c.receipts()[n].id)
	for i, line := range c.told()[n:] {
		require.Equal(t, fmt.Sprintf("s%d ADDED ACTIVE", i), line)
	}
}
