package security

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// A client that does not get on is let go: one that says nothing, one that never ends
// its header, and one that never ends its body.
func TestSlowClientsAreLetGo(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	service, _ := fresh(t, s)
	beat := "PATCH " + mep.ServicesOf("app") + "/" + service + "/liveness HTTP/1.1\r\nHost: localhost\r\n"
	var wg sync.WaitGroup
	for name, c := range map[string]struct {
		begin, drip string
		least       time.Duration
	}{
		"silent": {"", "", 4 * time.Second},
		"header": {beat, "X-Slow: x\r\n", 4 * time.Second},
		"body":   {beat + "Content-Length: 1000\r\n\r\n", " ", 9 * time.Second},
		"chunks": {beat + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", 9 * time.Second},
	} {
		wg.Go(func() {
			took, err := timeUntilClosed(s, c.begin, c.drip)
			if err != nil || took < c.least {
				t.Errorf("%s: let go after %v: %v", name, took, err)
			}
			t.Logf("%s: let go after %v", name, took.Round(time.Millisecond))
		})
	}
	wg.Wait()
	s.Want(204, "PATCH", mep.LivenessOf("app", service), mep.Alive)
}

// timeUntilClosed drips into a connection until the server closes it.
func timeUntilClosed(s *mep.Server, begin, drip string) (time.Duration, error) {
	c, err := net.Dial("tcp", s.Listen)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	at := time.Now()
	closed := make(chan struct{})
	go func() { defer close(closed); _, _ = io.Copy(io.Discard, c) }()
	if _, err := io.WriteString(c, begin); err != nil {
		return 0, err
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for time.Since(at) < time.Minute {
		select {
		case <-closed: // an end or a reset: it let go
			return time.Since(at), nil
		case <-tick.C:
			_, _ = io.WriteString(c, drip) // what fails here is seen by the reader
		}
	}
	return time.Since(at), fmt.Errorf("held for a minute")
}

// A body is cut off where its resource ends it, however much was announced, and the
// refusal does not wait for the rest.
func TestBodiesAreCutOffBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	service, _ := fresh(t, s)
	one := mep.ServicesOf("app") + "/" + service
	for _, c := range []struct {
		method, path string
		most         int
	}{
		{"PATCH", one + "/liveness", 1 << 10}, {"PUT", one + "/liveness", 1 << 10}, {"PUT", one, 64 << 10},
		{"POST", mep.ServicesOf("app"), 64 << 10}, {"POST", mep.SubscriptionsOf("app"), 64 << 10},
		{"POST", mp1.AppSupportBase + "/registrations", 64 << 10}, {"PUT", mp1.AppSupportBase + "/registrations/app", 64 << 10},
	} {
		head := c.method + " " + c.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		body := strings.Repeat(" ", c.most)
		require.Equal(t, 400, send(t, s, []byte(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", c.most, body))), "%s %s: as much as it may be", c.method, c.path)
		require.Equal(t, 413, send(t, s, []byte(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s ", c.most+1, body))), "%s %s: one more", c.method, c.path)
		require.Equal(t, 413, send(t, s, []byte(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 1<<30, strings.Repeat(" ", 2*c.most)))), "%s %s: a gigabyte is announced", c.method, c.path)
		require.Equal(t, 413, sendEndlessly(t, s, head), "%s %s: chunks without end", c.method, c.path)
	}
	s.Want(204, "PATCH", one+"/liveness", mep.Alive)
}

// sendEndlessly sends chunks until the server answers.
func sendEndlessly(t *testing.T, s *mep.Server, head string) int {
	t.Helper()
	c, err := net.Dial("tcp", s.Listen)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n")
	require.NoError(t, err)
	chunk := []byte("1000\r\n" + strings.Repeat(" ", 0x1000) + "\r\n")
	go func() {
		for range 1 << 14 { // 64 MiB
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	}()
	answer := make([]byte, 12)
	_, err = io.ReadFull(c, answer)
	require.NoError(t, err)
	var status int
	_, err = fmt.Fscanf(bytes.NewReader(answer), "HTTP/1.1 %d", &status)
	require.NoError(t, err)
	return status
}
