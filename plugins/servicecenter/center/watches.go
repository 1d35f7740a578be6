package center

import (
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/datasource"
	"github.com/go-chassis/cari/discovery"
)

// service-center opens a watch before it asks the store for the service, and asks for it again every
// 30 s; if the store does not answer it writes that the service does not exist. A listwatch begins without
// what could not be read. So a watch is opened once the store has answered, and ends when it does not.

// isWatch says whether a route is that of a watch.
func isWatch(pattern string) bool {
	return strings.HasSuffix(pattern, "/watcher") || strings.HasSuffix(pattern, "/listwatcher")
}

// watchable says whether the store answers what a watch asks first.
func watchable(r *http.Request) bool {
	ctx, asked := withReads(r.Context())
	_, err := datasource.Instance().ExistServiceByID(ctx, &discovery.GetExistenceByIDRequest{ServiceId: r.URL.Query().Get(":serviceId")})
	return err == nil && !asked.failed.Load()
}

// watchConn is the connection of a watch.
type watchConn struct {
	net.Conn
	mu    sync.Mutex
	ended bool
}

// Write implements net.Conn.
func (c *watchConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

const (
	tryAgainLater  = 1013 // a status of IANA's WebSocket Close Code Number Registry
	endingReason   = "the platform's store does not answer"
	endingDeadline = time.Second
)

// end closes the watch because the store did not answer; its client opens it again.
func (c *watchConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	closing := []byte{0x88, 2 + byte(len(endingReason))} // RFC 6455 §5.5.1: one unmasked frame
	closing = append(binary.BigEndian.AppendUint16(closing, tryAgainLater), endingReason...)
	_ = c.SetWriteDeadline(time.Now().Add(endingDeadline))
	_, _ = c.Conn.Write(closing)
	_ = c.Close()
}
