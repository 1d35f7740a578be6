package notify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// link is one replica's connection to the fake store.
type link struct {
	*fakeStore
	watch chan plugins.OutboxWrite
	cut   sync.RWMutex // held for writing: no call comes through and nothing is shown
	off   bool
	delay func() // of every call and of what is shown; nil: there is none
}

func (s *fakeStore) link() *link {
	l := &link{fakeStore: s, watch: make(chan plugins.OutboxWrite, 100000)}
	s.mu.Lock()
	s.links = append(s.links, l)
	s.mu.Unlock()
	return l
}

var errCut = errors.New("no answer")

// call is the beginning of every call.
func (l *link) call() error {
	if l.delay != nil {
		l.delay()
	}
	l.cut.RLock()
	off := l.off
	l.cut.RUnlock()
	if off {
		time.Sleep(2 * time.Second)
		return errCut
	}
	return nil
}

func (l *link) setCut(off bool) {
	l.cut.Lock()
	l.off = off
	l.cut.Unlock()
}

// subscribers answer all deliveries in a test, and record them.
type subscribers struct {
	mu       sync.Mutex
	got      []sent
	answer   func(ctx context.Context, url string) result // nil: delivered
	inFlight atomic.Int64                                 // POSTs under way
}

type sent struct {
	url, id string
	at      time.Time
	by      string
	body    []byte
}

// fromReplica is the subscribers as one replica reaches them.
type fromReplica struct {
	*subscribers
	name string
}

func (s fromReplica) post(ctx context.Context, d delivery, _ int64) result {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
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

type noObserver struct{}

func (noObserver) attempt(*plugins.Subscription, result, int, bool) {}
func (noObserver) lost(*plugins.Subscription, stage, int64)         {}
func (noObserver) unreadable(int, string)                           {}
func (noObserver) tested(*plugins.Subscription, result)             {}
func (noObserver) putOff()                                          {}

// replica runs a dispatcher over the fake store until stop.
type replica struct {
	*registry
	link *link
	stop func()
}

func newReplica(t *testing.T, s *fakeStore, to *subscribers, name string, alone bool) *replica {
	l := s.link()
	return newReplicaOver(t, l, l, to, name, alone)
}

// newReplicaOver has a replica use l in a way of its own.
func newReplicaOver(t *testing.T, by store, l *link, to *subscribers, name string, alone bool) *replica {
	return runReplica(t, newDispatcher(by, fromReplica{to, name}, plugins.NewClock(), giveUpAfter, alone, noObserver{}), l)
}

func runReplica(t *testing.T, d *dispatcher, l *link) *replica {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.run(ctx) })
	running.Go(func() { l.FollowOutbox(ctx, d, nil) })
	r := &replica{registry: newRegistry(d, mp1.SubscriptionType, policy{loopback: true}, 200), link: l, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
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
