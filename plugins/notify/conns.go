package notify

import (
	"context"
	"net"
	"sync"
)

// connections are those that one POST opens. When it ends none may be left, for its permit
// is given to another one, and permits stand for file descriptors. http.Transport by itself
// goes on dialling for a request that was cut off, and closes in the background.
type connections struct {
	of context.Context // of the POST

	mu    sync.Mutex
	all   []net.Conn
	ended bool
}

type connectionsKey struct{}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// opened dials for the POST that the context is of, and for no longer than that.
func tracked(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, of := ctx.Value(connectionsKey{}).(*connections)
		if !of {
			return dial(ctx, network, address)
		}
		conn, err := dial(c.of, network, address)
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

// close may be called more than once.
func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, conn := range c.all {
		_ = conn.Close()
	}
}

// askDNS dials a name server, for as long as somebody waits for the answer.
func askDNS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, err
}
