package load_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/bench/load"
)

func serve(t *testing.T, h http.HandlerFunc) (address, url string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), s.URL
}

// Both clients send what is asked and bring back what came.
func TestARequestArrivesAsItWasAsked(t *testing.T) {
	address, url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/close":
			w.Header().Set("Connection", "close")
			fallthrough
		case "/length":
			_, _ = fmt.Fprintf(w, "%s %s", r.Method, b)
		case "/chunks":
			for range 3 {
				_, _ = io.WriteString(w, "part ")
				w.(http.Flusher).Flush()
			}
		}
	})
	for name, dial := range map[string]load.Dialer{"wire": load.Wire(address, nil), "net/http": load.Client(url, &http.Client{})} {
		c := dial()
		defer c.Close()
		for range 2 { // each connection is used again
			for path, want := range map[string]load.Answer{
				"/none": {Status: 204}, "/length": {Status: 200, Body: []byte("PATCH x")}, "/close": {Status: 200, Body: []byte("PATCH x")}, "/chunks": {Status: 200, Body: []byte("part part part ")},
			} {
				a, err := c.Do(t.Context(), load.Request{Method: "PATCH", Path: path, Body: "x", Keep: true})
				require.NoError(t, err, "%s %s", name, path)
				assert.Equal(t, want.Status, a.Status, "%s %s", name, path)
				assert.Equal(t, string(want.Body), string(a.Body), "%s %s", name, path)
			}
		}
	}
}

func TestACountIsSentOnceEach(t *testing.T) {
	var got [50]atomic.Int64
	address, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		var i int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &i)
		got[i].Add(1)
	})
	run := load.Run{Dial: load.Wire(address, nil), Conns: 4, Count: len(got), Next: func(i int) load.Request { return load.Request{Method: "GET", Path: fmt.Sprint("/", i)} }}
	for round, send := range []func() load.Result{func() load.Result { return run.Saturate(t.Context()) }, func() load.Result { return run.Pace(t.Context(), 5000) }} {
		res := send()
		require.NoError(t, res.Check())
		assert.Equal(t, len(got), res.N)
		assert.Equal(t, len(got), res.Latency.N())
		for i := range got {
			assert.EqualValues(t, round+1, got[i].Load(), "request %d", i)
		}
	}
}

// What it costs to connect is not measured in a run that is warm.
func TestAWarmRunHasItsConnectionsBeforeItBegins(t *testing.T) {
	var asked, made atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ConnState = func(_ net.Conn, is http.ConnState) {
		if is == http.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	run := load.Run{Dial: load.Wire(strings.TrimPrefix(s.URL, "http://"), nil), Conns: 3, Count: 30, Next: func(int) load.Request { return load.Request{Method: "GET", Path: "/"} }}
	warm := run.Warm(t.Context())
	require.EqualValues(t, 3, asked.Load())
	require.EqualValues(t, 3, made.Load())
	res := warm.Saturate(t.Context())
	require.NoError(t, res.Check())
	assert.Equal(t, 30, res.N, "what made them warm is not counted")
	assert.EqualValues(t, 33, asked.Load())
	assert.EqualValues(t, 3, made.Load())
	require.NoError(t, run.Saturate(t.Context()).Check())
	assert.Greater(t, made.Load(), int64(3), "a run that is not warm connects by itself")
}

// A server that answers nothing for a while is late for all that were due meanwhile, and not only
// for the one that it kept waiting.
func TestWhatWasDueWhileTheServerStoodStillIsLate(t *testing.T) {
	const stands, every = 300 * time.Millisecond, 10 * time.Millisecond
	var first atomic.Bool
	address, _ := serve(t, func(http.ResponseWriter, *http.Request) {
		if first.CompareAndSwap(false, true) {
			time.Sleep(stands)
		}
	})
	run := load.Run{Dial: load.Wire(address, nil), Conns: 1, Count: 30, Next: func(int) load.Request { return load.Request{Method: "GET", Path: "/"} }}
	res := run.Pace(t.Context(), float64(time.Second/every))
	require.NoError(t, res.Check())
	assert.GreaterOrEqual(t, res.Latency.At(50), stands/3, "half of them were due in the first half of it")
	assert.GreaterOrEqual(t, res.Latency.Max(), stands-time.Millisecond)
}

func TestWhatFailsIsCountedWithItsReason(t *testing.T) {
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/odd" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	run := load.Run{Dial: load.Wire(address, nil), Conns: 2, Count: 10, Next: func(i int) load.Request {
		return load.Request{Method: "GET", Path: []string{"/even", "/odd"}[i%2]}
	}}
	res := run.Saturate(t.Context())
	assert.Equal(t, []int{5, 5}, []int{res.N, res.Failed})
	assert.ErrorContains(t, res.Check(), "5 of 10 requests failed, the first with: answered 418")

	run.Dial = load.Wire("127.0.0.1:1", nil)
	res = run.Saturate(t.Context())
	assert.Equal(t, []int{0, 10}, []int{res.N, res.Failed})
	require.Error(t, load.Result{}.Check(), "nothing is no success")
	require.Error(t, load.Result{}.Mostly(), "nor mostly")
	require.NoError(t, load.Result{N: 100, Failed: 1}.Mostly())
	require.Error(t, load.Result{N: 99, Failed: 1}.Mostly())
	assert.Contains(t, load.Result{N: 99, Failed: 1}.Faults(), "1 of 100 failed")
}

func TestAnInterruptedRunEnds(t *testing.T) {
	address, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	ctx, stop := context.WithCancel(t.Context())
	run := load.Run{Dial: load.Wire(address, nil), Conns: 2, Next: func(i int) load.Request {
		if i == 20 {
			stop()
		}
		return load.Request{Method: "GET", Path: "/"}
	}}
	assert.NotZero(t, run.Pace(ctx, 1000).N)
}
