package notify

import (
	"context"
	"net"
	"sync"

	"github.com/mec-liveness/mepserver/plugins/certs"
)

// connections are those that one POST opens. http.Transport goes on dialling for a request
// that was cancelled, and closes connections in the background: the process would run out of
// file descriptors, for a permit stands for those of one POST and is passed on when it ends.
// So every connection is closed with its POST.
type connections struct {
	ctx context.Context // of the POST

	mu    sync.Mutex
	all   []net.Conn
	ended bool
}

type connectionsKey struct{}

// tracked is dial, but a connection for a POST ends with that POST.
func tracked(dial certs.DialFunc) certs.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, ok := ctx.Value(connectionsKey{}).(*connections)
		if !ok {
			return dial(ctx, network, address)
		}
		conn, err := dial(c.ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended {
			_ = conn.Close()
			return nil, context.Canceled
		}
		c.all = append(c.all, conn)
		return conn, nil
	}
}

// close closes all connections, and those that are still dialled as soon as they are open.
// It may be called more than once.
func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, conn := range c.all {
		_ = conn.Close()
	}
}

// askDNS dials a name server; the connection is closed when ctx ends.
func askDNS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, err
}
