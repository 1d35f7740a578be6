package notify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeStore is a linearizable store with leases on the bubble's clock. The real one needs
// files and cannot live in a bubble; test/e2e and test/external run it.
type fakeStore struct {
	mu           sync.Mutex
	at           heartbeat.Revision
	lease        heartbeat.LeaseID
	ends         map[heartbeat.LeaseID]*time.Timer
	events       []plugins.OutboxWrite
	subs         map[string]*plugins.Subscription
	cursors      map[string]plugins.Cursor
	locks        map[string]plugins.OutboxWrite
	links        []*link
	cursorWrites int                  // cursors written
	cursorReads  int                  // how often all were read
	locksWritten int                  // by all replicas
	size         int                  // of an event
	clockOff     int64                // by how much the clock is set of whoever makes an event
	createdAt    map[string]time.Time // when events happened
}

func newFakeStore() *fakeStore {
	return &fakeStore{ends: map[heartbeat.LeaseID]*time.Timer{}, subs: map[string]*plugins.Subscription{}, cursors: map[string]plugins.Cursor{}, locks: map[string]plugins.OutboxWrite{}, createdAt: map[string]time.Time{}}
}

// broadcast sends a write to all watches; mu is held.
func (s *fakeStore) broadcast(w plugins.OutboxWrite) {
	s.at++
	w.At = s.at
	for _, l := range s.links {
		l.watch <- w
	}
}

// cursorsWritten is how many cursors were written.
func (s *fakeStore) cursorsWritten() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursorWrites
}

// cursorsRead is how often all were read.
func (s *fakeStore) cursorsRead() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursorReads
}

func (s *fakeStore) commit(name, kind string) { s.commitFor(name, name, kind) }

// commitFor commits an event of an instance of a name.
func (s *fakeStore) commitFor(name, instance, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := event(s.at+1, name+" "+kind, 0)
	e := &plugins.Event{At: s.at + 1, ID: heartbeat.ID(instance), Size: s.size, Owner: "producer", State: heartbeat.Active, Change: heartbeat.StateChanged,
		Made: time.Now().UnixNano() + s.clockOff, Attributes: fmt.Sprintf(`{"serName":%q}`, name)}
	switch {
	case m.terminate != nil:
		e.ID, e.Owner, e.Termination = "", name, m.terminate
	case m.info.State == mp1.Suspended:
		e.State = heartbeat.Suspended
	}
	w := plugins.OutboxWrite{Kind: plugins.EventWritten, Name: fmt.Sprint("event", s.at+1), At: s.at + 1, Event: e}
	s.events, s.createdAt[w.Name] = append(s.events, w), time.Now()
	s.broadcast(w)
}

func (l *link) FollowOutbox(ctx context.Context, r plugins.OutboxReader, _ func(string, error)) {
	l.mu.Lock()
	for len(l.watch) > 0 {
		<-l.watch
	}
	all := slices.Clone(l.events)
	for id, s := range l.subs {
		all = append(all, plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: id, At: s.At, Subscription: s})
	}
	all = slices.AppendSeq(all, maps.Values(l.locks))
	at := l.at
	l.mu.Unlock()
	r.Load(all, at)
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-l.watch:
			for l.call() != nil && ctx.Err() == nil {
			}
			r.See([]plugins.OutboxWrite{w}, w.At)
		}
	}
}

func (l *link) Subscribe(_ context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	if err := l.call(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := *s
	c.At = l.at + 1
	l.subs[s.ID] = &c
	l.cursors[s.ID] = plugins.Cursor{After: c.At, At: c.At}
	l.broadcast(plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: s.ID, Subscription: &c})
	return c.At, nil
}

func (l *link) Subscription(_ context.Context, subscriptionType, id string) (*plugins.Subscription, error) {
	if err := l.call(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(subscriptionType, id), nil
}

// of is a subscription of a type; mu is held.
func (l *link) of(subscriptionType, id string) *plugins.Subscription {
	s := l.subs[id]
	if s == nil || s.Asked.OfTermination() != (subscriptionType == mp1.TerminationSubscriptionType) {
		return nil
	}
	return s
}

func (l *link) Unsubscribe(_ context.Context, subscriptionType, id string) error {
	if err := l.call(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of(subscriptionType, id) == nil {
		return heartbeat.ErrConflict
	}
	delete(l.subs, id)
	delete(l.cursors, id)
	l.broadcast(plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: id, Gone: true})
	return nil
}

func (l *link) Cursors(_ context.Context, most int) (map[string]plugins.Cursor, error) {
	if err := l.call(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cursorReads++; len(l.cursors) > most {
		return nil, nil //nolint:nilnil // as plugins.Outbox has it
	}
	return maps.Clone(l.cursors), nil
}

func (l *link) Cursor(_ context.Context, id string) (plugins.Cursor, error) {
	if err := l.call(); err != nil {
		return plugins.Cursor{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.cursors[id]
	if !ok {
		return c, heartbeat.ErrConflict
	}
	return c, nil
}

func (l *link) MoveCursor(_ context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error) {
	if err := l.call(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if is, ok := l.cursors[id]; !ok || is.At != c.At {
		return 0, heartbeat.ErrConflict
	}
	l.at++
	l.cursorWrites++
	c.At = l.at
	l.cursors[id] = c
	return c.At, nil
}

func (l *link) Lock(_ context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error) {
	if err := l.call(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.locks[id]; taken || l.subs[id] == nil || l.ends[on] == nil {
		return 0, heartbeat.ErrConflict
	}
	w := plugins.OutboxWrite{Kind: plugins.LockWritten, Name: id, Lease: on, At: l.at + 1, Connected: connected}
	l.locks[id] = w
	l.locksWritten++
	l.broadcast(w)
	return w.At, nil
}

func (l *link) TakeLock(_ context.Context, id string, on heartbeat.LeaseID, from heartbeat.Revision) (heartbeat.Revision, error) {
	if err := l.call(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.subs[id] == nil || l.ends[on] == nil || from != 0 && l.locks[id].At != from {
		return 0, heartbeat.ErrConflict
	}
	w := plugins.OutboxWrite{Kind: plugins.LockWritten, Name: id, Lease: on, At: l.at + 1, Connected: true}
	l.locks[id] = w
	l.locksWritten++
	l.broadcast(w)
	return w.At, nil
}

func (l *link) Unlock(_ context.Context, id string, on heartbeat.LeaseID) error {
	if err := l.call(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks[id].Lease == on {
		l.unlock(id)
	}
	return nil
}

func (s *fakeStore) unlock(id string) {
	delete(s.locks, id)
	s.broadcast(plugins.OutboxWrite{Kind: plugins.LockWritten, Name: id, Gone: true})
}

func (l *link) Locked(_ context.Context, id string) (bool, error) {
	if err := l.call(); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.locks[id]
	return ok, nil
}

func (l *link) Grant(_ context.Context, seconds int) (heartbeat.LeaseID, error) {
	if err := l.call(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lease++
	id := l.lease
	l.ends[id] = time.AfterFunc(time.Duration(seconds)*time.Second, func() { _ = l.endLease(id) })
	return id, nil
}

func (s *fakeStore) endLease(id heartbeat.LeaseID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, id)
	for name, w := range s.locks {
		if w.Lease == id {
			s.unlock(name)
		}
	}
	return nil
}

func (l *link) Renew(_ context.Context, id heartbeat.LeaseID) (int, error) {
	if err := l.call(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends[id] == nil {
		return 0, heartbeat.ErrLeaseGone
	}
	l.ends[id].Reset(leaseSeconds * time.Second)
	return leaseSeconds, nil
}

func (l *link) Revoke(_ context.Context, id heartbeat.LeaseID) error {
	if err := l.call(); err != nil {
		return err
	}
	return l.endLease(id)
}
