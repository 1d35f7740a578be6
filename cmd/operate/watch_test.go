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
	"time"

	"github.com/stretchr/testify/require"
)

const changeData = `{"revision":%d,"time":"2026-01-02T03:04:05.006Z","serInstanceId":"i1","serName":"face\u001b[2J","appInstanceId":"app","change":"STATE_CHANGED","from":"ACTIVE","to":"SUSPENDED","reason":"no heartbeat"}`

// streams is a server whose streams end after one event each; it keeps which id was asked behind.
type streams struct {
	mu    sync.Mutex
	asked []string
	end   func()
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Header.Get("Last-Event-ID"))
	n := len(s.asked)
	s.mu.Unlock()
	switch {
	case n == 3:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case n == 1 && r.Header.Get("Last-Event-ID") == "":
		_, _ = fmt.Fprint(w, "retry: 1000\n\n", "id: 4\nevent: reset\ndata: {\"revision\":4,\ndata: \"services\":[{\"state\":\"ACTIVE\"},{\"state\":\"INACTIVE\"}]}\n\n")
		return
	}
	_, _ = fmt.Fprintf(w, ": a comment\nid: %d\nevent: ping\ndata: {\"revision\":%[1]d}\n\nid: %d\nevent: change\ndata: "+changeData+"\n\nid: 99\nevent: change\ndata: {\"cut", 3+n, 4+n, 4+n)
	if n == 4 {
		_ = http.NewResponseController(w).Flush()
		s.end()
	}
}

// The stream goes on behind the last complete event, whatever cuts it.
func TestAWatchGoesOnWhereItWasCut(t *testing.T) {
	for _, form := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &streams{}
		var out, errs bytes.Buffer
		var o WatchOptions
		seen := 0
		o = WatchOptions{JSON: form, Out: &out, Errs: &errs}
		s.end = func() {}
		st := &stream{server: place(t, s), first: time.Millisecond, see: func(e Event) error {
			err := o.see(e)
			if seen++; e.id == "8" {
				cancel()
			}
			return err
		}, lost: func(error, time.Duration) { fmt.Fprintln(&errs, "lost") }}
		require.NoError(t, st.run(ctx))
		require.Equal(t, []string{"", "4", "6", "6"}, s.asked)
		require.Equal(t, 3, strings.Count(errs.String(), "lost"))
		if form {
			for line := range strings.Lines(out.String()) {
				var e struct {
					Event string
					Data  map[string]any
				}
				require.NoError(t, json.Unmarshal([]byte(line), &e), line)
			}
			require.Equal(t, 3, strings.Count(out.String(), "\n"), "pings are not shown: %s", out.String())
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
	status = http.StatusNotFound
	require.ErrorContains(t, Watch(t.Context(), by, WatchOptions{Out: &out, Errs: &out}), "an older one")
	status = http.StatusServiceUnavailable
	require.ErrorContains(t, Watch(t.Context(), by, WatchOptions{Out: &out, Errs: &out}), "(503)")
	require.ErrorContains(t, Watch(t.Context(), by, WatchOptions{Since: "-1"}), "--since must be a revision")
	require.Empty(t, out.String())
}

// Whoever reads no further ends the watch.
func TestAnOutputThatIsGoneEndsAWatch(t *testing.T) {
	gone := errors.New("gone")
	s := &streams{end: func() {}}
	require.ErrorIs(t, (&stream{server: place(t, s), see: func(Event) error { return gone }}).run(t.Context()), gone)
}
