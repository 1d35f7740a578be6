package notify

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// follower is a dispatcher that is given lists and writes; none of its loops run.
func follower() *dispatcher {
	return newDispatcher(newFakeStore().link(), fromReplica{&subscribers{}, "a"}, plugins.NewClock(), giveUpAfter, false, noObserver{})
}

func subscription(id string, at heartbeat.Revision) plugins.OutboxWrite {
	return plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: id, At: at, Subscription: &plugins.Subscription{ID: id, Owner: "app", At: at}}
}

func lock(id string, at heartbeat.Revision, on heartbeat.LeaseID) plugins.OutboxWrite {
	return plugins.OutboxWrite{Kind: plugins.LockWritten, Name: id, At: at, Lease: on}
}

func erased(kind plugins.OutboxKind, id string, at heartbeat.Revision) plugins.OutboxWrite {
	return plugins.OutboxWrite{Kind: kind, Name: id, At: at, Gone: true}
}

func happened(at heartbeat.Revision, id heartbeat.ID, made int64) plugins.OutboxWrite {
	return plugins.OutboxWrite{Kind: plugins.EventWritten, Name: "event" + string(id), At: at,
		Event: &plugins.Event{At: at, ID: id, Change: heartbeat.Added, State: heartbeat.Active, Made: made, Attributes: `{}`}}
}

func (d *dispatcher) list(at heartbeat.Revision, all ...plugins.OutboxWrite) { d.Load(all, at) }

func (d *dispatcher) watched(writes ...plugins.OutboxWrite) { d.See(writes, writes[len(writes)-1].At) }

// A lock that this replica took itself may be newer than what the watch has shown.
func TestAnOlderWordAboutALockSaysNothing(t *testing.T) {
	d := follower()
	d.list(5, subscription("s", 3))
	en := d.entries["s"]
	en.lockAt, en.held, en.lease = 10, true, 7 // as acquire notes it
	d.watched(erased(plugins.LockWritten, "s", 8))
	require.True(t, en.held)
	d.list(9, subscription("s", 3))
	require.True(t, d.entries["s"].held, "a list that is older than the lock lacks it")
	d.list(12, subscription("s", 3))
	require.False(t, d.entries["s"].held, "one that is newer says that it is gone")
}

// After a restore revisions are lower: what was seen of a lock before does not count any more.
func TestALockOfARestoredStoreIsBelieved(t *testing.T) {
	d := follower()
	d.list(100, subscription("s", 3), lock("s", 90, 7))
	require.Equal(t, heartbeat.LeaseID(7), d.entries["s"].lease)
	d.list(60, subscription("s", 3), lock("s", 50, 8))
	en := d.entries["s"]
	require.True(t, en.held)
	require.Equal(t, heartbeat.LeaseID(8), en.lease, "who has it now")
	d.watched(erased(plugins.LockWritten, "s", 61))
	require.False(t, en.held, "and that it is given back is heard")
	d.watched(lock("s", 62, 9))
	require.True(t, en.held)
}

// A subscription that was deleted here stays deleted, whatever the watch and lists show
// that are behind.
func TestADeletedSubscriptionDoesNotComeBack(t *testing.T) {
	d := follower()
	d.alone = true
	d.list(5, subscription("s", 3), subscription("t", 4))
	for _, id := range []string{"s", "t"} {
		require.NoError(t, d.awaitUnlocked(t.Context(), id))
	}
	require.Empty(t, d.byOwner, "nothing is kept of an application without subscriptions")
	d.list(6, subscription("s", 3), subscription("t", 4))
	d.watched(subscription("s", 3))
	require.Empty(t, d.entries)
	require.Len(t, d.deleted, 2)
	d.watched(erased(plugins.SubscriptionWritten, "s", 7))
	require.NotContains(t, d.deleted, "s", "forgotten once it is shown")
	d.list(8)
	require.Empty(t, d.deleted, "also by a list")
}

// The wall clock is read once for the age of an event, and cannot make it older than possible.
func TestAgesOverListsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := follower()
		wall := func(ago time.Duration) int64 { return time.Now().Add(-ago).UnixNano() }
		age := func(id heartbeat.ID) plugins.Age { return d.events.byKey["event"+string(id)].age }
		all := subscription("s", 1)
		first := happened(10, "listed", wall(10*time.Hour))
		d.list(11, all, first)
		require.Equal(t, 10*time.Hour, age("listed").Before, "listed after the start: all that is known")
		was := age("listed")

		time.Sleep(time.Hour)
		live := happened(20, "watched", wall(10*time.Hour))
		d.watched(live)
		require.Zero(t, age("watched").Before, "seen being made, whatever its stamp says")

		time.Sleep(time.Minute)
		d.list(30, all, first, live, happened(25, "missed", wall(10*time.Hour)))
		require.Equal(t, time.Minute, age("missed").Before, "made since everything was known")
		require.Equal(t, was, age("listed"), "known is known")
		require.Zero(t, age("watched").Before)

		time.Sleep(time.Minute)
		d.list(40, all, first, live, happened(35, "missed again", wall(10*time.Hour)))
		require.Equal(t, time.Minute, age("missed again").Before, "since the last list")

		time.Sleep(time.Minute)
		d.list(20, all, first, happened(20, "other", wall(10*time.Hour)), happened(15, "older", wall(10*time.Hour)))
		require.Equal(t, was, age("listed"), "the same event, though the store was restored")
		require.Equal(t, 10*time.Hour, age("other").Before, "another one at a revision that was used before")
	})
}

// A consumer that hung is in the class of the slow until it answers.
func TestWhoAnswersAgainIsNotSlow(t *testing.T) {
	p := newPlay(t)
	for n, outcome := range []outcome{timedOut, cutShort, unreachable, cutShort, failed, delivered} {
		p.answer = fails(outcome)
		p.add(heartbeat.Revision(11+n), "A +")
		posts := len(p.posts)
		for len(p.posts) == posts {
			p.until(p.now + 100*time.Millisecond)
		}
		want := prompt
		if outcome == timedOut || outcome == cutShort {
			want = slow
		}
		require.Equal(t, want, p.q.class(), outcome.String())
	}
}

// All events of a group must have expired: not only the first, and not only the last.
func TestAGroupIsGivenUpByAllOfIt(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A S")
	p.until(0)
	p.answer = fails(unreachable)
	p.add(12, "B S")
	p.listed(13, "C S", int64(23*time.Hour), 0)
	p.until(giveUpAfter - 1)
	require.Equal(t, "12 13", p.posts[1].events)
	require.Zero(t, p.lost[stageGivenUp])
	p.until(giveUpAfter)
	require.EqualValues(t, 2, p.lost[stageGivenUp])
}

// A new list replaces what was seen, but nothing that came after it.
func TestAListThatIsReadAgainLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		id := a.subscribe(t, "app", here)
		s.commit("x", "S")
		synctest.Wait()
		require.Len(t, to.of(here), 1)
		s.mu.Lock()
		all, at := s.events, s.at
		s.mu.Unlock()
		a.mu.Lock()
		a.addSubscription(&plugins.Subscription{ID: "new", Owner: "app", At: at + 1}) // made here after the list was read
		a.mu.Unlock()
		a.Load(all, at)
		_, err := a.Subscription(t.Context(), "app", "new")
		require.NoError(t, err)
		_, err = a.Subscription(t.Context(), "app", id) // erased elsewhere before it
		require.ErrorIs(t, err, server.ErrNoSubscription)
		time.Sleep(time.Minute)
		require.Len(t, to.of(here), 1)
	})
}

// What a restored store does not know never happened; what is sent then is not older
// than its cursor, though its revisions were used before.
func TestARestoredStoreIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		a.subscribe(t, "app", here)
		s.commit("x", "S")
		time.Sleep(time.Second)
		s.mu.Lock()
		at, cursor, backup := s.at, s.cursors[a.only()], s.events
		s.mu.Unlock()
		late := a.subscribe(t, "app", here+"late")
		for range 10 {
			s.commit("x", "A")
		}
		time.Sleep(time.Second)
		n := len(to.of(here))
		require.Greater(t, n, 1)

		s.mu.Lock()
		delete(s.subs, late)
		delete(s.cursors, late)
		s.at, s.cursors[a.only()], s.events = at, cursor, backup
		all := append([]plugins.OutboxWrite{{Kind: plugins.SubscriptionWritten, Name: a.only(), At: s.subs[a.only()].At, Subscription: s.subs[a.only()]}}, backup...)
		s.mu.Unlock()
		a.Load(all, at)
		_, err := a.Subscription(t.Context(), "app", late)
		require.ErrorIs(t, err, server.ErrNoSubscription)
		time.Sleep(time.Second)
		require.Len(t, to.of(here), n)
		s.commit("y", "S")
		time.Sleep(time.Second)
		require.Len(t, to.of(here), n+1, "an event at a revision that was used before")
	})
}
