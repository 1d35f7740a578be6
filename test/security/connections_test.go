package security

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// With 256 file descriptors and 600 connections that idle, say nothing or drip, accepting
// must not fail, and heartbeats on new connections must be answered.
func TestHeartbeatsGetInWhateverIsOpen(t *testing.T) {
	s := mep.Options{Binary: mep.Limited(t, "ulimit -n 256")}.Start(t)
	service, _ := fresh(t, s)
	liveness := mep.LivenessOf("app", service)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	texts := []string{"", "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "PATCH " + liveness + " HTTP/1.1\r\nHost: h\r\nX-Slow: "}
	for i := range 600 {
		c, err := net.Dial("tcp", s.Listen)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, texts[i%3]) // it may have been turned away
		if i%3 == 2 {
			go drip(ctx, c)
		}
	}
	time.Sleep(1500 * time.Millisecond) // from then on the silent make room
	for i := range 100 {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := http.NewRequestWithContext(ctx, "PATCH", s.URL+liveness, strings.NewReader(mep.Alive))
		require.NoError(t, err)
		res, err := client.Do(r)
		require.NoError(t, err, "heartbeat %d", i)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 204, res.StatusCode, "heartbeat %d", i)
	}
	metrics := string(s.Do("GET", "/metrics", "").Body)
	require.Contains(t, metrics, "mep_connections_limit 176\n")
	require.NotContains(t, s.Log(), "too many open files")
}

func drip(ctx context.Context, c net.Conn) {
	for ctx.Err() == nil {
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
