package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// streaming is a platform that answers each request for the stream with the next of these texts,
// and then ends the connection; a number is a status.
func streaming(t *testing.T, answers ...string) (c *Client, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var ids []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, "/mep"+mp1.EventsPath, r.URL.Path)
		require.Contains(t, r.Header.Get("Accept"), mp1.EventStreamType)
		ids = append(ids, r.Header.Get("Last-Event-ID")+" "+r.URL.RawQuery)
		if len(answers) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answer := answers[0]
		answers = answers[1:]
		var status int
		if _, err := fmt.Sscan(answer, &status); err == nil {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Type", mp1.EventStreamType)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	c, err := New(Options{BaseURL: s.URL, Prefix: "/mep"})
	require.NoError(t, err)
	return c, func() []string { mu.Lock(); defer mu.Unlock(); return ids }
}

func TestAStreamIsMadeAnewAndGoesOnBehindWhatWasRead(t *testing.T) {
	const reset = "retry: 1000\n\nid: 7\nevent: reset\ndata: {\"revision\":7,\"services\":[{\"serInstanceId\":\"a\",\"serName\":\"x\",\"appInstanceId\":\"app\",\"state\":\"ACTIVE\"}]}\n\n"
	const change = "id: 9\r\nevent:change\r\ndata: {\"revision\":9,\"serInstanceId\":\"a\",\r\ndata: \"change\":\"STATE_CHANGED\",\"from\":\"ACTIVE\",\"to\":\"SUSPENDED\",\"later\":1}\r\n\r\n"
	const later = "id: 10\nevent: of a later release\ndata: {}\n\n: a comment\n\n"
	const cutOff = "id: 11\nevent: change\ndata: {\"revision\":11"
	c, asked := streaming(t, reset+change+later+cutOff, "503", "id: 12\nevent: ping\ndata: {\"revision\":12,\"time\":\"2026-01-01T00:00:00Z\"}\n\n", "401")
	var got []string
	var last error
	for e, err := range c.Events(t.Context(), mp1.Filter{SerNames: []string{"x"}}, "5") {
		switch {
		case err != nil:
			last = err
			got = append(got, "lost")
		case e.Reset != nil:
			got = append(got, e.ID+" reset "+string(e.Reset.Services[0].State))
		case e.Change != nil:
			got = append(got, e.ID+" "+string(e.Change.Change)+" "+string(e.Change.To))
		case e.Ping != nil:
			got = append(got, e.ID+" ping")
		}
	}
	require.Equal(t, []string{"7 reset ACTIVE", "9 STATE_CHANGED SUSPENDED", "lost", "lost", "12 ping", "lost", "lost"}, got)
	require.ErrorIs(t, last, ErrUnauthorized, "it is final")
	require.Equal(t, []string{"5 ser_name=x", "9 ser_name=x", "9 ser_name=x", "12 ser_name=x"}, asked())
}

func TestAStreamEndsWithItsContextAndWithItsLoop(t *testing.T) {
	const ping = "id: 1\nevent: ping\ndata: {}\n\n"
	c, asked := streaming(t, ping, ping, ping)
	for _, err := range c.Events(t.Context(), mp1.Filter{}, "") {
		require.NoError(t, err)
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errs []error
	for _, err := range c.Events(ctx, mp1.Filter{}, "") {
		cancel()
		errs = append(errs, err)
	}
	require.Len(t, errs, 2)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], context.Canceled)
	require.Len(t, asked(), 2)
}

func TestWhatIsNoStreamIsAnError(t *testing.T) {
	for _, answer := range []string{"id: 1\nevent: change\ndata: [\n\n", "id: 1\nevent: reset\ndata: {\"revision\":\"x\"}\n\n"} {
		c, _ := streaming(t, answer)
		for _, err := range c.Events(t.Context(), mp1.Filter{}, "") {
			require.True(t, errors.Is(err, errUnreadable), err)
			break
		}
	}
	c, _ := streaming(t, "data: "+strings.Repeat("x", 100))
	for _, err := range c.Events(t.Context(), mp1.Filter{}, "") {
		require.ErrorIs(t, err, errStreamEnded)
		break
	}
}

// A page that a proxy answers with is no stream that has ended, and the loop may go on when it is gone.
func TestAnAnswerThatIsNoEventStreamIsSaidToBeNone(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			_, _ = io.WriteString(w, "<html>\n\n")
			return
		}
		w.Header().Set("Content-Type", mp1.EventStreamType+"; charset=utf-8")
		_, _ = io.WriteString(w, "id: 4\nevent: ping\ndata: {}\n\n")
	}))
	defer s.Close()
	c, err := New(Options{BaseURL: s.URL})
	require.NoError(t, err)
	var errs []error
	for e, err := range c.Events(t.Context(), mp1.Filter{}, "") {
		if err == nil {
			require.NotNil(t, e.Ping)
			break
		}
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.EqualError(t, errs[0], "mp1 client: the answer is text/html, and no event stream; is there a mepserver at this URL?")
}
