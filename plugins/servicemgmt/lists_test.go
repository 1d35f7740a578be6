package servicemgmt

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

func everything(it *item) *server.Service { return it.service() }

// those is the services of which a test says that they are shown.
func those(shown func(heartbeat.ID) bool) func(*item) *server.Service {
	return func(it *item) *server.Service {
		if !shown(it.id) {
			return nil
		}
		return it.service()
	}
}

func namesOf(all []*server.Service) (out []string) {
	for _, s := range all {
		out = append(out, s.ID)
	}
	return out
}

// Readers of one list shared nothing: 150 of them that did not read held 330 MB.
func TestReadersShareAListUntilItChanges(t *testing.T) {
	x, l := newIndex(false), &lists{}
	for i := range 100 {
		shown(x, fmt.Sprintf("s%03d", i), "app", "n", "c", heartbeat.Active, heartbeat.Revision(i+1))
	}
	all := l.discover(x, mp1.Filter{}, everything)
	require.Len(t, all, 100)
	require.Same(t, &all[0], &l.discover(x, mp1.Filter{}, everything)[0])
	allocated := testing.AllocsPerRun(100, func() { l.discover(x, mp1.Filter{}, everything) })
	require.Less(t, allocated, 20.0, "and making it again costs nothing in proportion")

	hidden := those(func(id heartbeat.ID) bool { return id != "s050" })
	less := l.discover(x, mp1.Filter{}, hidden)
	require.Len(t, less, 99)
	require.NotContains(t, namesOf(less), "s050")
	require.Len(t, all, 100, "what somebody is reading does not change")
	require.Equal(t, "s050", all[50].ID)
	require.Same(t, &less[0], &l.discover(x, mp1.Filter{}, hidden)[0])
	require.Equal(t, namesOf(all), namesOf(l.discover(x, mp1.Filter{}, everything)), "and it comes back in its place")

	shown(x, "s010", "app", "renamed", "c", heartbeat.Active, 1000)
	again := l.discover(x, mp1.Filter{}, everything)
	require.Equal(t, "renamed", again[99].Info().SerName)
	x.changed("s099", &heartbeat.Snapshot{})
	require.Len(t, l.discover(x, mp1.Filter{}, everything), 99)
	last := l.discover(x, mp1.Filter{}, those(func(id heartbeat.ID) bool { return id == "s000" }))
	require.Equal(t, []string{"s000"}, namesOf(last))
	require.Empty(t, l.discover(x, mp1.Filter{}, those(func(heartbeat.ID) bool { return false })))
	require.Len(t, l.discover(x, mp1.Filter{}, everything), 99)
}

func TestEachFilterHasItsOwnListAndTheyAreFew(t *testing.T) {
	x, l := newIndex(false), &lists{}
	for i := range 1000 {
		shown(x, fmt.Sprintf("s%03d", i), "app", fmt.Sprint("n", i%10), "c", heartbeat.Active, heartbeat.Revision(i+1))
	}
	yes, no := true, false
	filters := []mp1.Filter{{}, {SerCategoryID: "c"}, {SerCategoryID: "d"}, {IsLocal: &yes}, {IsLocal: &no}, {ConsumedLocalOnly: &no},
		{SerNames: []string{"n1"}}, {SerNames: []string{"n1", "n2"}}, {SerNames: []string{"n1\x1fn2"}}, {SerInstanceIDs: []string{"n1"}}, {ScopeOfLocality: "MEC_HOST"}}
	for range 2 {
		for _, f := range filters {
			want := x.find("", f)
			got := l.discover(x, f, everything)
			require.Len(t, got, len(want), f.Query())
			for i := range want {
				require.Same(t, want[i].service(), got[i])
			}
		}
	}
	for i := range 500 { // all match, each in a filter of its own
		names := []string{"n1", "n2", fmt.Sprint("made up ", i)}
		require.Len(t, l.discover(x, mp1.Filter{SerNames: names}, everything), 200)
		require.LessOrEqual(t, len(l.cached), maxLists)
	}
}
