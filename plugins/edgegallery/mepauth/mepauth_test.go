package mepauth

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/test/mepauth"
)

const app = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"

// rig is a client of the stand-in, without a network between them.
type rig struct {
	*Client
	server *mepauth.Server
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// direct serves requests by a handler at once.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := newRecorder()
	d.h.ServeHTTP(w, r)
	if w.broken {
		return nil, fmt.Errorf("connection refused")
	}
	return w.response(), nil
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, log := mepauth.Start(t), &lockedBuffer{}
	return &rig{New(Options{URL: "http://mepauth.example:10443/", Client: &http.Client{Transport: direct{s}}, Clock: plugins.NewClock(), Log: plugins.NewLog(log, "INFO")}), s, log}
}

func TestWhatAnApplicationRequiresIsWhatItDiscovers(t *testing.T) {
	r := newRig(t)
	r.server.Require(app, "face", "map")
	got := r.Required(t.Context(), app)
	require.True(t, got.Allows("face") && got.Allows("map"))
	require.False(t, got.Allows("else") || got.All())
	require.Equal(t, []string{"GET /mep/appMng/v1/applications/" + app + "/confs"}, r.server.Requests())
	require.Zero(t, r.log.count("\n"))
}

// Whatever goes wrong, nothing is discovered, and the log has the reason once.
func TestWithoutAnAnswerNothingIsDiscoveredAndTheReasonIsLoggedOnce(t *testing.T) {
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, c := range map[string]struct {
		fail func(http.ResponseWriter, *http.Request) bool
		want string
	}{
		"nobody listens":   {func(w http.ResponseWriter, _ *http.Request) bool { w.(*recorder).broken = true; return true }, "connection refused"},
		"a fault":          {answer(500, "{}"), "it answers 500"},
		"a redirect":       {answer(307, ""), "it answers 307"},
		"unknown":          {nil, "it answers 400"},
		"no JSON":          {answer(200, "<html>"), "cannot be read"},
		"no list":          {answer(200, `{"required_services":"face"}`), "cannot be read"},
		"another member":   {answer(200, `{"Required_services":"*"}`), "cannot be read"},
		"without end":      {answer(200, strings.Repeat(" ", maxAnswer+1)), "larger than"},
		"words to the log": {answer(200, `{"required_services":1,"\u001b[2J":1}`), "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newUnserved()
				log := &lockedBuffer{}
				r := &rig{New(Options{URL: "http://m", Client: &http.Client{Transport: direct{s}}, Clock: plugins.NewClock(), Log: plugins.NewLog(log, "INFO")}), nil, log}
				s.fail = c.fail
				for range 3 {
					got := r.Required(t.Context(), app)
					require.False(t, got.All() || got.Allows("face"))
					time.Sleep(retryAfter)
				}
				require.EqualValues(t, 3, s.asked.Load())
				require.Equal(t, 1, log.count(c.want), "%s", log.b.String())
				require.Equal(t, 1, log.count("WARN"))
				require.Zero(t, log.count("\x1b"))
			})
		})
	}
}

// unserved is a mepauth that knows nobody, without a listener, for bubbles.
type unserved struct {
	fail  func(http.ResponseWriter, *http.Request) bool
	asked atomic.Int64
}

func newUnserved() *unserved { return &unserved{} }

func (u *unserved) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.asked.Add(1)
	if u.fail == nil || !u.fail(w, r) {
		http.Error(w, `"<QuerySeter> no row found"`, http.StatusBadRequest)
	}
}

// A list of services is asked for often, and mepauth is one process with a database.
func TestAnAnswerCountsForSomeSecondsAndIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnserved()
		release := make(chan struct{})
		u.fail = func(w http.ResponseWriter, _ *http.Request) bool {
			<-release
			_, _ = w.Write([]byte(`{"required_services":"[\"face\"]"}`))
			return true
		}
		c := New(Options{URL: "http://m", Client: &http.Client{Transport: direct{u}}, Clock: plugins.NewClock(), Log: plugins.NewLog(&lockedBuffer{}, "INFO")})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { require.True(t, c.Required(t.Context(), app).Allows("face")) })
		}
		gone, cancel := context.WithCancel(t.Context())
		all.Go(func() { c.Required(gone, app) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		all.Wait()
		require.EqualValues(t, 1, u.asked.Load(), "all who ask at once share one request")
		time.Sleep(keepFor - time.Nanosecond)
		require.True(t, c.Required(t.Context(), app).Allows("face"))
		require.EqualValues(t, 1, u.asked.Load())
		time.Sleep(time.Nanosecond)
		u.fail = nil
		require.False(t, c.Required(t.Context(), app).Allows("face"), "what counted no more is not taken when there is no answer")
		require.EqualValues(t, 2, u.asked.Load())
	})
}

func TestApplicationsThatAreRememberedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnserved()
		c := New(Options{URL: "http://m", Client: &http.Client{Transport: direct{u}}, Clock: plugins.NewClock(), Log: plugins.NewLog(&lockedBuffer{}, "INFO")})
		for i := range maxEntries + 100 {
			c.Required(t.Context(), fmt.Sprint("app", i))
		}
		require.LessOrEqual(t, len(c.cache.of), maxEntries)
	})
}

func TestAnIDThatIsNoneNeverBecomesAPath(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"", "..", "a/b", "a?b", "a b", "a%2fb"} {
		require.False(t, r.Required(t.Context(), id).All())
		require.ErrorIs(t, r.Forget(t.Context(), id), ErrRefused, id)
	}
	require.Empty(t, r.server.Requests())
}

func TestAnApplicationThatIsGoneIsForgotten(t *testing.T) {
	r := newRig(t)
	r.server.Require(app, "face")
	require.True(t, r.Required(t.Context(), app).Allows("face"))
	require.NoError(t, r.Forget(t.Context(), app))
	require.False(t, r.server.Knows(app))
	require.False(t, r.Required(t.Context(), app).Allows("face"), "nor is it remembered here")
	require.NoError(t, r.Forget(t.Context(), app), "once more")
	require.ErrorIs(t, r.Forget(t.Context(), "no-uuid"), ErrRefused, "which mepauth answers with 400")
	r.server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true })
	err := r.Forget(t.Context(), app)
	require.ErrorContains(t, err, "503")
	require.NotErrorIs(t, err, ErrRefused)
}

// Applications that are terminated while mepauth hangs leave the lists of others alone.
func TestRemovalsThatHangLeaveDiscoveryItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, end := newUnserved(), make(chan struct{})
		u.fail = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				<-end
			}
			_, _ = w.Write([]byte(`{"required_services":"[\"face\"]"}`))
			return true
		}
		c := New(Options{URL: "http://m", Client: &http.Client{Transport: direct{u}}, Clock: plugins.NewClock(), Log: plugins.NewLog(&lockedBuffer{}, "INFO")})
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() { _ = c.Forget(t.Context(), fmt.Sprint("gone-", i)) })
		}
		synctest.Wait()
		require.EqualValues(t, maxRemovals, u.asked.Load())
		require.True(t, c.Required(t.Context(), app).Allows("face"))
		close(end)
		all.Wait()
	})
}

// A question that nobody ends would have the application wait for ever.
func TestAPanicLocksNoApplicationOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache{clock: plugins.NewClock(), of: map[string]*entry{}}
		require.Panics(t, func() {
			c.get(t.Context(), app, func(bool) (mp1.RequiredServices, bool) { panic("a defect") })
		})
		require.True(t, closed(c.of[app].done))
		time.Sleep(retryAfter)
		asked := false
		c.get(t.Context(), app, func(failedBefore bool) (mp1.RequiredServices, bool) {
			asked = failedBefore
			return mp1.RequiredServices{}, true
		})
		require.True(t, asked, "and the one before counts as failed")
	})
}
