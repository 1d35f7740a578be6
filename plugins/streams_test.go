package plugins

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/pki"
)

// hanging is a server whose "/wait" hangs until the test or its client ends.
func hanging(t *testing.T, most int) *secured {
	t.Helper()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return newSecured(t, most, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// hang sends requests over one connection that hang until the test ends.
func (s *secured) hang(n int) *http.Client {
	s.t.Helper()
	c := s.client()
	s.get(c, "/") // opens the one connection
	ctx, cancel := context.WithCancel(s.t.Context())
	var all sync.WaitGroup
	s.t.Cleanup(func() { cancel(); all.Wait() })
	before := s.under()
	for range n {
		all.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.addr+"/wait", http.NoBody)
			assert.NoError(s.t, err)
			if res, err := c.Do(r); err == nil {
				_ = res.Body.Close()
			}
		})
	}
	require.Eventually(s.t, func() bool { return s.under() == before+n }, time.Minute, time.Millisecond)
	return c
}

// under is how many requests are under way.
func (s *secured) under() (n int) {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	for c := range s.conns.all {
		n += int(c.requests.Load())
	}
	return n
}

// What one peer may not do by many connections it may not do by many requests of one: there
// is room for a heartbeat whatever hangs.
func TestRequestsOfOneConnectionCountAsConnections(t *testing.T) {
	const most = 20
	s := hanging(t, most)
	s.hang(most)
	require.EqualValues(t, most-1, s.conns.streams.Load())
	status, _ := s.tryGet(s.client())
	require.Zero(t, status, "at first nobody is thrown out")
	s.conns.clock.Add(int64(busySilence / tick))
	for range 3 * most {
		status, err := s.tryGet(s.client())
		require.NoError(t, err)
		require.Equal(t, 204, status)
		require.LessOrEqual(t, s.conns.open.Load()+s.conns.streams.Load(), int64(most))
	}
	require.Eventually(t, func() bool { return s.conns.streams.Load() == 0 }, time.Minute, time.Millisecond, "what was closed counts no more")
}

// A request for which there is no room is told so.
func TestARequestForWhichThereIsNoRoomIsRefused(t *testing.T) {
	const most = 10
	s := hanging(t, most)
	full := s.hang(most)
	status, res := s.get(full, "/")
	require.Equal(t, 503, status)
	require.Equal(t, "1", res.Get("Retry-After"))
	require.EqualValues(t, most-1, s.conns.streams.Load(), "what was refused counts nothing")
}

func (s *secured) tryGet(c *http.Client) (int, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://"+s.addr+"/", http.NoBody)
	require.NoError(s.t, err)
	res, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer c.CloseIdleConnections()
	return res.StatusCode, res.Body.Close()
}

// More than mostStreams of one connection are not begun; the client is told before it asks.
func TestOneConnectionHasABoundOfRequests(t *testing.T) {
	s := hanging(t, 0)
	c := s.client()
	s.get(c, "/")
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for range 3 * mostStreams {
		all.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.addr+"/wait", strings.NewReader("x"))
			assert.NoError(t, err)
			if res, err := c.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	require.Eventually(t, func() bool { return s.under() == 3*mostStreams }, time.Minute, time.Millisecond)
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	require.GreaterOrEqual(t, len(s.conns.all), 3)
	for one := range s.conns.all {
		require.LessOrEqual(t, one.requests.Load(), int64(mostStreams))
	}
}

// However they end and close, nothing is counted twice or left over.
func TestStreamsAreCountedExactly(t *testing.T) {
	c := newConnections(nil, 0, nil)
	one := c.track(fakeConn{from: "10.0.0.1"})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for range 100 {
				if one.begin() {
					one.end()
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, c.streams.Load())
	for range 5 {
		require.True(t, one.begin())
	}
	require.EqualValues(t, 4, c.streams.Load())
	require.Equal(t, 5, one.weight())
	require.NoError(t, one.Close())
	require.Zero(t, c.streams.Load())
	for range 5 {
		one.end()
	}
	require.True(t, one.isClosed())
	require.True(t, one.begin(), "its context has ended; nobody counts it")
	one.end()
	require.Zero(t, c.streams.Load())
}

// A connection of HTTP/2 may be idle as long as one of HTTP/1.1, and no longer; before its
// first request it has the time of a header.
func TestAnIdleConnectionOfHTTP2Ends(t *testing.T) {
	ca := pki.New(t)
	pair := ca.Server("127.0.0.1")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(pair.TLS.Leaf.NotBefore) + time.Minute) // the bubble's clock begins in 2000
		s, err := newTLSServer(conf.Config{Server: conf.Server{TLS: conf.TLS{CertFile: pair.CertFile, KeyFile: pair.KeyFile}}}, time.Now, func(string, error) {})
		require.NoError(t, err)
		l := pipes{make(chan net.Conn)}
		conns := newConnections(l, 0, s.turns())
		srv := newServer(&Host{}, countStreams(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
		srv.TLSConfig, srv.HTTP2, srv.ConnContext, srv.ConnState, srv.ErrorLog = s.config(), http2(), inContext, conns.state, log.New(io.Discard, "", 0)
		go func() { _ = s.serve(srv, conns) }()
		defer func() { _ = srv.Close() }()
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			return ours, nil
		}
		transport := &http.Transport{ForceAttemptHTTP2: true, DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: ca.Pool, MinVersion: tls.VersionTLS12}}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1/", http.NoBody)
		require.NoError(t, err)
		res, err := (&http.Client{Transport: transport}).Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 2, res.ProtoMajor)
		time.Sleep(idleTimeout(0) - time.Second)
		require.EqualValues(t, 1, conns.open.Load())
		time.Sleep(5 * time.Second)
		require.Zero(t, conns.open.Load())

		silent, err := dial(t.Context(), "", "")
		require.NoError(t, err)
		defer func() { _ = silent.Close() }()
		time.Sleep(headerTimeout - time.Second)
		require.EqualValues(t, 1, conns.open.Load())
		go func() { _, _ = io.Copy(io.Discard, silent) }()
		time.Sleep(2 * time.Second)
		require.Zero(t, conns.open.Load())
	})
}
