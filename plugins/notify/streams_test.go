package notify

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// line is a consumer's connection in a test.
type line struct {
	name   string
	to     *subscribers // that record what comes through it
	mu     sync.Mutex
	answer func(ctx context.Context) result // nil: delivered
	code   websocket.StatusCode             // with which it was closed; 0: it is open
	reason string
}

func (l *line) send(ctx context.Context, d delivery) result {
	l.to.mu.Lock()
	l.to.got = append(l.to.got, sent{"", d.id, time.Now(), l.name, d.body})
	l.to.mu.Unlock()
	l.mu.Lock()
	answer := l.answer
	l.mu.Unlock()
	if answer == nil {
		return result{}
	}
	return answer(ctx)
}

func (l *line) close(code websocket.StatusCode, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.code == 0 {
		l.code, l.reason = code, reason
	}
}

func (l *line) closed() websocket.StatusCode {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.code
}

// connect opens a connection, as Connect does.
func (r *replica) connect(id string, l *line) error {
	en, err := r.beginConnect(id)
	if err != nil {
		return err
	}
	defer r.endConnect(en)
	at, err := r.claim(context.Background(), id, en)
	if err != nil {
		return err
	}
	return r.registry.connect(id, en, l, at)
}

// listen makes a subscription whose consumer connects.
func (r *replica) listen(t *testing.T, app string) string {
	t.Helper()
	s, err := r.Subscribe(t.Context(), app, "", mp1.Subscription{SubscriptionType: mp1.SubscriptionType, WebsockNotifConfig: &mp1.WebsockNotifConfig{RequestWebsocketURI: true}})
	require.NoError(t, err)
	synctest.Wait()
	return s.ID
}

func (s *subscribers) ids() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.got {
		out = append(out, g.id)
	}
	return out
}

// Whatever replica has the lock, it is the one that the consumer connects to that sends, at
// once, and what waited comes first.
func TestTheReplicaThatTheConsumerConnectsToSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		id := a.listen(t, "app")
		time.Sleep(5 * time.Second) // one of them has the lock
		s.commit("x", "S")
		s.commit("x", "A")
		time.Sleep(time.Hour)
		require.Zero(t, to.all())
		for n, r := range []*replica{a, b, a, b, b} {
			l := &line{name: fmt.Sprint("connection", n), to: to}
			require.NoError(t, r.connect(id, l))
			time.Sleep(3 * time.Second)
			require.Zero(t, l.closed())
			if n == 0 {
				require.Equal(t, 2, to.all())
			}
			began := to.all()
			s.commit("x", "S")
			synctest.Wait()
			require.Equal(t, began+1, to.all(), "connection %d", n)
			require.Equal(t, l.name, to.got[began].by)
			r.disconnect(id, l)
		}
		require.Len(t, unique(to.ids()), to.all(), "nothing came twice")
	})
}

func unique(ids []string) map[string]bool {
	out := map[string]bool{}
	for _, id := range ids {
		out[id] = true
	}
	return out
}

// The newer of two connections of one subscription is the one that counts, at one replica and
// at two, and the older is told so.
func TestANewerConnectionTakesThePlaceOfTheOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		id := a.listen(t, "app")
		var before *line
		for n, r := range []*replica{a, a, b, a, b, b} {
			l := &line{name: fmt.Sprint("connection", n), to: to}
			require.NoError(t, r.connect(id, l))
			time.Sleep(5 * time.Second)
			require.Zero(t, l.closed(), "connection %d", n)
			if before != nil {
				require.EqualValues(t, mp1.CloseReplaced, before.closed(), "connection %d", n)
			}
			s.commit("x", "S")
			synctest.Wait()
			require.Equal(t, n+1, to.all())
			require.Equal(t, l.name, to.got[n].by)
			before = l
		}
	})
}

// A replica that loses its lease for a while, and with it the lock to one that the consumer is
// not connected to, goes on sending through the connection that it has.
func TestAConnectionOutlivesALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		id := a.listen(t, "app")
		l := &line{name: "it", to: to}
		require.NoError(t, a.connect(id, l))
		time.Sleep(5 * time.Second)
		a.link.setCut(true)
		time.Sleep(20 * time.Second)
		require.Len(t, b.workers(), 1, "somebody sees to what the store retains")
		a.link.setCut(false)
		s.commit("x", "S")
		time.Sleep(20 * time.Second)
		require.Zero(t, l.closed())
		require.Equal(t, 1, to.all())
	})
}

// What was sent but not acknowledged comes again with the same id, first, and all that came
// behind it in order.
func TestWhatWasNotAcknowledgedComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		a := newReplica(t, s, to, "a", true)
		id := a.listen(t, "app")
		broken := &line{name: "broken", to: to, answer: func(context.Context) result { return result{outcome: disconnected} }}
		require.NoError(t, a.connect(id, broken))
		for _, what := range []string{"S", "A", "S", "A", "S", "A"} {
			s.commit("x", what)
			time.Sleep(time.Second)
		}
		a.disconnect(id, broken)
		require.Equal(t, 1, to.all())
		whole := &line{name: "whole", to: to}
		require.NoError(t, a.connect(id, whole))
		time.Sleep(10 * time.Second)
		require.Equal(t, 3, to.all())
		ids := to.ids()
		require.Equal(t, ids[0], ids[1])
		require.Equal(t, to.got[0].body, to.got[1].body)
		require.Equal(t, 5, strings.Count(string(to.got[2].body), `"changeType"`))
	})
}

// A consumer that hangs holds up nobody else, whether the others have connections or callbacks:
// it needs no permit of theirs.
func TestAConnectionThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		a := newReplica(t, s, to, "a", true)
		a.permits = newSemaphore(3)
		for i := range 100 {
			id := a.listen(t, fmt.Sprint("app", i))
			require.NoError(t, a.connect(id, &line{name: "hangs", to: &subscribers{}, answer: func(ctx context.Context) result { <-ctx.Done(); return result{outcome: disconnected} }}))
		}
		id := a.listen(t, "app")
		require.NoError(t, a.connect(id, &line{name: "answers", to: to}))
		a.subscribe(t, "app", here)
		synctest.Wait()
		at := time.Now()
		s.commit("x", "S")
		synctest.Wait()
		require.Equal(t, 2, to.all())
		for _, got := range to.got {
			require.Equal(t, at, got.at)
		}
	})
}

// A connection ends with its subscription and with the server, and none is taken then.
func TestAConnectionEndsWithItsSubscriptionAndTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{}
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		one, other := a.listen(t, "app"), a.listen(t, "app")
		time.Sleep(3 * time.Second)
		first, second := &line{to: to}, &line{to: to, answer: func(ctx context.Context) result { <-ctx.Done(); return result{outcome: disconnected} }}
		require.NoError(t, a.connect(one, first))
		require.NoError(t, a.connect(other, second))
		time.Sleep(3 * time.Second)
		require.NoError(t, b.Unsubscribe(t.Context(), "app", one))
		time.Sleep(time.Second)
		require.EqualValues(t, mp1.CloseSubscriptionGone, first.closed())
		require.ErrorIs(t, a.connect(one, &line{to: to}), server.ErrNoSubscription)
		s.commit("x", "S") // the second hangs in it
		synctest.Wait()
		began := time.Now()
		a.stop()
		require.LessOrEqual(t, time.Since(began), 2*time.Second, "the server waits for two")
		require.Equal(t, websocket.StatusGoingAway, second.closed())
		require.Error(t, a.connect(other, &line{to: to}))
	})
}
