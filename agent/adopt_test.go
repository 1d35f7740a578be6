package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestAnAgentThatStartsAnewFindsItsRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 3)
		o.OnStop = Leave
		o.Services[2].Info = o.Services[1].Info // the same service twice
		require.NoError(t, run(t, o).stop())
		require.Len(t, f.registered(), 3)
		other := serviceInfo("s0")
		other.TransportInfo.Endpoint.URIs = []string{"http://elsewhere"}
		other.SerInstanceID = "another"
		f.add("another", other)
		r := run(t, o)
		advance(interval)
		require.Len(t, f.registrations(), 3)
		ids := map[string]bool{}
		for _, s := range r.Status() {
			ids[s.ID] = true
			require.NotEqual(t, "another", s.ID, "it is offered elsewhere: another agent's")
		}
		require.Len(t, ids, 3)
		require.NoError(t, r.stop())
		require.Empty(t, f.sent("DELETE", ""))
	})
}

// A platform that requires no heartbeats shows no interval.
func TestWhatNeedsNoHeartbeatsIsFoundAgainToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 1)
		o.OnStop = Leave
		plain := o.Services[0].Info
		plain.LivenessInterval = nil
		o.Services = append(o.Services, Service{Info: plain})
		shown := plain
		shown.SerInstanceID = "a1"
		f.add("a1", shown)
		shown.SerInstanceID = "a2"
		f.add("a2", shown)
		r := run(t, o)
		advance(interval)
		require.Empty(t, f.registrations())
		require.Empty(t, f.heartbeats())
		require.NoError(t, r.stop())

		zero := 10
		shown.LivenessInterval, shown.Links = &zero, &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/a2/liveness"}}
		f.add("a2", shown)
		r = run(t, o)
		advance(interval)
		require.Empty(t, f.registrations())
		require.Equal(t, []string{"a2", "a1"}, []string{r.Status()[0].ID, r.Status()[1].ID}, "who beats has the one that is to be beaten")
		require.NotEmpty(t, f.heartbeats())
		require.NoError(t, r.stop())
	})
}

func TestTheStateFileKnowsWhatTheListDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 2)
		o.OnStop, o.StateFile = Leave, filepath.Join(t.TempDir(), "state")
		require.NoError(t, run(t, o).stop())
		for id, info := range f.registered() { // a gateway shows its own address in place of ours
			moved := *info.TransportInfo
			moved.Endpoint.URIs = []string{"http://gateway/" + id}
			info.TransportInfo = &moved
			f.add(id, info)
		}
		r := run(t, o)
		advance(interval)
		require.Len(t, f.registrations(), 2)
		require.Empty(t, f.sent("PUT", ""))
		require.NoError(t, r.stop())

		o.Services[1].Info.Version = "2"
		r = run(t, o)
		advance(interval)
		require.Len(t, f.registrations(), 2)
		require.Len(t, f.sent("PUT", ""), 1, "what changed is updated, not doubled")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())

		o.Services[1].Info.Version = "3"
		refused := 0
		f.respondWith(func(r *http.Request, _ int) response {
			if r.Method == http.MethodPut && refused < 3 {
				refused++
				return respond(500, nil)
			}
			return response{}
		})
		r = run(t, o)
		advance(6 * interval)
		require.Len(t, f.sent("PUT", ""), 5, "it is tried again while the old one lives on")
		require.True(t, r.Ready())
		require.Len(t, f.registered(), 2)
		require.NoError(t, r.stop())
	})
}

// slowly pauses before each read of a list.
type slowly struct {
	*fakePlatform
	pause time.Duration
}

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.fakePlatform.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && path.Base(r.URL.Path) == "services" {
		answer.Body = &slowBody{answer.Body, r.Context(), s.pause}
	}
	return answer, err
}

type slowBody struct {
	io.ReadCloser
	ctx   context.Context
	pause time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	select {
	case <-time.After(b.pause):
		return b.ReadCloser.Read(p)
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

// An application whose list is long, or comes over a slow link, must not start without its
// registrations, and must not wait for ever either.
func TestALongListDoesNotKeepAnAgentFromItsRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(30)
		o := options(f, 2)
		o.OnStop = Leave
		require.NoError(t, run(t, o).stop())
		for i := range 150 {
			other := serviceInfo("another")
			other.SerInstanceID = fmt.Sprintf("other%d", i)
			other.TransportInfo.ImplSpecificInfo = json.RawMessage(`{"x":"` + strings.Repeat("x", 60<<10) + `"}`)
			f.add(other.SerInstanceID, other)
		}
		o.Transport = slowly{f, 200 * time.Millisecond} // 9 MB in some twenty seconds, at a timeout of 5
		r := run(t, o)
		advance(10 * time.Second)
		require.Equal(t, "searching", r.Status()[0].State)
		advance(45 * time.Second)
		require.Len(t, f.registrations(), 2)
		for _, s := range r.Status() {
			require.Equal(t, "beating", s.State)
		}
		require.NoError(t, r.stop())

		o.Transport = slowly{f, time.Hour}
		r = run(t, o)
		advance(4 * defaultTimeout)
		require.Contains(t, r.Status()[0].LastAnswer, "no answer in time")
		require.NoError(t, r.stop())
	})
}

func TestWhyAListCannotBeReadIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(30)
		f.respond = func(*http.Request, int) response {
			return response{status: 200, body: []any{map[string]string{"serName": strings.Repeat("x", 1<<20)}}}
		}
		var lines bytes.Buffer
		o := options(f, 1)
		o.Log = slog.New(slog.NewTextHandler(&lines, nil))
		r := run(t, o)
		advance(time.Second)
		require.Equal(t, "the answer is too large", r.Status()[0].LastAnswer)
		require.NoError(t, r.stop())
		require.Contains(t, lines.String(), "reason=\"the answer is too large\"")
	})
}
