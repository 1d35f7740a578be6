package servicemgmt

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// EdgeGallery's agent gives its application the first service of the list. Where the dead stay
// in it, the first must not be one of them.
func TestActiveServicesComeFirstOnlyUnderCompat(t *testing.T) {
	for compat, want := range map[bool][]string{false: {"a", "b", "c", "d"}, true: {"b", "d", "a", "c"}} {
		x, l := newIndex(compat), &lists{}
		shown(x, "a", "app", "n", "c", heartbeat.Suspended, 1)
		shown(x, "b", "app", "n", "c", heartbeat.Active, 2)
		shown(x, "c", "app", "n", "c", heartbeat.Inactive, 3)
		shown(x, "d", "app", "n", "c", heartbeat.Active, 4)
		require.Equal(t, want, namesOf(l.discover(x, mp1.Filter{}, everything)), compat)
		require.Equal(t, want, namesOf(l.discover(x, mp1.Filter{SerNames: []string{"n"}}, everything)), compat)
		require.Len(t, x.find("app", mp1.Filter{}), 4)

		shown(x, "b", "app", "n", "c", heartbeat.Suspended, 5)
		shown(x, "a", "app", "n", "c", heartbeat.Active, 6)
		if compat {
			require.Equal(t, []string{"d", "a", "c", "b"}, namesOf(l.discover(x, mp1.Filter{}, everything)), "they move as they die and come back")
		}
	}
}

// Between the end of a lease and the write that suspends the service, which a full store may put
// off for long, a list that shows the SUSPENDED shows it as one of them. It used to vanish from it.
func TestWhoIsToBeSuspendedIsShownAsIfItWereWhereTheSuspendedAre(t *testing.T) {
	for compat, want := range map[bool][]string{false: {"a SUSPENDED", "b ACTIVE", "c INACTIVE"}, true: {"b ACTIVE", "a SUSPENDED", "c INACTIVE"}} {
		x, l := newIndex(compat), &lists{}
		x.suspended = true
		x.published = func(s *server.Service) *mp1.EndPointInfo {
			return &mp1.EndPointInfo{URIs: []string{"http://gateway/" + s.ID}}
		}
		for i, state := range []heartbeat.State{heartbeat.Active, heartbeat.Active, heartbeat.Inactive} {
			id := string(rune('a' + i))
			x.changed(heartbeat.ID(id), &heartbeat.Snapshot{At: heartbeat.Revision(i + 1), Record: heartbeat.Record{ID: heartbeat.ID(id), Owner: "app", State: state, Interval: 60, Window: 120,
				Attributes: `{"serName":"n","version":"1","serializer":"JSON","transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2","endpoint":{"uris":["http://here/"]},"security":{}}}`, RegisteredAt: int64(i)}})
		}
		silent := func(it *item) *server.Service {
			if it.id == "a" {
				return it.suspended()
			}
			return it.service()
		}
		require.Equal(t, []string{"a ACTIVE", "b ACTIVE", "c INACTIVE"}, statesOf(l.discover(x, mp1.Filter{}, everything)))
		all := l.discover(x, mp1.Filter{}, silent)
		require.Equal(t, want, statesOf(all), compat)
		for i, s := range all {
			require.Equal(t, []string{"http://gateway/" + s.ID}, s.Published(s).URIs)
			require.Equal(t, []any{"app", 60, compat}, []any{s.Owner, s.Interval, s.EdgeGallery})
			require.Same(t, s, l.discover(x, mp1.Filter{}, silent)[i], "readers share it")
		}
		require.Equal(t, []string{"a ACTIVE", "b ACTIVE", "c INACTIVE"}, statesOf(l.discover(x, mp1.Filter{}, everything)), "a heartbeat came after all")
	}
	x := newIndex(false)
	x.changed("a", &heartbeat.Snapshot{At: 1, Record: heartbeat.Record{ID: "a", State: heartbeat.Active, Interval: 60, Window: 120, Attributes: `{"serName":"n","version":"1","serializer":"JSON"}`}})
	require.Nil(t, x.get("a").suspended(), "where the SUSPENDED are not shown, neither is it")
}

func statesOf(all []*server.Service) (out []string) {
	for _, s := range all {
		out = append(out, s.ID+" "+string(s.Info().State))
	}
	return out
}

// A service says of itself who owns it, for EdgeGallery's portal draws that.
func TestServicesNameTheirOwnerOnlyUnderCompat(t *testing.T) {
	for _, compat := range []bool{false, true} {
		x := newIndex(compat)
		shown(x, "a", "app", "n", "c", heartbeat.Active, 1)
		require.Equal(t, compat, x.get("a").service().EdgeGallery)
	}
}
