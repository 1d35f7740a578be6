package notify

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// missed commits events that the watch of l does not show, and returns the list that does.
func missed(l *link, names ...string) (all []plugins.OutboxWrite, at heartbeat.Revision) {
	l.mu.Lock()
	links := l.links
	l.links = nil
	l.mu.Unlock()
	for _, name := range names {
		l.commit(name, "S")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links = links
	all = append(all, l.events...)
	for id, s := range l.subs {
		all = append(all, plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: id, At: s.At, Subscription: s})
	}
	for _, w := range l.locks {
		all = append(all, w)
	}
	return all, l.at
}

// The watch breaks, and events happen before it is there again: the list is all that shows
// them to the workers that are running.
func TestAListBringsWhatTheWatchMissed(t *testing.T) {
	for _, events := range [][]string{{"x"}, {"x", "other", "y"}} {
		synctest.Test(t, func(t *testing.T) {
			to, s := &subscribers{}, newFakeStore()
			a := newReplica(t, s, to, "a", true)
			a.subscribeTo(t, "app", here, &mp1.FilteringCriteria{SerNames: []string{"x", "y"}})
			time.Sleep(time.Second)
			all, at := missed(a.link, events...)
			synctest.Wait()
			require.Empty(t, to.of(here))
			a.Load(all, at)
			time.Sleep(time.Second)
			got := ""
			for _, one := range to.of(here) {
				got += string(one.body)
			}
			for _, name := range events {
				require.Equal(t, name != "other", contains(got, name), "%s in %s", name, got)
			}
		})
	}
}

func contains(body, name string) bool {
	return len(body) > 0 && strings.Contains(body, fmt.Sprintf(`"serName":%q`, name))
}

// The index finds candidates by one thing that a service is; all that a filter says counts.
func TestEveryCriterionOfAFilterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		a.subscribeTo(t, "app", here, &mp1.FilteringCriteria{SerInstanceIDs: []string{"x1"}, SerNames: []string{"x"}, States: []mp1.State{mp1.Suspended}})
		time.Sleep(time.Second)
		for _, event := range [][3]string{{"x", "x1", "A"}, {"y", "x1", "S"}, {"x", "y1", "S"}} {
			s.commitFor(event[0], event[1], event[2])
			time.Sleep(time.Second)
			require.Empty(t, to.of(here), event)
		}
		all, at := missed(a.link, "x", "y")
		all = append(all, happened(at+1, "x1", 1))
		a.Load(all, at+1)
		time.Sleep(time.Second)
		require.Empty(t, to.of(here), "nor in a list")
	})
}

// What is erased from the outbox is not kept in memory either.
func TestAnErasedEventIsForgotten(t *testing.T) {
	d := follower()
	d.list(5, subscription("s", 3), happened(4, "a", 1))
	d.watched(happened(6, "b", 1))
	require.Len(t, d.events.byKey, 2)
	d.watched(erased(plugins.EventWritten, "eventa", 7), erased(plugins.EventWritten, "eventb", 7))
	require.Empty(t, d.events.byKey)
	require.Empty(t, d.events.list)
}

// A subscription whose worker has not started gets its events from the backlog.
func TestEventsWaitForAWorkerThatHasNotStarted(t *testing.T) {
	d := follower()
	d.list(5, subscription("s", 3))
	d.watched(happened(6, "a", 1), happened(7, "b", 1))
	require.Len(t, d.events.behind(5, &mp1.Subscription{}), 2)
}

// 20,000 registrations of which nobody wants to know took 20 MB for more than a minute. What a
// subscription asks for that is made later is not among them.
func TestAnEventThatNobodyAsksForIsNotKept(t *testing.T) {
	d := follower()
	x := subscription("x", 3)
	x.Subscription.Asked.FilteringCriteria = &mp1.FilteringCriteria{SerInstanceIDs: []string{"x"}}
	d.list(5, happened(4, "x", 1), happened(5, "y", 1), x) // in a list events stand before subscriptions
	d.watched(happened(6, "y", 1), happened(7, "x", 1), happened(7, "x", 1))
	instances := func() (all []string) {
		for _, m := range d.events.list {
			all = append(all, m.instance())
		}
		return all
	}
	require.Equal(t, []string{"x", "x"}, instances())
	require.Len(t, d.events.byKey, 1, "the second event of an instance replaces the first here")
	require.EqualValues(t, 7, d.events.newest)
	d.watched(happened(8, "y", 1))
	require.EqualValues(t, 8, d.events.newest, "what nobody asks for was taken in too")
	d.watched(subscription("all", 9), happened(10, "y", 1))
	require.Equal(t, []string{"x", "x", "y"}, instances(), "from its subscription on")
}

// Whether an instance flaps is judged of each of its changes once, though nobody asks for them, and lists
// repeat them.
func TestAChangeThatNobodyAsksForIsJudgedOnce(t *testing.T) {
	d := follower()
	d.flaps = plugins.NewFlaps(2, time.Hour)
	changed := func(at heartbeat.Revision) plugins.OutboxWrite {
		w := happened(at, "a", 1)
		w.Event.Change, w.Event.State = heartbeat.StateChanged, heartbeat.Suspended
		return w
	}
	d.watched(changed(4), changed(5))
	for range 3 {
		d.list(6, changed(4), changed(5))
	}
	require.Zero(t, d.flapping())
	d.watched(changed(7))
	require.Equal(t, 1, d.flapping())
}

// A watch may begin with what a list has shown, and repeat itself.
func TestAnEventIsTakenInOnce(t *testing.T) {
	d := follower()
	d.list(5, subscription("s", 3), happened(5, "a", 1))
	d.watched(happened(5, "a", 1))
	d.watched(happened(6, "b", 1))
	d.watched(happened(6, "b", 1))
	require.Len(t, d.events.list, 2)
}

// Revisions repeat after a restore: an event is the same only if its instance and its time
// are the same too. A message that was kept for another event would tell the wrong thing.
func TestAnotherEventAtTheSameRevisionIsAnother(t *testing.T) {
	d := follower()
	d.list(5, subscription("s", 2), happened(3, "a", 1), happened(4, "b", 1), happened(5, "c", 1))
	kept := d.events.list[2]
	renamed := happened(3, "z", 1)
	d.list(5, subscription("s", 2), renamed, happened(4, "b", 2), happened(5, "c", 1))
	require.Equal(t, "z", d.events.list[0].instance())
	require.EqualValues(t, 2, d.events.list[1].made)
	require.Same(t, kept, d.events.list[2], "which queues retain it stays known")
}

// All events that a cursor needs may have been erased, so that none wakes the worker.
func TestAWorkerThatIsBehindIsToldWhenEverythingWasSeen(t *testing.T) {
	d := follower()
	d.alone = true
	d.list(5)
	behind := newWorker(&plugins.Subscription{ID: "s"}, newQueue(plugins.Cursor{After: 3, Newest: 9}, giveUpAfter, nil, nil, nil), d)
	d.lagging[behind] = 9
	woken := func() bool {
		select {
		case <-behind.wake:
			return true
		default:
			return false
		}
	}
	d.See(nil, 8)
	require.False(t, woken())
	require.Len(t, d.lagging, 1)
	d.See(nil, 9)
	require.True(t, woken())
	require.EqualValues(t, 9, behind.q.seen)
	d.See(nil, 10)
	require.False(t, woken(), "once")
	require.Empty(t, d.lagging)
}

// One subscription of an application ends, and the others go on.
func TestTheOtherSubscriptionsOfAnApplicationStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(t, newFakeStore(), &subscribers{}, "a", true)
		first, second := a.subscribe(t, "app", here+"1"), a.subscribe(t, "app", here+"2")
		require.NoError(t, a.Unsubscribe(t.Context(), "app", first))
		require.Equal(t, []string{second}, owned{a.registry}.Of("app"))
		for range a.index.Candidates(plugins.Subject{Service: &mp1.ServiceInfo{}}) {
			first = ""
		}
		require.Empty(t, first, "the second is still found")
		require.NoError(t, a.Unsubscribe(t.Context(), "app", second))
		for range a.index.Candidates(plugins.Subject{Service: &mp1.ServiceInfo{}}) {
			t.Fatal("and no ended one is looked at for ever")
		}
	})
}

// A replica whose lease is gone has no lock any more: its workers end, and nothing is sent
// until there is a lease and a lock anew.
func TestWithItsLeaseAReplicaLosesItsWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, at := withLease(t)
		d.list(at, subscription("s", at))
		en := d.entries["s"]
		require.NoError(t, d.acquire(t.Context(), "s", en))
		w := en.worker
		require.NoError(t, l.endLease(d.lease.id()))
		d.loseLease()
		now, _ := d.now()
		require.False(t, d.trustsLease(now))
		require.Nil(t, en.worker)
		require.False(t, en.held)
		<-w.done
	})
}

// A lock that is seen to be gone may be another replica's by now, whatever the lease says.
func TestWithItsLockASubscriptionLosesItsWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, at := withLease(t)
		d.random = func() float64 { return 1 }
		d.list(at, subscription("s", at))
		en := d.entries["s"]
		require.NoError(t, d.acquire(t.Context(), "s", en))
		w := en.worker
		now, _ := d.now()
		en.tryAt = 0
		d.watched(erased(plugins.LockWritten, "s", en.lockAt+1))
		require.Nil(t, en.worker)
		require.Equal(t, now+takeoverJitter, en.tryAt, "replicas do not all try at once")
		<-w.done
		en.tryAt = now + unreadablePause
		d.watched(erased(plugins.LockWritten, "s", en.lockAt+1))
		require.Equal(t, now+unreadablePause, en.tryAt, "a longer pause stays")
	})
}

// What stops gives everything back at once, and starts nothing more.
func TestAReplicaThatStopsLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		a := newReplica(t, s, &subscribers{}, "a", false)
		time.Sleep(2 * time.Second)
		a.subscribe(t, "app", here)
		time.Sleep(time.Second)
		require.Len(t, s.ends, 1)
		a.stop()
		require.Empty(t, s.ends, "its lease")
		require.Empty(t, s.locks)
		synctest.Wait()
		en := a.entries[a.only()]
		require.Nil(t, en.worker)
		require.False(t, a.startWorker(en.sub.ID, en, plugins.Cursor{}, en.lease, en.lockAt))
	})
}

// run returns when none of its loops can touch the store any more.
func TestRunWaitsForWhatIsBeingLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		var trying sync.WaitGroup
		l := &lockHook{link: s.link(), does: func(*link, plugins.OutboxWrite) {
			trying.Add(1)
			defer trying.Done()
			time.Sleep(10 * time.Second)
		}}
		a := newReplicaOver(t, l, l.link, &subscribers{}, "a", false)
		time.Sleep(2 * time.Second)
		a.subscribe(t, "app", here)
		time.Sleep(2 * time.Second)
		began := time.Now()
		a.stop()
		require.Greater(t, time.Since(began), 5*time.Second)
		trying.Wait()
	})
}
