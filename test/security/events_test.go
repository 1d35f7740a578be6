package security

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// An event stream is for whoever proves who he is, over both versions of HTTP, and ends with what
// proved it: it would show for hours what happens.
func TestAnEventStreamEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	mine, other, reader := s.Add("mine"), s.Add("other"), s.As(s.Add("watcher", "reader"))
	require.Equal(t, 401, s.Do(http.MethodGet, mp1.EventsPath, "").Status)
	token := s.Token(mine)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // ends a test that fails
	defer cancel()
	open := func(client *http.Client) (next func() (kind string, err error)) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+mp1.EventsPath, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(r) //nolint:bodyclose // the clean-up does
		require.NoError(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		require.Equal(t, http.StatusOK, res.StatusCode)
		lines := bufio.NewReader(res.Body)
		return func() (string, error) {
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return "", err
				}
				if kind, is := strings.CutPrefix(line, "event: "); is {
					return strings.TrimSpace(kind), nil
				}
			}
		}
	}
	h1, h2 := s.HTTPClient(), s.HTTPClient()
	if t1, is := h1.Transport.(*http.Transport); is {
		t1.ForceAttemptHTTP2, t1.TLSNextProto = false, nil
		t1.Protocols = new(http.Protocols)
		t1.Protocols.SetHTTP1(true)
	}
	h1.Timeout, h2.Timeout = 0, 0
	streams := []func() (string, error){open(h1), open(h2)}
	for _, next := range streams {
		kind, err := next()
		require.NoError(t, err)
		require.Equal(t, mp1.ResetEvent, kind)
	}
	require.Equal(t, 2, reader.Metric("mep_identity_streams"))
	s.As(other).Register("other", "n", -1)
	for _, next := range streams {
		kind, err := next()
		require.NoError(t, err)
		require.Equal(t, mp1.ChangeEvent, kind)
	}
	require.Equal(t, http.StatusNoContent, s.Admin("DELETE", "/mec_liveness/v1/credentials/mine", "").Status)
	for _, next := range streams {
		_, err := next()
		require.Error(t, err)
		require.NoError(t, ctx.Err(), "the stream went on")
	}
	wait.Until(t, "none is open", func() bool { return reader.Metric("mep_events_readers") == 0 })
}
