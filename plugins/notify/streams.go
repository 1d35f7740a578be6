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
	"github.com/mec-liveness/mepserver/plugins"
)

// The consumer of a subscription that is told through a WebSocket connects to one replica,
// which then needs the subscription's lock. Until then any replica has it, for somebody must
// see to what the store retains. So the replica takes the lock from whoever has it.
//
// Taking the lock is also what orders connections. It is taken once for each, before the
// consumer hears that the connection is open: one that it opens after that, wherever, has the
// later lock. A replica that sees a later lock of a connection closes what it has itself. If it
// opens two at once, either may have the later one.

// Connect implements server.Subscriptions.
func (r *registry) Connect(w http.ResponseWriter, req *http.Request, app, id string) error {
	if _, err := r.Subscription(req.Context(), app, id); err != nil {
		return err
	}
	en, err := r.beginConnect(id)
	if err != nil {
		return err
	}
	defer r.endConnect(en)
	var at heartbeat.Revision
	s, err := openWebSocket(w, req, r.origins, r.timeout, func() (err error) {
		at, err = r.claim(req.Context(), id, en)
		return err
	})
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case err != nil:
		return err
	}
	switch err := r.connect(id, en, s, at); {
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

// beginConnect says that a connection is being opened here, until endConnect.
func (d *dispatcher) beginConnect(id string) (*entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	en := d.entries[id]
	switch {
	case d.closed:
		return nil, heartbeat.ErrUnavailable
	case en == nil:
		return nil, server.ErrNoSubscription
	}
	en.connecting++
	return en, nil
}

// endConnect says that a connection was opened here, or could not be.
func (d *dispatcher) endConnect(en *entry) {
	d.mu.Lock()
	en.connecting--
	d.mu.Unlock()
	d.lease.wakeUp()
}

// claim takes the lock for a connection that is being opened. It returns the lock's revision,
// by which connections are ordered; without locks it is their number.
func (d *dispatcher) claim(ctx context.Context, id string, en *entry) (heartbeat.Revision, error) {
	if d.alone {
		d.mu.Lock()
		defer d.mu.Unlock()
		en.claimed++
		return en.claimed, nil
	}
	on := d.lease.id()
	if on == 0 {
		return 0, heartbeat.ErrUnavailable
	}
	at, err := d.store.TakeLock(ctx, id, on, 0)
	switch {
	case errors.Is(err, heartbeat.ErrConflict):
		return 0, server.ErrNoSubscription
	case err != nil:
		return 0, heartbeat.ErrUnavailable
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[id] != en {
		go d.unlock(id)
		return 0, server.ErrNoSubscription
	}
	// Another replica may have had the lock in between and moved the cursor: a worker that has
	// not seen that would send once more what the consumer has, behind what is newer.
	d.stopWorker(id, en)
	d.locked(en, on, at)
	return at, nil
}

// connect takes in a stream whose lock was taken at a revision, in place of the one before,
// unless there is a newer one already.
func (d *dispatcher) connect(id string, en *entry, s stream, at heartbeat.Revision) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return heartbeat.ErrUnavailable
	case d.entries[id] != en:
		return server.ErrNoSubscription
	case at < en.newest:
		go s.close(mp1.CloseReplaced, "a newer connection took its place")
		return nil
	}
	d.endStream(en, mp1.CloseReplaced, "a newer connection took its place")
	en.stream, en.newest, en.tryAt = s, at, 0
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

// takesBack says whether this replica takes the lock from the one that has it. It is not that
// of a connection, or the stream here would have been closed: this replica lost its lease for a
// while. d.mu is held.
func (d *dispatcher) takesBack(en *entry) bool { return en.stream != nil && !d.hasLock(en) }

// lockTaken takes in that another replica has taken the lock, perhaps from this one, and
// perhaps for a connection, which is newer than the one here; d.mu is held.
func (d *dispatcher) lockTaken(en *entry, w *plugins.OutboxWrite) {
	d.stopWorker(w.Name, en)
	if w.Connected {
		en.newest = w.At
		d.endStream(en, mp1.CloseReplaced, "a newer connection to another replica took its place")
	}
	d.lease.wakeUp()
}

// takeLock locks a subscription on a lease, unless this replica has its lock.
func (d *dispatcher) takeLock(ctx context.Context, id string, en *entry, on heartbeat.LeaseID) (at heartbeat.Revision, err error) {
	d.mu.Lock()
	has, takesBack, from, connected := d.hasLock(en), en.held && d.takesBack(en), en.lockAt, en.stream != nil
	d.mu.Unlock()
	switch {
	case has:
		return from, nil
	case takesBack:
		at, err = d.store.TakeLock(ctx, id, on, from)
	default:
		at, err = d.store.Lock(ctx, id, on, connected)
	}
	if err != nil {
		return 0, err
	}
	d.mu.Lock()
	d.locked(en, on, at)
	d.mu.Unlock()
	return at, nil
}
