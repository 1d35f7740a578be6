package security

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/mec-liveness/mepserver/test/mep"
)

// As TestHeartbeatsGetInWhateverIsOpen, for what can be left open where there is TLS: no
// handshake, half of one, none after it, idle and hanging requests of HTTP/2.
func TestHeartbeatsGetInWhateverIsOpenOverTLS(t *testing.T) {
	s := mep.Options{Binary: mep.Limited(t, "ulimit -n 256")}.Secure(t)
	credential := s.Add("app")
	app := s.As(credential)
	service := app.Register("app", "name", 60)
	other := s.Add("flood")
	hangs := s.As(other).Register("flood", "name", 60)
	token := s.Token(other)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handshake := func(protocol string) net.Conn {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", s.Listen, &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS12, NextProtos: []string{protocol}})
		if err != nil {
			return nil // it was turned away
		}
		return conn
	}
	for i := range 500 {
		var c net.Conn
		switch i % 5 {
		case 0, 1:
			tcp, err := net.Dial("tcp", s.Listen)
			require.NoError(t, err)
			c = tcp
			if i%5 == 1 {
				_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3})
			}
		case 2:
			if c = handshake("http/1.1"); c != nil {
				_, _ = io.WriteString(c, "PATCH "+service.Liveness+" HTTP/1.1\r\nHost: h\r\nX-Slow: ")
				go drip(ctx, c)
			}
		case 3:
			c = handshake("h2")
		case 4:
			client := s.HTTPClient()
			for range 10 { // each hangs for the ten seconds of a body
				go func() {
					body, hold := io.Pipe()
					defer func() { _ = hold.Close() }()
					r, err := http.NewRequestWithContext(ctx, http.MethodPatch, s.URL+hangs.Liveness, body)
					if err == nil {
						r.Header.Set("Content-Type", "application/json")
						r.Header.Set("Authorization", "Bearer "+token)
						if res, err := client.Do(r); err == nil {
							_ = res.Body.Close()
						}
					}
				}()
			}
		}
		if c != nil {
			defer func() { _ = c.Close() }()
		}
	}
	time.Sleep(3500 * time.Millisecond) // from then on those that hang make room, too
	bearer := "Bearer " + s.Token(credential)
	for i := range 50 {
		client := s.HTTPClient()
		r, err := http.NewRequestWithContext(ctx, http.MethodPatch, s.URL+service.Liveness, strings.NewReader(mep.Alive))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", bearer)
		res, err := client.Do(r)
		require.NoError(t, err, "heartbeat %d", i)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 204, res.StatusCode, "heartbeat %d", i)
	}
	require.NotContains(t, s.Log(), "too many open files")
	s.Stop()
}

// A server is stopped in time and in order, whatever its clients have open.
func TestAServerStopsWithConnectionsOfHTTP2(t *testing.T) {
	t.Parallel()
	s, alive := secureFlood(t)
	alive()
	r := newRaw(t, s)
	_, err := r.begin(false, http.MethodPost, "/health", "content-length", "10")
	require.NoError(t, err)
	idle := newRaw(t, s)
	s.Stop()
	require.Error(t, idle.until(func(http2.Frame) bool { return false }), "it is closed")
}
