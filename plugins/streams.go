package plugins

import (
	"context"
	"math"
	"net"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// One connection of HTTP/2 carries many requests. What the limit of connections keeps one
// peer from, to hang in any number of requests, must hold for them too: each request but the
// first of its connection counts as one more connection.

const (
	// mostStreams is how many requests of one connection may be under way; RFC 9113 §6.5.2
	// recommends no fewer than 100. Each may hold maxHeader.
	mostStreams = 100
	// What a connection may send of bodies that nobody reads yet, and of one body: the
	// largest of Mp1 is 64 KiB. By default it would be a megabyte.
	connectionWindow = 128 << 10
	streamWindow     = 64 << 10
	// frameSize is the smallest that RFC 9113 §4.2 allows; each connection has a buffer of it.
	frameSize = 16 << 10
	// closedStreams is added to the requests of a connection that is closed.
	closedStreams = math.MinInt64 / 2
)

// http2 are the limits of one connection. A client that reads nothing for stall is let go:
// by itself net/http would wait for ever.
func http2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: mostStreams, MaxReadFrameSize: frameSize, WriteByteTimeout: stall,
		MaxReceiveBufferPerConnection: connectionWindow, MaxReceiveBufferPerStream: streamWindow,
	}
}

type connectionKey struct{}

// inContext is the server's http.Server.ConnContext where there is TLS.
func inContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, trackedOf(conn))
}

// connectionOf is the connection of a request; nil: there is no TLS.
func connectionOf(r *http.Request) *connection {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	return c
}

// countStreams is next for as many requests as there may be connections.
func countStreams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		c := connectionOf(r)
		if !c.begin() {
			server.Refuse(w, http.StatusServiceUnavailable, "The platform has as many requests under way as it may; try again in a second.", 1)
			return
		}
		defer c.end()
		next.ServeHTTP(w, r)
	})
}

// begin counts a request, or says that there is no room.
func (c *connection) begin() bool {
	l := c.listener
	if n := c.requests.Add(1); n <= 1 {
		return true // the connection itself counts for it; of one that is closed nobody counts
	}
	l.streams.Add(1)
	if !l.full(0) || l.evict() {
		return true
	}
	l.closed.WithLabelValues(closedRefused).Inc()
	c.end()
	return false
}

// end is called once for each begin.
func (c *connection) end() {
	if n := c.requests.Add(-1); n >= 1 {
		c.listener.streams.Add(-1)
	}
}

// endStreams gives back at once what the requests of a connection count that is closed; they
// end a little later.
func (c *connection) endStreams() {
	if n := c.requests.Swap(closedStreams); n > 1 {
		c.listener.streams.Add(1 - n)
	}
}

// weight is what the connection counts.
func (c *connection) weight() int { return int(max(1, c.requests.Load())) }

func (c *connection) isClosed() bool { return c.requests.Load() < 0 }
