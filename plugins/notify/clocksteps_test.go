package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// machine is a machine whose wall clock somebody sets. It stamps events, runs a replica
// and erases, like every replica.
type machine struct {
	*replica
	step   atomic.Int64
	clock  func() (plugins.Instant, int64)
	ages   plugins.Ages
	erased int
}

func (m *machine) boot(t *testing.T, s *fakeStore, to *subscribers, name string) {
	base := plugins.NewClock()
	m.clock = func() (plugins.Instant, int64) {
		now, wall := base()
		return now, wall + m.step.Load()
	}
	m.ages = plugins.Ages{}
	l := s.link()
	m.replica = runReplica(t, newDispatcher(l, fromReplica{to, name}, m.clock, giveUpAfter, false, noObserver{}), l)
}

// tidy is what the store's adapter does every 30 s.
func (m *machine) tidy(t *testing.T, s *fakeStore) {
	now, wall := m.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var who plugins.CursorSet
	for id, sub := range s.subs {
		who.Add(sub, s.cursors[id])
	}
	made := map[string]int64{}
	for _, w := range s.events {
		made[w.Name] = w.Event.Made
	}
	ages := m.ages.Listed(now, wall, made)
	kept := s.events[:0:0]
	for _, w := range s.events {
		if !plugins.Erasable(who.Pending([]*plugins.Event{w.Event})[0], ages[w.Name], now, giveUpAfter) {
			kept = append(kept, w)
			continue
		}
		require.GreaterOrEqual(t, time.Since(s.createdAt[w.Name]), plugins.OutboxAge)
		for _, c := range s.cursors {
			require.GreaterOrEqual(t, c.After, w.Event.At, "erased before it was sent")
		}
		m.erased++
		s.broadcast(plugins.OutboxWrite{Kind: plugins.EventWritten, Name: w.Name, Gone: true})
	}
	s.events = kept
}

// Two replicas, whose machines' clocks are set, one after the other and both, by a day
// and by years, while consumers are away, while none, one or both are restarted,
// and while both erase: every event is sent, none under two ids, and none is kept for ever.
func TestSetClocksLoseNothingAndSendNothingTwice(t *testing.T) {
	const day = 24 * time.Hour
	for _, step := range []time.Duration{day, -day, 6 * 365 * day, -6 * 365 * day} {
		for restarted := range 3 {
			t.Run(fmt.Sprint(step, " restarted ", restarted), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { setClocks(t, step, restarted) })
			})
		}
	}
}

func setClocks(t *testing.T, step time.Duration, restarted int) {
	var away atomic.Bool
	to := &subscribers{answer: func(context.Context, string) result {
		if away.Load() {
			return result{outcome: unreachable}
		}
		return result{}
	}}
	s, a, b, events := newFakeStore(), &machine{}, &machine{}, 0
	a.boot(t, s, to, "a")
	b.boot(t, s, to, "b")
	for i := range 4 {
		a.subscribe(t, fmt.Sprint("app", i), fmt.Sprint(here, i))
	}
	minutes := func(n int, by ...*machine) { // in each of which some machines make an event
		for range n {
			for _, m := range by {
				events++
				s.clockOff = m.step.Load()
				s.commit(fmt.Sprint("instance", events), "S")
			}
			for range 2 {
				time.Sleep(30 * time.Second)
				a.tidy(t, s)
				b.tidy(t, s)
			}
		}
	}
	minutes(3, a, b)
	away.Store(true)
	left := time.Now()
	a.step.Store(int64(step)) // a sends, and b makes the first event
	minutes(1, b)
	minutes(9, b, a)
	if restarted > 0 {
		a.stop()
		minutes(1) // b takes over
		a.boot(t, s, to, "a again")
		b.step.Store(int64(step))
	}
	if restarted == 2 {
		b.stop()
		b.boot(t, s, to, "b again")
	}
	b.step.Store(int64(step))
	minutes(5, b, a)
	a.step.Store(0)
	minutes(5, a)
	if restarted < 2 { // somebody knows how old the events are, who saw them being made
		minutes(180)
	}
	away.Store(false)
	back := time.Now()
	minutes(75)
	b.step.Store(0)
	minutes(5, a, b)
	minutes(5)

	for i := range 4 {
		ids, sent := map[string]map[string]bool{}, map[string]bool{} // of each event
		for _, one := range to.of(fmt.Sprint(here, i)) {
			var n mp1.Notification
			require.NoError(t, json.Unmarshal(one.body, &n))
			for _, r := range n.ServiceReferences {
				if ids[r.SerInstanceID] == nil {
					ids[r.SerInstanceID] = map[string]bool{}
				}
				ids[r.SerInstanceID][one.id] = true
				if one.at.Before(left) || !one.at.Before(back) {
					sent[r.SerInstanceID] = true
				}
			}
		}
		require.Len(t, sent, events, "each was sent")
		for event, under := range ids {
			require.Len(t, under, 1, event)
		}
	}
	require.Empty(t, s.events, "all were sent, and erased")
	require.Equal(t, events, a.erased+b.erased)
	t.Logf("step %s, %d restarted: %d events to 4 consumers, 0 lost, 0 under two ids", step, restarted, events)
}
