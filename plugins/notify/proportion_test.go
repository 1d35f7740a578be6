package notify

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// Delivery costs what is sent: with ten thousand subscriptions, an event that nobody
// asked for costs no write, whatever they filter by, and one that ten asked for costs
// ten POSTs and ten writes.
func TestAnEventCostsWritesForThoseItMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		is := false
		for i := range 10_000 {
			asked := &mp1.FilteringCriteria{}
			switch i % 5 {
			case 0:
				asked.SerNames = []string{fmt.Sprint("name", i), "also"}
			case 1:
				asked.SerInstanceIDs = []string{fmt.Sprint("id", i)}
			case 2:
				asked.SerCategories = []mp1.CategoryRef{{ID: fmt.Sprint(i), Name: "n"}}
			case 3:
				asked.SerNames, asked.States = []string{"x"}, []mp1.State{mp1.Inactive}
			case 4:
				asked.IsLocal = &is
			}
			if i < 10 {
				asked = &mp1.FilteringCriteria{SerNames: []string{"ten"}, States: []mp1.State{mp1.Suspended}}
			}
			a.subscribeTo(t, fmt.Sprint("app", i/100), fmt.Sprint(here, i), asked)
		}
		synctest.Wait()
		for range 4 {
			s.commit("x", "S")
			s.commit("ten", "A")
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Hour)
		require.Zero(t, s.cursorsWritten(), "nobody asked for them")
		require.Zero(t, to.all())
		s.commit("ten", "S")
		time.Sleep(time.Hour)
		require.Equal(t, 10, to.all())
		require.Equal(t, 10, s.cursorsWritten())
	})
}

// A worker that is cut off from the store must not look again and again whether it still
// is: thousands of them would take a part of a core.
func TestWorkersThatAreCutOffWaitForOneWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		l, looks := s.link(), atomic.Int64{}
		clock := plugins.NewClock()
		d := newDispatcher(l, fromReplica{to, "a"}, func() (plugins.Instant, int64) { looks.Add(1); return clock() }, giveUpAfter, false, noObserver{})
		a := runReplica(t, d, l)
		const n = 500
		a.maxPerApp = n
		for i := range n {
			a.subscribe(t, "app", fmt.Sprint(here, i))
		}
		time.Sleep(time.Second)
		a.link.setCut(true)
		time.Sleep(10 * time.Second)
		s.commit("x", "S") // which wakes nobody: it does not come through
		looks.Store(0)
		time.Sleep(10 * time.Minute)
		require.Less(t, looks.Load(), int64(1200), "at the clock: two a second, by the dispatcher, and none by a worker")
		require.Zero(t, to.all())
		a.link.setCut(false)
		time.Sleep(10 * time.Second)
		require.Equal(t, n, to.all(), "and are sent to when it is over")
	})
}

// unread counts the events that could not be read.
type unread struct {
	noObserver
	n atomic.Int64
}

func (u *unread) unreadable(events int, _ string) { u.n.Add(int64(events)) }

func TestAnEventThatCannotBeReadIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		seen := &unread{}
		a.observer = seen
		a.subscribe(t, "app", here)
		synctest.Wait()
		bad := func(e *plugins.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if e != nil {
				e.At = s.at + 1
			}
			w := plugins.OutboxWrite{Kind: plugins.EventWritten, Name: fmt.Sprint("event", s.at+1), At: s.at + 1, Event: e}
			s.events = append(s.events, w)
			s.broadcast(w)
		}
		bad(&plugins.Event{ID: "x", Attributes: "{"})
		bad(nil)
		s.commit("x", "S")
		time.Sleep(time.Second)
		require.EqualValues(t, 2, seen.n.Load())
		require.Len(t, to.of(here), 1, "the others are sent")
		s.mu.Lock()
		all, at := s.events, s.at
		all = append(all, plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: a.only(), At: 1, Subscription: s.subs[a.only()]})
		s.mu.Unlock()
		a.Load(all, at)
		time.Sleep(time.Minute)
		require.EqualValues(t, 2, seen.n.Load(), "a new list reports them again")
		require.Len(t, to.of(here), 1)
	})
}

// silent is a store that renews leases and does not say so for a while.
type silent struct {
	*link
	off atomic.Bool
}

func (s *silent) Renew(ctx context.Context, l heartbeat.LeaseID) (int, error) {
	n, err := s.link.Renew(ctx, l)
	if s.off.Load() {
		return 0, errCut
	}
	return n, err
}

// Events that came while the lease was not trusted are sent with the first renewal after that.
func TestTheRenewalWakesWhoWaitedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		by := &silent{link: s.link()}
		a := newReplicaOver(t, by, by.link, to, "a", false)
		a.subscribe(t, "app", here)
		time.Sleep(2 * time.Second)
		by.off.Store(true)
		time.Sleep(10 * time.Second)
		s.commit("x", "S")
		time.Sleep(10 * time.Second)
		require.Empty(t, to.of(here), "it is not sure to be the only one that sends")
		by.off.Store(false)
		time.Sleep(2 * renewEvery)
		require.Len(t, to.of(here), 1)
	})
}

// BenchmarkAnEventThatNobodyAskedFor is what an event costs the dispatcher beside ten
// thousand subscriptions that it does not match.
func BenchmarkAnEventThatNobodyAskedFor(b *testing.B) {
	d := newDispatcher(newFakeStore().link(), fromReplica{&subscribers{}, "a"}, plugins.NewClock(), giveUpAfter, true, noObserver{})
	d.Load(nil, 1)
	for i := range 10_000 {
		s := &plugins.Subscription{ID: fmt.Sprint(i), Owner: fmt.Sprint("app", i/100), At: 1}
		s.Asked.FilteringCriteria = &mp1.FilteringCriteria{SerNames: []string{"x", fmt.Sprint(i)}, States: []mp1.State{mp1.Inactive}}
		d.mu.Lock()
		en := d.addSubscription(s)
		en.worker = newWorker(s, newQueue(plugins.Cursor{After: 1}, giveUpAfter, nil, d.random, nil), d)
		d.mu.Unlock()
	}
	at := heartbeat.Revision(1)
	for b.Loop() {
		at++
		name := fmt.Sprint("event", at)
		e := &plugins.Event{At: at, ID: "x", State: heartbeat.Suspended, Change: heartbeat.StateChanged, Attributes: `{"serName":"x"}`}
		d.See([]plugins.OutboxWrite{{Kind: plugins.EventWritten, Name: name, At: at, Event: e}, {Kind: plugins.EventWritten, Name: name, At: at, Gone: true}}, at)
	}
}
