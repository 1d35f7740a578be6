package notify

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// A consumer that never answers must not have the store retain all events for a day. What is
// retained for it is bounded, whatever changes; what is left out is erased, while two
// replicas erase; and another consumer gets everything.
func TestADeadConsumerNeverFillsTheStore(t *testing.T) {
	for _, instances := range []int{3, 100_000} {
		t.Run(fmt.Sprint(instances, " instances"), func(t *testing.T) {
			const most = 20_000
			m := newModel(1, 2, 0)
			m.retention = newRetention(most, func() int64 { return 1 << 40 })
			m.instances = instances
			dead, lively := m.subscribeTo(mp1.Subscription{}), m.subscribeTo(mp1.Subscription{})
			dead.down, m.settling = true, true // whoever is reached answers
			for _, r := range m.replicas {
				m.watch(r, m.at)
			}
			m.takeOver(dead, m.replicas[0])
			m.takeOver(lively, m.replicas[1])
			largest := 0
			for n := range 2000 {
				m.commit()
				for _, r := range m.replicas {
					m.watch(r, m.at)
				}
				for range 3 {
					m.send(dead)
					m.send(lively)
				}
				m.now += time.Second
				if n%30 == 29 {
					for _, r := range m.replicas {
						m.choose(r)
						m.erase(r)
					}
					size := 0
					for _, e := range m.events {
						size += e.Size
					}
					largest = max(largest, size)
				}
				require.Empty(t, m.broken)
			}
			young := 150 * 500 // what is not a minute old, and what the next look erases
			require.Less(t, largest, most+young)
			require.Greater(t, len(dead.lost), 1700)
			require.Empty(t, lively.lost)
			require.Less(t, dead.moves, 2000/10, "nor is much written about it")
			// It comes back, and gets the newest of each.
			dead.down = false
			m.settle()
			require.Empty(t, m.broken)
			newest := map[heartbeat.ID]heartbeat.Revision{}
			for _, e := range m.all {
				newest[e.ID] = max(newest[e.ID], e.At)
			}
			sent := 0
			for _, at := range newest {
				if dead.got[at] {
					sent++
				}
			}
			if instances == 3 {
				require.Equal(t, 3, sent)
			}
			require.Positive(t, sent)
			require.True(t, dead.got[m.last()], "the last is never left out")
		})
	}
}

// The limit is in bytes of the store; an event larger than that is sent all the same.
func TestTheNewestEventIsAlwaysRetained(t *testing.T) {
	p := newPlay(t)
	p.kept = newRetention(1000, func() int64 { return 1 << 40 })
	p.restart()
	p.answer = fails(unreachable)
	big := func(at heartbeat.Revision, what string) {
		m := event(at, what, p.now)
		m.size = 5000
		p.q.add(m)
	}
	big(11, "A S")
	p.until(time.Minute)
	require.Empty(t, p.lost)
	require.Empty(t, p.moves, "there is nothing to leave out")
	big(12, "B S")
	p.until(p.now + time.Minute)
	require.EqualValues(t, 1, p.lost[stageShed])
	require.Equal(t, heartbeat.Revision(11), p.store.After)
	p.answer = nil
	p.until(p.now + time.Hour)
	require.Equal(t, "12", p.posts[len(p.posts)-1].events)
	require.Zero(t, p.kept.bytes.Load(), "and nothing is kept of it")
}

// A POST that was attempted is not left out because something newer is retained, and a replica
// that takes over does not begin with what was left out.
func TestALimitIsEnforcedByWhoeverTakesOver(t *testing.T) {
	p := newPlay(t)
	p.kept = newRetention(1000, func() int64 { return 1 << 40 })
	p.restart()
	p.answer = fails(unreachable)
	sized := func(at heartbeat.Revision, what string) {
		m := event(at, what, 0)
		m.age.Since = p.now
		m.size = 150
		p.q.add(m)
	}
	all := []string{"A +", "B +", "A ~", "B ~", "A ~", "B ~", "A ~", "B ~"}
	sized(11, all[0])
	p.until(0)
	for i := 1; i < len(all); i++ {
		sized(heartbeat.Revision(11+i), all[i])
	}
	p.until(p.now + time.Second)
	require.Equal(t, plugins.Cursor{After: 10, Group: []heartbeat.Revision{11}, Newest: 18, At: 11}, p.store)
	require.EqualValues(t, 5, p.lost[stageSuperseded])
	p.restart()
	p.answer = nil
	for i, what := range all {
		sized(heartbeat.Revision(11+i), what)
		n := len(p.posts)
		p.until(p.now + time.Second)
		if i < len(all)-1 {
			require.Len(t, p.posts, n, "what is the newest is not known before")
		}
	}
	p.until(p.now + time.Minute)
	require.Equal(t, []string{"11", "17 18"}, p.sent()[len(p.posts)-2:])
	require.EqualValues(t, 5, p.lost[stageSuperseded], "they are counted once")
	require.Equal(t, plugins.Cursor{After: 18, At: p.store.At}, p.store)
}

// All together are over their limit: the subscriptions for which most is retained shed, and
// a consumer that answers loses nothing.
func TestAllTogetherAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &subscribers{answer: func(_ context.Context, url string) result {
			if strings.Contains(url, "dead") {
				return result{outcome: unreachable}
			}
			return result{}
		}}
		s := newFakeStore()
		s.size = 1000
		d := newDispatcher(s.link(), fromReplica{to, "a"}, plugins.NewClock(), giveUpAfter, true, noObserver{})
		const most = 100_000
		d.retention = newRetention(50_000, func() int64 { return most })
		lost := &losses{}
		d.observer = lost
		a := runReplica(t, d, s.links[0])
		for i := range 20 {
			a.subscribeTo(t, "app", fmt.Sprint(here, "dead", i), &mp1.FilteringCriteria{SerNames: []string{fmt.Sprint("x", i)}})
		}
		a.subscribe(t, "app", here+"lively")
		time.Sleep(time.Second)
		largest := int64(0)
		for n := range 400 {
			s.commitFor(fmt.Sprint("x", n%20), fmt.Sprint("instance", n), "S")
			time.Sleep(time.Second)
			largest = max(largest, d.retention.bytes.Load())
		}
		require.LessOrEqual(t, largest, int64(most+10_000), "and what comes while they are asked for less")
		require.Positive(t, lost.n.Load())
		require.Len(t, to.of(here+"lively"), 400)
	})
}

// losses counts events that are lost because too much was retained.
type losses struct {
	noObserver
	n atomic.Int64
}

func (l *losses) lost(_ *plugins.Subscription, why stage, n int64) {
	if why == stageShed {
		l.n.Add(n)
	}
}

// Each of very many subscriptions retains only its newest event, and together that is too
// much: then some of them lose it.
func TestManyThatRetainLittleAreBounded(t *testing.T) {
	for _, shared := range []int{1, 50} { // subscriptions that wait for the same events
		synctest.Test(t, func(t *testing.T) {
			to := &subscribers{answer: func(context.Context, string) result { return result{outcome: unreachable} }}
			s := newFakeStore()
			s.size = 1000
			d := newDispatcher(s.link(), fromReplica{to, "a"}, plugins.NewClock(), giveUpAfter, true, noObserver{})
			const most = 100_000
			d.retention = newRetention(50_000, func() int64 { return most })
			a := runReplica(t, d, s.links[0])
			for i := range 120 {
				for j := range shared {
					a.subscribeTo(t, fmt.Sprint("app", i), fmt.Sprint(here, i, "/", j), &mp1.FilteringCriteria{SerNames: []string{fmt.Sprint("x", i)}})
				}
			}
			time.Sleep(time.Second)
			for n := range 120 {
				s.commit(fmt.Sprint("x", n), "S")
			}
			time.Sleep(time.Minute)
			require.LessOrEqual(t, d.retention.bytes.Load(), int64(most))
			require.Greater(t, d.retention.bytes.Load(), int64(most/2), "nor is more lost than must be")
		})
	}
}
