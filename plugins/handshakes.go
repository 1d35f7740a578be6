package plugins

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// longestPace is how long a handshake may wait until it is due. The rest of headerTimeout is for
// its turn and for the client.
const longestPace = headerTimeout - time.Second

// handshakes bounds how many TLS handshakes are computed at a time, and how many a second of one
// peer. A handshake costs as much as a hundred heartbeats, and one of a resumed session nearly
// as much: a flood of them would take all processors. Peers take turns, so that one with
// thousands of handshakes waits for itself. It is safe for concurrent use.
type handshakes struct {
	clock         func() (Instant, int64)
	held, refused prometheus.Counter

	mu      sync.Mutex
	paces   paces
	free    int
	waiting map[string][]chan struct{} // by peer, the longest first
	peers   []string                   // those that wait, in the order of their turns
}

// errBusy ends a handshake that had no turn in the time of a handshake.
var errBusy = errors.New("too many handshakes are under way")

// newHandshakes leaves half of the processors to requests. perSecond is for one peer; 0: any
// number.
func newHandshakes(perSecond int) *handshakes {
	return &handshakes{clock: NewClock(), paces: newPaces(perSecond), free: max(1, runtime.GOMAXPROCS(0)/2), waiting: map[string][]chan struct{}{},
		held: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_tls_handshakes_held_total",
			Help: "Handshakes computed later because their address has more than limits.handshakesPerSecond."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_tls_handshakes_refused_total",
			Help: "Connections closed because their handshake had no turn in time."})}
}

// take waits until a handshake is due and has its turn, until ctx ends.
func (h *handshakes) take(ctx context.Context, peer string) error {
	err := h.pace(ctx, peer)
	if err == nil {
		err = h.queue(ctx, peer)
	}
	if err != nil {
		h.refused.Inc()
	}
	return err
}

// pace waits until a handshake of a peer is due. One that would have to wait for too long is not
// refused at once, or its client would be back at once.
func (h *handshakes) pace(ctx context.Context, peer string) error {
	now, _ := h.clock()
	h.mu.Lock()
	wait, ok := h.paces.reserve(peer, now, longestPace)
	h.mu.Unlock()
	if ok && wait == 0 {
		return nil
	}
	h.held.Inc()
	if !ok {
		<-ctx.Done()
		return errBusy
	}
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-due.C:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

// queue waits for a turn.
func (h *handshakes) queue(ctx context.Context, peer string) error {
	h.mu.Lock()
	if h.free > 0 {
		h.free--
		h.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	if len(h.waiting[peer]) == 0 {
		h.peers = append(h.peers, peer)
	}
	h.waiting[peer] = append(h.waiting[peer], turn)
	h.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	at := slices.Index(h.waiting[peer], turn)
	if at >= 0 {
		h.set(peer, slices.Delete(h.waiting[peer], at, at+1))
	}
	h.mu.Unlock()
	if at < 0 { // the turn came at the same moment
		h.release()
	}
	return errBusy
}

// set replaces the queue of a peer; h.mu is held.
func (h *handshakes) set(peer string, queue []chan struct{}) {
	if len(queue) > 0 {
		h.waiting[peer] = queue
		return
	}
	delete(h.waiting, peer)
	h.peers = slices.DeleteFunc(h.peers, func(p string) bool { return p == peer })
}

// release gives a turn on to the next peer.
func (h *handshakes) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.peers) == 0 {
		h.free++
		return
	}
	peer := h.peers[0]
	h.peers = append(h.peers[1:], peer) // set takes it out if nothing else of it waits
	queue := h.waiting[peer]
	close(queue[0])
	h.set(peer, queue[1:])
}

// waits is how many wait.
func (h *handshakes) waits() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, queue := range h.waiting {
		n += len(queue)
	}
	return n
}

// tlsConnection is a connection below TLS. A handshake holds its turn from the client's first
// message until it waits for the client again: a client that says no more holds nothing.
type tlsConnection struct {
	*connection
	handshakes *handshakes
	hasTurn    atomic.Bool
}

// takeTurn waits for the handshake's turn.
func (c *tlsConnection) takeTurn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	if err := c.handshakes.take(ctx, c.peer); err != nil {
		return err
	}
	c.hasTurn.Store(true)
	if c.isClosed() { // it made room meanwhile; nothing is computed for it
		c.endTurn()
		return net.ErrClosed
	}
	return nil
}

func (c *tlsConnection) endTurn() {
	if c.hasTurn.CompareAndSwap(true, false) {
		c.handshakes.release()
	}
}

// Read implements net.Conn.
func (c *tlsConnection) Read(p []byte) (int, error) {
	c.endTurn()
	return c.connection.Read(p)
}

// Close implements net.Conn.
func (c *tlsConnection) Close() error {
	c.endTurn()
	return c.connection.Close()
}

// trackedOf is the connection below a server's; nil: it is none of ours.
func trackedOf(conn net.Conn) *connection {
	if plain, ok := conn.(*connection); ok {
		return plain
	}
	over, ok := conn.(interface{ NetConn() net.Conn })
	if !ok {
		return nil
	}
	if under, ok := over.NetConn().(*tlsConnection); ok {
		return under.connection
	}
	return nil
}
