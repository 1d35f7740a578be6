package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestAnAnswerIsReadUpToItsLimit(t *testing.T) {
	p := newFakePlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		piece := []byte(strings.Repeat(" ", 1<<16))
		for { // until the client has had enough
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	c := p.client(t, "")
	_, err := c.Service(context.Background(), "id1")
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = c.Services(context.Background(), mp1.Filter{})
	require.ErrorIs(t, err, ErrTooLarge)

	p = newFakePlatform(t, respond(200, "["+strings.TrimSuffix(strings.Repeat(serviceJSON+",", 10000), ",")+"]"))
	list, err := p.client(t, "").Services(context.Background(), mp1.Filter{})
	require.NoError(t, err, "ten thousand services are no large list")
	require.Len(t, list, 10000)
}

func TestAnAnswerThatCannotBeReadIsAnError(t *testing.T) {
	for _, body := range []string{"", "CANARY", `{"state":["CANARY"]}`, `{} {}`} {
		p := newFakePlatform(t, respond(200, body))
		_, err := p.client(t, "").Service(context.Background(), "id1")
		require.Error(t, err, body)
		require.NotContains(t, err.Error(), "CANARY")
	}
	p := newFakePlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, serviceJSON[:50])
	})
	_, err := p.client(t, "").Service(context.Background(), "id1")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestConnectionsAreUsedAgainWhateverWasAnswered(t *testing.T) {
	var n atomic.Int32
	answers := []http.HandlerFunc{respond(204, ""), respond(200, serviceJSON), respond(404, `{"detail":"x"}`), respond(503, strings.Repeat("x", 5000)), respond(200, "rubbish")}
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) { answers[int(n.Add(1))%len(answers)](w, r) })
	c := p.client(t, "")
	for range 20 {
		_, _ = c.Beat(context.Background(), "/l")
	}
	require.EqualValues(t, 20, n.Load())
	require.EqualValues(t, 1, p.conns.Load())
}

// A heartbeat that is sent on an idle connection while the platform closes it is sent again
// on another. A registration is not, because it may have been carried out.
func TestAHeartbeatSurvivesAConnectionThatWasClosed(t *testing.T) {
	var n atomic.Int32
	p := newFakePlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) != 2 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	c := p.client(t, "")
	for range 2 {
		_, err := c.Beat(context.Background(), "/l")
		require.NoError(t, err)
	}
	require.EqualValues(t, 3, n.Load())

	n.Store(0)
	_, err := c.Beat(context.Background(), "/l")
	require.NoError(t, err)
	_, err = c.Register(context.Background(), "a", mp1.ServiceInfo{})
	require.Error(t, err)
	require.EqualValues(t, 2, n.Load())
}

func TestNobodyIsTrustedWithoutACertificate(t *testing.T) {
	s := httptest.NewTLSServer(respond(204, ""))
	defer s.Close()
	s.Config.ErrorLog = nil
	c, err := New(Options{BaseURL: s.URL})
	require.NoError(t, err)
	_, err = c.Beat(context.Background(), "/l")
	require.ErrorContains(t, err, "certificate")
	c, err = New(Options{BaseURL: s.URL, HTTPClient: s.Client()})
	require.NoError(t, err)
	_, err = c.Beat(context.Background(), "/l")
	require.NoError(t, err)
	require.Nil(t, s.Client().CheckRedirect, "the caller's client is not changed")
}

func TestABaseURLMustBeOne(t *testing.T) {
	for _, base := range []string{"", "host:1", "ftp://h", "http://", "http://u:p@h", "http://h?q", "http://h#f", "http://h/%zz", "/path"} {
		_, err := New(Options{BaseURL: base})
		require.Error(t, err, base)
	}
	for _, prefix := range []string{"mep", "/mep/", "/"} {
		_, err := New(Options{BaseURL: "http://h", Prefix: prefix})
		require.Error(t, err, prefix)
	}
	c, err := New(Options{BaseURL: "http://h:1/gw/", Prefix: "/mep"})
	require.NoError(t, err)
	require.Equal(t, "/gw/mep"+mp1.Base, c.root)
}

func TestACallEndsWithItsContext(t *testing.T) {
	p := newFakePlatform(t, respond(204, ""))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := p.client(t, "").Beat(ctx, "/l")
	require.ErrorIs(t, err, context.Canceled)
}
