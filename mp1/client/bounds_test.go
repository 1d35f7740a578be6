package client

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// A client without timeouts would wait for ever for a platform that hangs.
func TestACallWithoutAnHTTPClientOfItsOwnIsBounded(t *testing.T) {
	c, err := New(Options{BaseURL: "http://mep.example"})
	require.NoError(t, err)
	require.Equal(t, 10*time.Second, c.http.Timeout)
}

// A registration that is answered without its id would be lost: nobody could beat for it.
func TestAnAnswerWithoutABodyIsNoRegistration(t *testing.T) {
	c := newFakePlatform(t, respond(204, "")).client(t, "")
	var p *Problem
	_, err := c.Register(t.Context(), "a", mp1.ServiceInfo{})
	require.ErrorAs(t, err, &p)
	require.Equal(t, 204, p.Status)
	_, err = c.Update(t.Context(), "a", "b", mp1.ServiceInfo{})
	require.ErrorAs(t, err, &p)
	_, err = c.Service(t.Context(), "b")
	require.ErrorAs(t, err, &p)
	_, err = c.Liveness(t.Context(), "/l")
	require.ErrorAs(t, err, &p)
}

func TestAnAnswerMayBeAsLargeAsTheLimit(t *testing.T) {
	c := newFakePlatform(t, respond(200, serviceJSON+strings.Repeat(" ", maxAnswer-len(serviceJSON)))).client(t, "")
	_, err := c.Service(t.Context(), "id1")
	require.NoError(t, err)
	c = newFakePlatform(t, respond(200, serviceJSON+strings.Repeat(" ", maxAnswer-len(serviceJSON)+1))).client(t, "")
	_, err = c.Service(t.Context(), "id1")
	require.ErrorIs(t, err, ErrTooLarge)
}

// observed remembers whether the body of the last answer was closed.
type observed struct {
	http.RoundTripper
	closed bool
}

type observedBody struct {
	io.ReadCloser
	by *observed
}

func (b observedBody) Close() error {
	b.by.closed = true
	return b.ReadCloser.Close()
}

func (o *observed) RoundTrip(r *http.Request) (*http.Response, error) {
	o.closed = false
	resp, err := o.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = observedBody{resp.Body, o}
	}
	return resp, err
}

// Otherwise each answer that is too large would leave a connection open at both ends.
func TestEveryAnswerIsClosed(t *testing.T) {
	for _, body := range []string{serviceJSON, "rubbish", strings.Repeat(" ", 2*maxAnswer)} {
		for _, status := range []int{200, 404, 503} {
			p := newFakePlatform(t, respond(status, body))
			o := &observed{RoundTripper: http.DefaultTransport}
			c, err := New(Options{BaseURL: p.URL, HTTPClient: &http.Client{Transport: o}})
			require.NoError(t, err)
			_, _ = c.Service(t.Context(), "id1")
			require.True(t, o.closed)
		}
	}
}

// Sixteen calls at a time make sixteen connections, and not sixteen each time.
func TestConnectionsAreKeptForCallsAtATime(t *testing.T) {
	const calls = 16
	var together sync.WaitGroup
	p := newFakePlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		together.Done()
		together.Wait()
		w.WriteHeader(http.StatusNoContent)
	})
	c := p.client(t, "")
	round := func() {
		together.Add(calls)
		var all sync.WaitGroup
		for range calls {
			all.Go(func() { _, _ = c.Beat(t.Context(), "/l") })
		}
		all.Wait()
	}
	round()
	require.EqualValues(t, calls, p.conns.Load())
	for range 3 {
		round()
	}
	require.Less(t, p.conns.Load(), int32(2*calls), "they are used again")
	before := p.conns.Load()
	c.CloseIdle()
	together.Add(1)
	_, err := c.Beat(t.Context(), "/l")
	require.NoError(t, err)
	require.Equal(t, before+1, p.conns.Load(), "unless they were closed")
}

// A platform without either method is asked by the one that it took last, once.
func TestAHeartbeatThatIsNotTakenByPUTAnyMoreIsSentOnce(t *testing.T) {
	var methods []string
	answer := http.StatusNoContent
	p := newFakePlatform(t, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		if r.Method == http.MethodPatch {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.WriteHeader(answer)
	})
	c := p.client(t, "")
	_, err := c.Beat(t.Context(), "/l")
	require.NoError(t, err)
	answer, methods = http.StatusMethodNotAllowed, nil
	_, err = c.Beat(t.Context(), "/l")
	require.ErrorContains(t, err, "405")
	require.Equal(t, []string{"PUT"}, methods)
}

// A token must not travel in the clear because a link says http.
func TestTheSchemeOfAnHrefCountsWhateverItsPort(t *testing.T) {
	c, err := New(Options{BaseURL: "https://mep.example:443"})
	require.NoError(t, err)
	_, err = c.resolve("http://mep.example:443/a")
	require.ErrorIs(t, err, errForeign)
	for _, same := range []string{"https://mep.example/a", "https://MEP.example:443/a"} {
		_, err = c.resolve(same)
		require.NoError(t, err)
	}
}

func TestALinkForHeartbeatsThatIsEmptyIsNone(t *testing.T) {
	info := mp1.ServiceInfo{Links: &mp1.ServiceLinks{Self: mp1.SelfLink{Href: "/x", Liveness: "/mep/l"}, Liveness: &mp1.LinkType{}}}
	require.Equal(t, "/mep/l", LivenessHref(info))
}
