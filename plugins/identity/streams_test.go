package identity

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// hijackable is a response whose connection can be taken over.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

func TestAStreamEndsWithWhatOpenedIt(t *testing.T) {
	var ended atomic.Value
	ended.Store("")
	s := &streams{valid: func(r *http.Request) bool { return r.Header.Get("Authorization") != ended.Load() }}
	take := func(token string) (ours, theirs net.Conn) {
		ours, theirs = net.Pipe()
		r := httptest.NewRequest("GET", "/watch", nil)
		r.Header.Set("Authorization", token)
		c, _, err := http.NewResponseController(s.watch(hijackable{httptest.NewRecorder(), ours}, r)).Hijack()
		require.NoError(t, err)
		r.Header.Set("Authorization", "of the next request")
		return c, theirs
	}
	_, one := take("one")
	two, other := take("two")
	s.check()
	require.Equal(t, 2, s.count(), "both are valid")
	ended.Store("one")
	s.check()
	_ = one.SetReadDeadline(time.Now().Add(10 * time.Second)) // ends a test that fails; on a pipe that is closed it fails
	_, err := one.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "it was closed")
	require.Equal(t, 1, s.count())
	require.NoError(t, two.Close())
	require.Zero(t, s.count(), "a stream that its handler closed is forgotten")
	require.NoError(t, other.Close())
}

func TestWhatCannotBeTakenOverIsNoStream(t *testing.T) {
	s := &streams{valid: func(*http.Request) bool { return true }}
	w := s.watch(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	_, _, err := http.NewResponseController(w).Hijack()
	require.Error(t, err)
	require.Zero(t, s.count())
}

// TestWhatOpenedAStreamIsJudgedAgain: by its end, and by what else became of it.
func TestWhatOpenedAStreamIsJudgedAgain(t *testing.T) {
	g := newGate(t)
	r := httptest.NewRequest("GET", "/v4/default/registry/microservices/x/watcher", nil)
	bearing(g.token(nil))(r)
	g.tokens.issuer = nil
	require.True(t, g.isValid(r))
	require.True(t, g.isValid(r), "again and again")
	g.now = g.now.Add(61 * time.Second)
	require.False(t, g.isValid(r), "the token has ended")
	require.False(t, g.isValid(httptest.NewRequest("GET", "/", nil)), "nothing proves nobody")
}

// An event stream has no connection of its own that could be closed: its request ends.
func TestAResponseThatGoesOnEndsWithWhatOpenedIt(t *testing.T) {
	var ended atomic.Bool
	s := &streams{valid: func(*http.Request) bool { return !ended.Load() }}
	begun, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		s.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
		}), httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, mp1.EventsPath, nil))
	}()
	<-begun
	s.check()
	require.Equal(t, 1, s.count(), "it is valid")
	ended.Store(true)
	s.check()
	select {
	case <-over:
	case <-time.After(time.Minute):
		require.Fail(t, "it goes on")
	}
	require.Zero(t, s.count())
}
