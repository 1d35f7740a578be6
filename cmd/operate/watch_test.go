package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const changeData = `{"revision":%d,"time":"2026-01-02T03:04:05.006Z","serInstanceId":"i1","serName":"face\u001b[2J","appInstanceId":"app","change":"STATE_CHANGED","from":"ACTIVE","to":"SUSPENDED","reason":"no heartbeat"}`

// streams is a server whose first stream is cut; it keeps which id was asked behind.
type streams struct {
	mu    sync.Mutex
	asked []string
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream")
	if len(s.asked) == 1 {
		_, _ = fmt.Fprintf(w, "retry: 1000\n\nid: 4\nevent: reset\ndata: {\"revision\":4,\"services\":[{\"state\":\"ACTIVE\"},{\"state\":\"INACTIVE\"}]}\n\n"+
			"id: 5\nevent: ping\ndata: {\"revision\":5,\"time\":\"2026-01-02T03:04:05Z\"}\n\nid: 6\nevent: change\ndata: "+changeData+"\n\nid: 99\nevent: change\ndata: {\"cut", 6)
		return
	}
	_, _ = fmt.Fprintf(w, "id: 8\nevent: change\ndata: "+changeData+"\n\n", 8)
	_ = http.NewResponseController(w).Flush()
}

// ending is an output that says when it has got a line with a text.
type ending struct {
	bytes.Buffer
	text string
	then func()
}

func (e *ending) Write(b []byte) (int, error) {
	n, err := e.Buffer.Write(b)
	if strings.Contains(string(b), e.text) {
		e.then()
	}
	return n, err
}

// The stream goes on behind the last complete event, and the watch ends without complaint.
func TestAWatchGoesOnWhereItWasCut(t *testing.T) {
	for text, form := range map[string]bool{" 8 STATE_CHANGED": false, `"revision":8`: true} {
		ctx, cancel := context.WithCancel(t.Context())
		s, errs := &streams{}, bytes.Buffer{}
		out := &ending{text: text, then: cancel}
		require.NoError(t, Watch(ctx, place(t, s), WatchOptions{JSON: form, Out: out, Errs: &errs}))
		require.Equal(t, []string{"", "6"}, s.asked)
		require.Regexp(t, `^mepserver: the connection is lost: the platform has ended the event stream; the server is asked until it answers\nmepserver: the server answers again, and nothing was missed\n$`, errs.String())
		if form {
			for line := range strings.Lines(out.String()) {
				var e struct {
					Event string
					Data  map[string]any
				}
				require.NoError(t, json.Unmarshal([]byte(line), &e), line)
			}
			require.Equal(t, 3, strings.Count(out.String(), "\n"), "pings are not shown: %s", out.String())
			require.NotContains(t, out.String(), "\x1b")
			continue
		}
		line := "03:04:05.006 %d STATE_CHANGED      ACTIVE -> SUSPENDED  app  face[2J  i1  no heartbeat\n"
		require.Equal(t, "at revision 4: 2 services, 1 ACTIVE, 0 SUSPENDED, 1 INACTIVE\n"+fmt.Sprintf(line+line, 6, 8), out.String())
	}
}

func TestAWatchThatNeverBeganOrIsRefusedEnds(t *testing.T) {
	status := http.StatusForbidden
	by := place(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	var out bytes.Buffer
	require.EqualError(t, Watch(t.Context(), by, WatchOptions{Out: &out, Errs: &out}), "the server refused (403): Forbidden")
	status = http.StatusOK
	require.EqualError(t, Watch(t.Context(), by, WatchOptions{Out: &out, Errs: &out}), "the answer is of a kind that it does not say, and no event stream; is there a mepserver at this URL?")
	page := place(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	require.ErrorContains(t, Watch(t.Context(), page, WatchOptions{Out: &out, Errs: &out}), "the answer is text/html, and no event stream")
	status = http.StatusNotFound
	require.ErrorContains(t, Watch(t.Context(), by, WatchOptions{Out: &out, Errs: &out}), "an older one")
	status = http.StatusServiceUnavailable
	require.ErrorContains(t, Watch(t.Context(), by, WatchOptions{Out: &out, Errs: &out}), "(503)")
	require.ErrorContains(t, Watch(t.Context(), by, WatchOptions{Since: "-1"}), "--since must be a revision")
	require.Empty(t, out.String())
}

// Who has missed something is told so, and a server that is away is told of once.
func TestAWatchSaysWhetherSomethingWasMissed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	by := place(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 2 || asked == 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "id: %[1]d\nevent: reset\ndata: {\"revision\":%[1]d,\"services\":[]}\n\n", asked)
	}))
	var errs bytes.Buffer
	require.NoError(t, Watch(ctx, by, WatchOptions{Out: &ending{text: "at revision 4", then: cancel}, Errs: &errs}))
	require.Equal(t, `mepserver: the connection is lost: the platform has ended the event stream; the server is asked until it answers
mepserver: the server answers again, and does not know any more what has changed meanwhile
`, errs.String())
}

// gone is an output that nobody reads any more.
type gone struct{}

var errGone = errors.New("gone")

func (gone) Write([]byte) (int, error) { return 0, errGone }

func TestAnOutputThatIsGoneEndsAWatch(t *testing.T) {
	require.ErrorIs(t, Watch(t.Context(), place(t, &streams{}), WatchOptions{Out: gone{}}), errGone)
}
