package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// supportPlatform is a fakePlatform that has the application support API, too: subscriptions to
// the termination with WebSockets, and confirmations.
type supportPlatform struct {
	*fakePlatform
	mu            sync.Mutex
	t             *testing.T
	lacking       bool // it has none of it
	away          bool // nobody answers
	ready         []time.Time
	confirmed     []string // bodies
	subscriptions map[string]*websocket.Conn
	made          int
	onConfirm     func(f *supportPlatform) (status int) // may be nil
}

func newSupportPlatform(t *testing.T) *supportPlatform {
	return &supportPlatform{fakePlatform: newFakePlatform(30), t: t, subscriptions: map[string]*websocket.Conn{}}
}

const supportRoot = mp1.AppSupportBase + "/applications/app"

func (f *supportPlatform) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	below, ours := strings.CutPrefix(r.URL.Path, supportRoot)
	switch {
	case away:
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	case !ours:
		return f.fakePlatform.RoundTrip(r)
	case f.lacking:
		return reply(404, nil), nil
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, socket := strings.CutSuffix(strings.TrimPrefix(below, "/subscriptions/"), "/websocket")
	_, known := f.subscriptions[id]
	switch {
	case below == "/confirm_ready":
		f.ready = append(f.ready, time.Now())
	case below == "/confirm_termination":
		f.confirmed = append(f.confirmed, string(body))
		if f.onConfirm != nil {
			if status := f.onConfirm(f); status != 0 {
				return reply(status, nil), nil
			}
		}
	case below == "/subscriptions" && r.Method == http.MethodPost:
		f.made++
		id := "s" + strconv.Itoa(f.made)
		f.subscriptions[id] = nil
		return reply(201, f.shown(id)), nil
	case below == "/subscriptions":
		list := mp1.SubscriptionLinkList{}
		for id := range f.subscriptions {
			list.Links.Subscriptions = append(list.Links.Subscriptions, mp1.SubscriptionLink{Href: supportRoot + "/subscriptions/" + id})
		}
		return reply(200, list), nil
	case !known:
		return reply(404, nil), nil
	case socket:
		return f.accept(id, r), nil
	case r.Method == http.MethodDelete:
		delete(f.subscriptions, id)
	default:
		return reply(200, f.shown(id)), nil
	}
	return reply(204, nil), nil
}

func (f *supportPlatform) shown(id string) mp1.Subscription {
	href := supportRoot + "/subscriptions/" + id
	return mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType, Links: &mp1.SubscriptionLinks{Self: mp1.LinkType{Href: href}},
		WebsockNotifConfig: &mp1.WebsockNotifConfig{WebsocketURI: "ws://elsewhere.example" + href + "/websocket"}}
}

// accept opens a WebSocket over a pipe, in place of the one that is there.
func (f *supportPlatform) accept(id string, r *http.Request) *http.Response {
	if before := f.subscriptions[id]; before != nil {
		go func() { _ = before.Close(mp1.CloseReplaced, "another connection") }()
	}
	ours, theirs := net.Pipe()
	w := &hijacked{header: http.Header{}, conn: theirs}
	conn, err := websocket.Accept(w, r, nil)
	require.NoError(f.t, err)
	conn.CloseRead(context.Background())
	f.subscriptions[id] = conn
	return &http.Response{StatusCode: w.status, Header: w.header, Body: ours}
}

// hijacked is the answer to the request of a WebSocket.
type hijacked struct {
	header http.Header
	status int
	conn   net.Conn
}

func (h *hijacked) Header() http.Header         { return h.header }
func (h *hijacked) WriteHeader(status int)      { h.status = status }
func (h *hijacked) Write(b []byte) (int, error) { return len(b), nil }
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// terminate announces the termination to every subscription.
func (f *supportPlatform) terminate() {
	f.mu.Lock()
	conns := map[string]*websocket.Conn{}
	for id, conn := range f.subscriptions {
		if conn != nil {
			conns[id] = conn
		}
	}
	f.mu.Unlock()
	for id, conn := range conns {
		_ = conn.Write(context.Background(), websocket.MessageText, []byte(`{"webhookId":"w-`+id+`","notificationType":"AppTerminationNotification",
			"operationAction":"TERMINATING","maxGracefulTimeout":60,"_links":{"subscription":{"href":"`+supportRoot+"/subscriptions/"+id+`"},
			"confirmTermination":{"href":"`+supportRoot+`/confirm_termination"}}}`))
	}
}

// state is what a test looks at.
func (f *supportPlatform) state() (ready, confirmed, subscriptions, connected int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.subscriptions {
		if conn != nil {
			connected++
		}
	}
	return len(f.ready), len(f.confirmed), len(f.subscriptions), connected
}

func (f *supportPlatform) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// closeAll closes what is open, for a bubble must end without goroutines.
func (f *supportPlatform) closeAll() {
	f.set(func() {
		for id, conn := range f.subscriptions {
			if conn != nil {
				_ = conn.CloseNow()
				f.subscriptions[id] = nil
			}
		}
	})
}

func supportOptions(f *supportPlatform, services int) Options {
	o := options(f, services)
	o.OnTermination = ConfirmTermination
	return o
}

func TestAnAgentDoesNothingOfItUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		r := run(t, options(f, 2))
		advance(time.Hour)
		require.NoError(t, r.stop())
		for _, s := range f.requests {
			require.NotContains(t, s.path, mp1.AppSupportBase)
		}
		ready, confirmed, subscriptions, _ := f.state()
		require.Equal(t, []int{0, 0, 0}, []int{ready, confirmed, subscriptions})
	})
}

func TestReadinessIsConfirmedOnceWhenEveryServiceIsRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		o := options(f, 2)
		o.ConfirmReady = true
		posts := 0
		f.respondWith(func(r *http.Request, _ int) response {
			if r.Method == http.MethodPost {
				if posts++; posts >= 2 && posts < 5 {
					return response{status: 503}
				}
			}
			return response{}
		})
		r := run(t, o)
		advance(200 * time.Millisecond)
		require.Len(t, f.registered(), 1)
		ready, _, _, _ := f.state()
		require.Zero(t, ready, "one is not registered yet")
		advance(time.Minute)
		require.Len(t, f.registered(), 2)
		ready, _, _, _ = f.state()
		require.Equal(t, 1, ready)
		f.forgetAll()
		advance(time.Hour)
		require.Len(t, f.registered(), 2)
		ready, _, _, _ = f.state()
		require.Equal(t, 1, ready, "once a start")
		require.NoError(t, r.stop())
	})
}

func TestReadinessIsConfirmedAgainUntilThePlatformTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.lacking = true // an older platform, which is updated later
		o := options(f, 1)
		o.ConfirmReady = true
		var log strings.Builder
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r := run(t, o)
		advance(10 * time.Minute)
		require.True(t, r.Ready(), "it keeps nothing from working")
		f.set(func() { f.lacking = false })
		advance(10 * time.Minute)
		ready, _, _, _ := f.state()
		require.Equal(t, 1, ready)
		require.NoError(t, r.stop())
		require.Equal(t, 1, strings.Count(log.String(), "does not ask whether"), log.String())
		require.NotContains(t, log.String(), "WARN", "it is no failure")
	})
}

func TestATerminationIsConfirmedAfterTheServicesAreGone(t *testing.T) {
	for name, leave := range map[string]OnStop{"deregister": Deregister, "leave": Leave} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newSupportPlatform(t)
				o := supportOptions(f, 3)
				o.OnStop = leave
				left := -1
				f.onConfirm = func(f *supportPlatform) int {
					left = len(f.registered())
					return 0
				}
				r := run(t, o)
				advance(time.Minute)
				_, _, subscriptions, connected := f.state()
				require.Equal(t, []int{1, 1}, []int{subscriptions, connected})
				require.Len(t, f.registered(), 3)
				f.terminate()
				require.ErrorIs(t, <-r.ended, ErrTerminated)
				require.Zero(t, left, "they are gone before it is confirmed")
				require.Equal(t, []string{`{"operationAction":"TERMINATING"}`}, f.confirmed)
				require.False(t, r.Ready())
				for _, s := range r.Status() {
					require.Equal(t, StateDeregistered, s.State)
				}
				require.ErrorIs(t, r.Remove("s0"), ErrStopped)
				f.closeAll()
			})
		})
	}
}

// The platform may be killed right after it has announced the termination.
func TestATerminationIsConfirmedWhenThePlatformIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		f.terminate()
		f.set(func() { f.away = true })
		advance(10 * time.Minute)
		require.Empty(t, r.ended, "nobody has taken the confirmation")
		f.set(func() { f.away = false })
		require.ErrorIs(t, <-r.ended, ErrTerminated)
		_, confirmed, _, _ := f.state()
		require.Equal(t, 1, confirmed)
		require.Equal(t, StateDeregistered, r.Status()[0].State, "the platform removes what is left")
		f.closeAll()
	})
}

func TestATerminationThatIsOverNeedsNoConfirmation(t *testing.T) {
	for status, refused := range map[int]bool{404: false, 409: false, 403: true} {
		synctest.Test(t, func(t *testing.T) {
			f := newSupportPlatform(t)
			f.onConfirm = func(*supportPlatform) int { return status }
			var log bytes.Buffer
			o := supportOptions(f, 1)
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			r := run(t, o)
			advance(time.Minute)
			f.terminate()
			require.ErrorIs(t, <-r.ended, ErrTerminated)
			_, confirmed, _, _ := f.state()
			require.Equal(t, 1, confirmed)
			require.Equal(t, refused, strings.Contains(log.String(), "is refused"), "%d: %s", status, &log)
			f.closeAll()
		})
	}
}

func TestAStopEndsTheWaitForAConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.onConfirm = func(*supportPlatform) int { return 503 }
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		f.terminate()
		advance(time.Minute)
		err := r.stop()
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrTerminated)
		f.closeAll()
	})
}

func TestAStopRemovesTheSubscriptionUnlessTheServicesAreLeft(t *testing.T) {
	for leave, want := range map[OnStop]int{Deregister: 0, Leave: 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newSupportPlatform(t)
			o := supportOptions(f, 1)
			o.OnStop = leave
			r := run(t, o)
			advance(time.Minute)
			require.NoError(t, r.stop())
			_, _, subscriptions, _ := f.state()
			require.Equal(t, want, subscriptions)
			f.closeAll()
		})
	}
}

// The announcement waits at the platform, in the subscription of the agent that was killed.
func TestAnAgentThatStartsAgainTakesTheSubscriptionThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.subscriptions["killed"] = nil
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		_, _, subscriptions, connected := f.state()
		require.Equal(t, []int{1, 1}, []int{subscriptions, connected})
		require.Zero(t, f.made)
		f.terminate()
		require.ErrorIs(t, <-r.ended, ErrTerminated)
		f.closeAll()
	})
}

func TestAgentsOfOneApplicationHaveASubscriptionEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.keeps = true
		var agents []*running
		for range 3 {
			agents = append(agents, run(t, supportOptions(f, 1)))
			advance(5 * time.Minute)
		}
		require.Equal(t, 3, f.made, "they do not go on taking each other's")
		_, _, subscriptions, connected := f.state()
		require.Equal(t, []int{3, 3}, []int{subscriptions, connected})
		f.terminate()
		for _, r := range agents {
			require.ErrorIs(t, <-r.ended, ErrTerminated)
		}
		f.closeAll()
	})
}

func TestALostSubscriptionIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		f.closeAll()
		f.set(func() { clear(f.subscriptions) }) // the platform was restored from a backup
		advance(time.Minute)
		_, _, subscriptions, connected := f.state()
		require.Equal(t, []int{1, 1}, []int{subscriptions, connected})
		require.NoError(t, r.stop())
		f.closeAll()
	})
}

func TestAPlatformWithoutTerminationsIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.lacking = true
		o := supportOptions(f, 1)
		var log strings.Builder
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r := run(t, o)
		advance(time.Hour)
		require.True(t, r.Ready())
		require.Equal(t, 1, strings.Count(log.String(), "does not tell of the termination"), log.String())
		require.NotContains(t, log.String(), "WARN")
		f.set(func() { f.lacking = false }) // it was updated
		advance(10 * time.Minute)
		f.terminate()
		require.ErrorIs(t, <-r.ended, ErrTerminated)
		f.closeAll()
	})
}
