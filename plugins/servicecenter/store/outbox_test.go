package store

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func subscribed(t *testing.T, id string) *plugins.Subscription {
	t.Helper()
	return subscribedTo(t, id, &mp1.FilteringCriteria{SerNames: []string{"n"}, States: []mp1.State{mp1.Suspended}})
}

func subscribedTo(t *testing.T, id string, asked *mp1.FilteringCriteria) *plugins.Subscription {
	t.Helper()
	s := &plugins.Subscription{ID: id, Owner: "app", Prefix: "/mep", Since: 7, Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: "http://h",
		FilteringCriteria: asked}}
	at, err := store.Subscribe(t.Context(), s)
	require.NoError(t, err)
	s.At = at
	t.Cleanup(func() { _ = store.Unsubscribe(context.Background(), mp1.SubscriptionType, id) })
	return s
}

func TestASubscriptionBeginsWhereItWasMade(t *testing.T) {
	ctx := t.Context()
	s := subscribed(t, "sub-begin")
	read, err := store.Subscription(ctx, mp1.SubscriptionType, s.ID)
	require.NoError(t, err)
	require.Equal(t, s, read)
	_, err = store.Subscribe(ctx, s)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	c, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	require.Equal(t, plugins.Cursor{After: s.At, At: s.At}, c)

	none, err := store.Subscription(ctx, mp1.SubscriptionType, "sub-none")
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = store.Cursor(ctx, "sub-none")
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	err = store.Unsubscribe(ctx, mp1.SubscriptionType, "sub-none")
	require.ErrorIs(t, err, heartbeat.ErrConflict)
}

// All cursors are read at once, or none if there are too many; one that cannot be read harms no other.
func TestAllCursorsAreReadAtOnce(t *testing.T) {
	ctx := t.Context()
	a, b := subscribed(t, "sub-all-a"), subscribed(t, "sub-all-b")
	_, err := store.client.Put(ctx, keys.CursorPrefix+"garbage", "{")
	require.NoError(t, err)
	all, err := store.Cursors(ctx, 1000)
	require.NoError(t, err)
	for _, id := range []string{a.ID, b.ID} {
		one, err := store.Cursor(ctx, id)
		require.NoError(t, err)
		require.Equal(t, one, all[id])
	}
	require.NotContains(t, all, "garbage")
	few, err := store.Cursors(ctx, 2)
	require.NoError(t, err)
	require.Nil(t, few)
	_, err = store.client.Delete(ctx, keys.CursorPrefix+"garbage")
	require.NoError(t, err)
}

func TestACursorIsMovedByWhoKnowsWhereItIs(t *testing.T) {
	ctx := t.Context()
	s := subscribed(t, "sub-move")
	c, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	to := plugins.Cursor{After: c.After + 5, Group: []heartbeat.Revision{c.After + 6, c.After + 9}, Newest: c.After + 20, At: c.At}
	at, err := store.MoveCursor(ctx, s.ID, to)
	require.NoError(t, err)
	_, err = store.MoveCursor(ctx, s.ID, to)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "from where it was before")
	to.At = at
	is, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	require.Equal(t, to, is)
	err = store.Unsubscribe(ctx, mp1.SubscriptionType, s.ID)
	require.NoError(t, err)
	_, err = store.MoveCursor(ctx, s.ID, to)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "a cursor is not made by moving it")
}

// A connection of the consumer takes the lock from whoever has it; what only takes it back does
// so where nobody has taken it meanwhile.
func TestALockIsTakenForAConnection(t *testing.T) {
	ctx := t.Context()
	s := subscribed(t, "sub-taken")
	mine, err := store.Grant(ctx, storetest.LongLease)
	require.NoError(t, err)
	other, err := store.Grant(ctx, storetest.LongLease)
	require.NoError(t, err)
	_, err = store.TakeLock(ctx, "sub-none", mine, 0)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "nothing to lock")
	first, err := store.TakeLock(ctx, s.ID, mine, 0)
	require.NoError(t, err, "nobody has it")
	second, err := store.TakeLock(ctx, s.ID, other, 0)
	require.NoError(t, err)
	require.Greater(t, second, first)
	require.ErrorIs(t, store.Unlock(ctx, s.ID, mine), heartbeat.ErrConflict, "it is not on that lease any more")
	_, err = store.TakeLock(ctx, s.ID, mine, first)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	third, err := store.TakeLock(ctx, s.ID, mine, second)
	require.NoError(t, err)
	require.NoError(t, store.Revoke(ctx, other))
	is, err := store.Locked(ctx, s.ID)
	require.NoError(t, err)
	require.True(t, is, "it does not end with the lease on which it was")
	require.NoError(t, store.Unlock(ctx, s.ID, mine))
	_, err = store.TakeLock(ctx, s.ID, other, third)
	require.Error(t, err)
}

func TestALockIsHeldByOneLease(t *testing.T) {
	ctx := t.Context()
	s := subscribed(t, "sub-lock")
	mine, err := store.Grant(ctx, storetest.LongLease)
	require.NoError(t, err)
	other, err := store.Grant(ctx, storetest.LongLease)
	require.NoError(t, err)
	_, err = store.Lock(ctx, "sub-none", mine, false)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "nothing to lock")
	_, err = store.Lock(ctx, s.ID, mine, false)
	require.NoError(t, err)
	_, err = store.Lock(ctx, s.ID, other, false)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	require.ErrorIs(t, store.Unlock(ctx, s.ID, other), heartbeat.ErrConflict)
	locked := func() bool {
		is, err := store.Locked(ctx, s.ID)
		require.NoError(t, err)
		return is
	}
	require.True(t, locked())
	require.NoError(t, store.Unlock(ctx, s.ID, mine))
	require.False(t, locked())
	_, err = store.Lock(ctx, s.ID, other, false)
	require.NoError(t, err)
	require.NoError(t, store.Unsubscribe(ctx, mp1.SubscriptionType, s.ID))
	require.True(t, locked(), "whoever holds it may still send")
	require.NoError(t, store.Revoke(ctx, other))
	require.False(t, locked(), "a lock ends with its lease")
}

// reader notes what it is shown.
type reader struct {
	mu     sync.Mutex
	loaded int
	all    []plugins.OutboxWrite
}

func (r *reader) Load(all []plugins.OutboxWrite, _ heartbeat.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded++
	r.all = append(r.all, all...)
}

func (r *reader) See(writes []plugins.OutboxWrite, _ heartbeat.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, writes...)
}

// shown are the writes of some names, in order, without those shown twice.
func (r *reader) shown(names ...string) (out []plugins.OutboxWrite) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.all {
		for _, name := range names {
			if w.Name == name && (len(out) == 0 || out[len(out)-1].At < w.At) {
				out = append(out, w)
			}
		}
	}
	return out
}

func TestTheOutboxIsShownInTheOrderOfCommits(t *testing.T) {
	s := subscribed(t, "sub-follow")
	b, _ := storetest.Register(t, store, "outbox-b") // its key may sort before or behind the next one
	a, _ := storetest.Register(t, store, "outbox-a")
	_, err := store.client.Put(t.Context(), keys.OutboxPrefix+"garbage", "{")
	require.NoError(t, err)
	_, err = store.client.Put(t.Context(), keys.SubPrefix+"garbage", "{")
	require.NoError(t, err)
	r := &reader{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		store.FollowOutbox(ctx, r, func(string, error) {})
		close(done)
	}()
	require.Eventually(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.loaded == 1 }, 30*time.Second, time.Millisecond)
	c, _ := storetest.Register(t, store, "outbox-c")
	l, err := store.Grant(t.Context(), storetest.LongLease)
	require.NoError(t, err)
	lockedAt, err := store.Lock(t.Context(), s.ID, l, false)
	require.NoError(t, err)
	err = store.Unsubscribe(t.Context(), mp1.SubscriptionType, s.ID)
	require.NoError(t, err)
	events := []string{keys.Event(b.ID, 1), keys.Event(a.ID, 1), keys.Event(c.ID, 1)}
	require.Eventually(t, func() bool { return len(r.shown(s.ID)) == 3 && len(r.shown(events...)) == 3 }, 30*time.Second, time.Millisecond)
	cancel()
	<-done
	for i, w := range r.shown(events...) {
		require.Equal(t, events[i], w.Name)
		require.Equal(t, plugins.EventWritten, w.Kind)
		require.Equal(t, w.At, w.Event.At)
		require.Equal(t, heartbeat.Added, w.Event.Change)
		require.Equal(t, heartbeat.Active, w.Event.State)
		require.JSONEq(t, storetest.Attributes, w.Event.Attributes)
	}
	of := r.shown(s.ID)
	require.Equal(t, plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: s.ID, At: s.At, Subscription: s}, of[0])
	require.Equal(t, plugins.OutboxWrite{Kind: plugins.LockWritten, Name: s.ID, At: lockedAt, Lease: l}, of[1])
	require.True(t, of[2].Gone)
	require.Empty(t, r.shown("garbage"))
	unread := r.shown(keys.OutboxPrefix + "garbage")
	require.Len(t, unread, 1, "an event that cannot be read is shown, so that it is counted and said")
	require.Nil(t, unread[0].Event)
	_, err = store.client.Delete(t.Context(), keys.SubPrefix+"garbage")
	require.NoError(t, err)
}

// A state that the reader of the outbox does not know makes its events undeliverable, and
// nobody is told of them.
func TestEveryStateAndChangeOfTheEngineCanBeDelivered(t *testing.T) {
	id := heartbeat.ID("0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210")
	for _, state := range heartbeat.States {
		for _, change := range heartbeat.Changes {
			op, err := eventOp(&heartbeat.Txn{Change: change, Record: heartbeat.Record{ID: id, Seq: 7, Owner: "app", State: state, ChangedAt: 8, Attributes: "{}"}})
			require.NoError(t, err)
			got, ok := decodeEvent(&mvccpb.KeyValue{Key: op.KeyBytes(), Value: op.ValueBytes(), CreateRevision: 9})
			require.True(t, ok, "%s %s", state, change)
			require.Equal(t, [2]any{state.Shown(), change}, [2]any{got.State, got.Change})
		}
	}
	for _, e := range []event{{State: heartbeat.State(len(heartbeat.States))}, {Change: heartbeat.Change(len(heartbeat.Changes))}} {
		e.Schema, e.ID, e.Seq = heartbeat.Schema, id, 7
		value, err := json.Marshal(e)
		require.NoError(t, err)
		_, ok := decodeEvent(&mvccpb.KeyValue{Key: []byte(keys.Event(id, 7)), Value: value})
		require.False(t, ok, "of a later release: %s", value)
	}
}

// A subscription is waited for only where it asked to be told: its cursor stays where it
// was made, and holds nothing back.
func TestAnEventThatNobodyAskedForIsErasedInTime(t *testing.T) {
	ctx := t.Context()
	info := storetest.Info(t)
	subscribedTo(t, "sub-state", &mp1.FilteringCriteria{States: []mp1.State{mp1.Suspended}})
	subscribedTo(t, "sub-name", &mp1.FilteringCriteria{SerNames: []string{"of another service"}})
	later := &mp1.FilteringCriteria{SerNames: []string{info.SerName}}
	r, _ := storetest.Register(t, store, "outbox-nobody")
	subscribedTo(t, "sub-later", later)
	asked, _ := storetest.Register(t, store, "outbox-asked")
	has := func(r heartbeat.Record) bool {
		got, err := store.client.Get(ctx, keys.Event(r.ID, 1), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count == 1
	}
	store.ages = plugins.Ages{}
	tidy := func(now plugins.Instant) { require.NoError(t, store.Tidy(ctx, now, r.ChangedAt, 24*time.Hour)) }
	tidy(1)
	tidy(plugins.OutboxAge)
	require.True(t, has(r), "not before its minute")
	tidy(1 + plugins.OutboxAge)
	require.False(t, has(r), "three cursors are before it, and none of them waits for it")
	tidy(1 + 100*24*time.Hour)
	require.True(t, has(asked), "somebody waits for this one")
}

// Another reason is an event that no consumer is told: no subscription waits for it, it takes the
// place of none, and it is kept as long as the event stream needs it.
func TestNoConsumerIsToldOfAnotherReason(t *testing.T) {
	ctx := t.Context()
	s := subscribedTo(t, "sub-reasons", nil)
	r, at := storetest.Register(t, store, "outbox-reason")
	put := func(seq uint64, c heartbeat.Change) heartbeat.Revision {
		op, err := eventOp(&heartbeat.Txn{Change: c, Was: heartbeat.Inactive, Record: heartbeat.Record{Schema: heartbeat.Schema, ID: r.ID, Seq: seq, Owner: r.Owner, State: heartbeat.DrainedInactive,
			ChangedAt: r.ChangedAt, CausedAt: r.ChangedAt + 7, Attributes: storetest.Attributes}})
		require.NoError(t, err)
		res, err := store.client.Txn(ctx).Then(op).Commit()
		require.NoError(t, err)
		return heartbeat.Revision(res.Header.Revision)
	}
	changed := put(2, heartbeat.StateChanged)
	reason := put(3, heartbeat.CauseChanged)
	var r2 reader
	_, err := store.loadOutbox(ctx, &r2)
	require.NoError(t, err)
	require.Len(t, r2.shown(keys.Event(r.ID, 2)), 1)
	require.Empty(t, r2.shown(keys.Event(r.ID, 3)), "of nothing that is to be sent, and of nothing that cannot be read")
	h, err := store.loadHistory(ctx)
	require.NoError(t, err)
	last := h.Events[len(h.Events)-1]
	require.Equal(t, [4]any{reason, heartbeat.CauseChanged, heartbeat.Inactive, r.ChangedAt + 7}, [4]any{last.At, last.Change, last.From, last.Made})

	has := func(seq uint64) bool {
		got, err := store.client.Get(ctx, keys.Event(r.ID, seq), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count == 1
	}
	c, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	_, err = store.MoveCursor(ctx, s.ID, plugins.Cursor{After: at, Newest: reason, At: c.At})
	require.NoError(t, err)
	store.ages = plugins.Ages{}
	tidy := func(now plugins.Instant) { require.NoError(t, store.Tidy(ctx, now, r.ChangedAt+7, 24*time.Hour)) }
	tidy(1)
	tidy(plugins.OutboxAge)
	require.True(t, has(3), "not before its minute")
	tidy(1 + plugins.OutboxAge)
	require.Equal(t, [2]bool{true, false}, [2]bool{has(2), has(3)}, "the change is still the newest that is to be told, at %d", changed)
}

// A consumer for whom too much was kept is told of the newest event of each instance,
// and of what was attempted; the others are erased.
func TestWhatACursorLeavesOutIsErased(t *testing.T) {
	ctx := t.Context()
	s := subscribedTo(t, "sub-newest", nil)
	r, at := storetest.Register(t, store, "outbox-newest")
	ats := []heartbeat.Revision{at}
	for seq := uint64(2); seq <= 5; seq++ {
		op, err := eventOp(&heartbeat.Txn{Change: heartbeat.StateChanged, Record: heartbeat.Record{Schema: heartbeat.Schema, ID: r.ID, Seq: seq, Owner: r.Owner, ChangedAt: r.ChangedAt, Attributes: storetest.Attributes}})
		require.NoError(t, err)
		res, err := store.client.Txn(ctx).Then(op).Commit()
		require.NoError(t, err)
		ats = append(ats, heartbeat.Revision(res.Header.Revision))
	}
	left := func() (seqs []uint64) {
		for seq := uint64(1); seq <= 5; seq++ {
			got, err := store.client.Get(ctx, keys.Event(r.ID, seq), clientv3.WithCountOnly())
			require.NoError(t, err)
			if got.Count == 1 {
				seqs = append(seqs, seq)
			}
		}
		return seqs
	}
	c, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	_, err = store.MoveCursor(ctx, s.ID, plugins.Cursor{After: c.After, Group: ats[:1], Newest: ats[3], At: c.At})
	require.NoError(t, err)
	store.ages = plugins.Ages{}
	for _, now := range []plugins.Instant{1, 1 + plugins.OutboxAge} {
		require.NoError(t, store.Tidy(ctx, now, r.ChangedAt, time.Hour))
	}
	require.Equal(t, []uint64{1, 4, 5}, left(), "the group, the newest up to there, and what came later")
}

// What a subscription asked that cannot be read, nobody knows: nothing behind its cursor
// is erased before it would be given up.
func TestASubscriptionThatCannotBeReadLosesNothing(t *testing.T) {
	ctx := t.Context()
	before, _ := storetest.Register(t, store, "outbox-unread")
	s := subscribed(t, "sub-unread")
	_, err := store.client.Put(ctx, keys.SubPrefix+s.ID, "{")
	require.NoError(t, err)
	behind, _ := storetest.Register(t, store, "outbox-unread")
	has := func(r heartbeat.Record) bool {
		got, err := store.client.Get(ctx, keys.Event(r.ID, 1), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count == 1
	}
	store.ages = plugins.Ages{}
	tidy := func(now plugins.Instant) {
		require.NoError(t, store.Tidy(ctx, now, behind.ChangedAt, 24*time.Hour))
	}
	tidy(1)
	said := len(logged.String())
	tidy(1 + plugins.OutboxAge)
	require.False(t, has(before))
	require.True(t, has(behind))
	require.Contains(t, logged.String()[said:], "a subscription cannot be read")
	tidy(1 + 24*time.Hour + plugins.OutboxAge)
	require.False(t, has(behind), "nor is it kept for ever")
}

func TestAnEventIsKeptUntilEveryCursorHasPassedIt(t *testing.T) {
	ctx := t.Context()
	asked := &mp1.FilteringCriteria{States: []mp1.State{mp1.Active}}
	s, gone := subscribedTo(t, "sub-keep", asked), subscribedTo(t, "sub-gone", asked)
	one, _ := storetest.Register(t, store, "outbox-keep")
	two, at := storetest.Register(t, store, "outbox-keep")
	left := func() (n int) {
		for _, r := range []heartbeat.Record{one, two} {
			got, err := store.client.Get(ctx, keys.Event(r.ID, 1))
			require.NoError(t, err)
			n += len(got.Kvs)
		}
		return n
	}
	move := func(id string, to plugins.Cursor) {
		c, err := store.Cursor(ctx, id)
		require.NoError(t, err)
		to.At = c.At
		_, err = store.MoveCursor(ctx, id, to)
		require.NoError(t, err)
	}
	const giveUp = 24 * time.Hour
	wall := one.ChangedAt
	tidy := func(now plugins.Instant) { require.NoError(t, store.Tidy(ctx, now, wall, giveUp)) }
	store.ages = plugins.Ages{}
	tidy(1)
	tidy(1 + plugins.OutboxAge)
	require.Equal(t, 2, left())
	move(s.ID, plugins.Cursor{After: at - 1})
	tidy(1 + plugins.OutboxAge)
	require.Equal(t, 2, left(), "another subscription waits for it")
	move(gone.ID, plugins.Cursor{After: gone.At, Gone: true})
	tidy(plugins.OutboxAge)
	require.Equal(t, 2, left(), "passed, and not known for long enough")
	for _, step := range []time.Duration{-24 * time.Hour, 25 * time.Hour, 6 * 365 * 24 * time.Hour, -6 * 365 * 24 * time.Hour} {
		wall = one.ChangedAt + int64(step)
		tidy(plugins.OutboxAge)
		require.Equal(t, 2, left(), "whatever the wall clock says: %s", step)
	}
	tidy(1 + plugins.OutboxAge)
	require.Equal(t, 1, left(), "one that is gone keeps nothing")
	for _, step := range []time.Duration{25 * time.Hour, 6 * 365 * 24 * time.Hour} {
		wall = one.ChangedAt + int64(step)
		tidy(1 + 100*giveUp)
		require.Equal(t, 1, left(), "what somebody waits for does not go for its age")
	}
	store.ages = plugins.Ages{}
	tidy(1)
	tidy(1 + 100*giveUp)
	require.Equal(t, 1, left(), "nor by an eraser that lists it first when it seems old")
	move(s.ID, plugins.Cursor{After: at})
	tidy(1 + 100*giveUp)
	require.Zero(t, left())

	more, at := storetest.Register(t, store, "outbox-keep")
	move(s.ID, plugins.Cursor{After: at})
	for _, bad := range []string{"bad\n1", "bad2"} {
		_, err := store.client.Put(ctx, keys.CursorPrefix+bad, "{")
		require.NoError(t, err)
		defer func() { _, _ = store.client.Delete(context.Background(), keys.CursorPrefix+bad) }()
	}
	wall, store.ages = more.ChangedAt, plugins.Ages{}
	tidy(1)
	before := len(logged.String())
	wall += int64(6 * 365 * 24 * time.Hour)
	tidy(time.Hour)
	got, err := store.client.Get(ctx, keys.Event(more.ID, 1))
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1, "nothing is lost to a cursor that nobody can read")
	said := logged.String()[before:]
	require.Equal(t, 1, strings.Count(said, "cursor"), "once per tidying: %s", said)
	require.Contains(t, said, `"unreadable":2`)
	require.Contains(t, said, keys.CursorPrefix+"bad")
	require.NotContains(t, said, "bad\n")
	tidy(1 + giveUp + plugins.OutboxAge)
	got, err = store.client.Get(ctx, keys.Event(more.ID, 1))
	require.NoError(t, err)
	require.Empty(t, got.Kvs, "nor is it kept for ever")
	_, err = store.Cursor(ctx, "bad2")
	require.ErrorIs(t, err, heartbeat.ErrUnusable)
}
