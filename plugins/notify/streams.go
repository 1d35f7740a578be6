package notify

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// The consumer of a subscription that is told through a WebSocket connects to one replica,
// which then needs the subscription's lock. Until then any replica has it, for somebody must
// see to what the store retains. So the replica takes the lock from whoever has it; a replica
// from which it is taken closes the WebSocket that it may have itself.

// Connect implements server.Subscriptions.
func (r *registry) Connect(w http.ResponseWriter, req *http.Request, app, id string) error {
	if _, err := r.Subscription(req.Context(), app, id); err != nil {
		return err
	}
	if r.isClosed() {
		return heartbeat.ErrUnavailable
	}
	s, err := openWebSocket(w, req, r.origins, r.timeout)
	if err != nil {
		return nil //nolint:nilerr // the library has answered it
	}
	switch err := r.connect(id, s); {
	case errors.Is(err, server.ErrNoSubscription):
		s.close(mp1.CloseSubscriptionGone, "the subscription was deleted")
	case err != nil:
		s.close(websocket.StatusGoingAway, "the server stops")
	default:
		go func() {
			s.run()
			r.disconnect(id, s)
		}()
	}
	return nil
}

// connect takes in a stream, in place of the one before.
func (d *dispatcher) connect(id string, s stream) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	en := d.entries[id]
	switch {
	case d.closed:
		return heartbeat.ErrUnavailable
	case en == nil:
		return server.ErrNoSubscription
	}
	d.endStream(en, mp1.CloseReplaced, "a newer connection took its place")
	en.stream, en.served, en.tryAt = s, en.worker != nil, 0
	if en.worker != nil {
		en.worker.connect(s)
	}
	d.lease.wakeUp()
	return nil
}

// disconnect forgets a stream that has ended.
func (d *dispatcher) disconnect(id string, s stream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if en := d.entries[id]; en != nil && en.stream == s {
		d.endStream(en, websocket.StatusGoingAway, "")
	}
}

// endStream closes the stream of an entry in the background; d.mu is held.
func (d *dispatcher) endStream(en *entry, code websocket.StatusCode, reason string) {
	if en.stream == nil {
		return
	}
	go en.stream.close(code, reason)
	en.stream = nil
	if en.worker != nil {
		en.worker.connect(nil)
	}
}

// closeStreams closes all streams because the server stops, in bounded time.
func (d *dispatcher) closeStreams() {
	var all sync.WaitGroup
	d.mu.Lock()
	for _, en := range d.entries {
		if s := en.stream; s != nil {
			all.Go(func() { s.close(websocket.StatusGoingAway, "the server stops") })
			en.stream = nil
		}
	}
	d.mu.Unlock()
	closed := make(chan struct{})
	go func() { all.Wait(); close(closed) }()
	t := time.NewTimer(closeWait)
	defer t.Stop()
	select {
	case <-closed:
	case <-t.C:
	}
}

func (d *dispatcher) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// streams is how many are open.
func (d *dispatcher) streams() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, en := range d.entries {
		if en.stream != nil {
			n++
		}
	}
	return n
}

// takesOver says whether this replica takes the lock from the one that has it; d.mu is held.
func (d *dispatcher) takesOver(en *entry) bool {
	return en.stream != nil && !en.served && en.lease != d.lease.id()
}

// lockTaken is called when the watch shows that another replica has locked a subscription;
// d.mu is held. If it did so because the consumer connected there, a stream that was served
// here is the older one. If not, this replica only lost its lock for a while.
func (d *dispatcher) lockTaken(en *entry, connected bool) {
	switch {
	case en.stream == nil || !en.served:
	case connected:
		d.endStream(en, mp1.CloseReplaced, "a newer connection to another replica took its place")
	default:
		en.served = false
		d.lease.wakeUp()
	}
}

// takeLock locks a subscription on a lease. The lock of another replica is erased first if the
// consumer is connected here.
func (d *dispatcher) takeLock(ctx context.Context, id string, en *entry, on heartbeat.LeaseID) (heartbeat.Revision, error) {
	d.mu.Lock()
	takesOver, of, connected := en.held && d.takesOver(en), en.lease, en.stream != nil
	d.mu.Unlock()
	if takesOver {
		if err := d.store.Unlock(ctx, id, of); err != nil && !errors.Is(err, heartbeat.ErrConflict) {
			return 0, err
		}
	}
	return d.store.Lock(ctx, id, on, connected)
}
