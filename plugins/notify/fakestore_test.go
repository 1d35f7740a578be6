package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// shelf is a linearizable store with leases on the bubble's clock. The real one needs
// files and cannot live in a bubble; test/e2e and test/external run it.
type fakeStore struct {
	mu      sync.Mutex
	at      heartbeat.Revision
	lease   heartbeat.LeaseID
	ends    map[heartbeat.LeaseID]*time.Timer
	events  []plugins.OutboxWrite
	subs    map[string]*plugins.Subscription
	cursors map[string]plugins.Cursor
	locks   map[string]plugins.OutboxWrite
	links   []*link
	moves   int                  // cursors written
	size    int                  // of an event
	stamp   int64                // by how much the clock is set of whoever makes an event
	born    map[string]time.Time // when events happened
}

func newFakeStore() *fakeStore {
	return &fakeStore{ends: map[heartbeat.LeaseID]*time.Timer{}, subs: map[string]*plugins.Subscription{}, cursors: map[string]plugins.Cursor{}, locks: map[string]plugins.OutboxWrite{}, born: map[string]time.Time{}}
}

// link is one replica's way to the shelf.
type link struct {
	*fakeStore
	wire chan plugins.OutboxWrite
	cut  sync.RWMutex // held for writing: no call comes through and nothing is shown
	off  bool
}

func (s *fakeStore) link() *link {
	l := &link{fakeStore: s, wire: make(chan plugins.OutboxWrite, 100000)}
	s.mu.Lock()
	s.links = append(s.links, l)
	s.mu.Unlock()
	return l
}

var errCut = errors.New("no answer")

// reach is the beginning of every call.
func (l *link) reach() error {
	l.cut.RLock()
	off := l.off
	l.cut.RUnlock()
	if off {
		time.Sleep(2 * time.Second)
		return errCut
	}
	return nil
}

func (l *link) sever(off bool) {
	l.cut.Lock()
	l.off = off
	l.cut.Unlock()
}

// show tells everybody; mu is held.
func (s *fakeStore) show(w plugins.OutboxWrite) {
	s.at++
	w.At = s.at
	for _, l := range s.links {
		l.wire <- w
	}
}

// written is how many cursors were.
func (s *fakeStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moves
}

func (s *fakeStore) happen(name, kind string) { s.happenTo(name, name, kind) }

// happenTo has something happen to an instance of a name.
func (s *fakeStore) happenTo(name, instance, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := event(s.at+1, name+" "+kind, 0)
	e := &plugins.Event{At: s.at + 1, ID: heartbeat.ID(instance), Size: s.size, Owner: "producer", State: heartbeat.Active, Change: heartbeat.StateChanged,
		Made: time.Now().UnixNano() + s.stamp, Attributes: fmt.Sprintf(`{"serName":%q}`, name)}
	if m.info.State == mp1.Suspended {
		e.State = heartbeat.Suspended
	}
	w := plugins.OutboxWrite{Kind: plugins.EventWritten, Name: fmt.Sprint("event", s.at+1), At: s.at + 1, Event: e}
	s.events, s.born[w.Name] = append(s.events, w), time.Now()
	s.show(w)
}

func (l *link) FollowOutbox(ctx context.Context, r plugins.OutboxReader, _ func(string, error)) {
	l.mu.Lock()
	for len(l.wire) > 0 {
		<-l.wire
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
		case w := <-l.wire:
			for l.reach() != nil && ctx.Err() == nil {
			}
			r.See([]plugins.OutboxWrite{w}, w.At)
		}
	}
}

func (l *link) Subscribe(_ context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	if err := l.reach(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := *s
	c.At = l.at + 1
	l.subs[s.ID] = &c
	l.cursors[s.ID] = plugins.Cursor{After: c.At, At: c.At}
	l.show(plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: s.ID, Subscription: &c})
	return c.At, nil
}

func (l *link) Subscription(_ context.Context, id string) (*plugins.Subscription, error) {
	if err := l.reach(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subs[id], nil
}

func (l *link) Unsubscribe(_ context.Context, id string) error {
	if err := l.reach(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.subs[id] == nil {
		return heartbeat.ErrConflict
	}
	delete(l.subs, id)
	delete(l.cursors, id)
	l.show(plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: id, Gone: true})
	return nil
}

func (l *link) Cursor(_ context.Context, id string) (plugins.Cursor, error) {
	if err := l.reach(); err != nil {
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
	if err := l.reach(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if is, ok := l.cursors[id]; !ok || is.At != c.At {
		return 0, heartbeat.ErrConflict
	}
	l.at++
	l.moves++
	c.At = l.at
	l.cursors[id] = c
	return c.At, nil
}

func (l *link) Lock(_ context.Context, id string, on heartbeat.LeaseID) (heartbeat.Revision, error) {
	if err := l.reach(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.locks[id]; taken || l.subs[id] == nil || l.ends[on] == nil {
		return 0, heartbeat.ErrConflict
	}
	w := plugins.OutboxWrite{Kind: plugins.LockWritten, Name: id, Lease: on, At: l.at + 1}
	l.locks[id] = w
	l.show(w)
	return w.At, nil
}

func (l *link) Unlock(_ context.Context, id string, on heartbeat.LeaseID) error {
	if err := l.reach(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks[id].Lease == on {
		l.release(id)
	}
	return nil
}

func (s *fakeStore) release(id string) {
	delete(s.locks, id)
	s.show(plugins.OutboxWrite{Kind: plugins.LockWritten, Name: id, Gone: true})
}

func (l *link) Locked(_ context.Context, id string) (bool, error) {
	if err := l.reach(); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.locks[id]
	return ok, nil
}

func (l *link) Grant(_ context.Context, seconds int) (heartbeat.LeaseID, error) {
	if err := l.reach(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lease++
	id := l.lease
	l.ends[id] = time.AfterFunc(time.Duration(seconds)*time.Second, func() { _ = l.end(id) })
	return id, nil
}

func (s *fakeStore) end(id heartbeat.LeaseID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, id)
	for name, w := range s.locks {
		if w.Lease == id {
			s.release(name)
		}
	}
	return nil
}

func (l *link) Renew(_ context.Context, id heartbeat.LeaseID) (int, error) {
	if err := l.reach(); err != nil {
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
	if err := l.reach(); err != nil {
		return err
	}
	return l.end(id)
}

// subscribers answer all deliveries in a test, and note them.
type subscribers struct {
	mu     sync.Mutex
	got    []sent
	answer func(ctx context.Context, url string) result // nil: delivered
	flying atomic.Int64                                 // POSTs under way
}

type sent struct {
	url, id string
	at      time.Time
	by      string
	body    []byte
}

// as is the subscribers as one replica reaches them.
type as struct {
	*subscribers
	name string
}

func (s as) post(ctx context.Context, d delivery, _ int64) result {
	s.flying.Add(1)
	defer s.flying.Add(-1)
	s.mu.Lock()
	s.got = append(s.got, sent{d.url, d.id, time.Now(), s.name, d.body})
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return result{}
	}
	return answer(ctx, d.url)
}

func (s *subscribers) of(url string) (out []sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.got {
		if g.url == url {
			out = append(out, g)
		}
	}
	return out
}

// all is how many POSTs there were.
func (s *subscribers) all() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

type unobserved struct{}

func (unobserved) attempt(*plugins.Subscription, result, int, bool) {}
func (unobserved) lost(*plugins.Subscription, stage, int64)         {}
func (unobserved) unreadable(int, string)                           {}

// replica runs a dispatcher over the shelf until stop.
type replica struct {
	*registry
	link *link
	stop func()
}

func newReplica(t *testing.T, s *fakeStore, to *subscribers, name string, alone bool) *replica {
	l := s.link()
	return start(t, l, l, to, name, alone)
}

// start has a replica use l in a way of its own.
func start(t *testing.T, by store, l *link, to *subscribers, name string, alone bool) *replica {
	return run(t, newDispatcher(by, as{to, name}, plugins.NewClock(), giveUpAfter, alone, unobserved{}), l)
}

func run(t *testing.T, d *dispatcher, l *link) *replica {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.run(ctx) })
	running.Go(func() { l.FollowOutbox(ctx, d, nil) })
	r := &replica{registry: newRegistry(d, policy{loopback: true}, 200), link: l, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(r.stop)
	synctest.Wait()
	return r
}

func (r *replica) subscribe(t *testing.T, app, url string) string {
	t.Helper()
	return r.subscribeTo(t, app, url, nil)
}

func (r *replica) subscribeTo(t *testing.T, app, url string, asked *mp1.FilteringCriteria) string {
	t.Helper()
	s, err := r.Subscribe(t.Context(), app, "", mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: url, FilteringCriteria: asked})
	require.NoError(t, err)
	return s.ID
}
