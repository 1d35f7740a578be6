package agent

import (
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"

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
