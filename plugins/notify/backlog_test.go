package notify

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// The index of the backlog must find exactly what a scan of all events would find.
func TestABacklogFindsWhatAFilterMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 2))
	b, there := newBacklog(), map[heartbeat.Revision]*message{}
	is := r.IntN(2) == 0
	asked := []mp1.Subscription{termination("3"), termination("9")}
	for _, c := range []*mp1.FilteringCriteria{nil, {}, {SerInstanceIDs: []string{"1", "2", "2"}}, {SerNames: []string{"3", "1", "5"}},
		{SerCategories: []mp1.CategoryRef{{ID: "a"}, {ID: "b"}}, States: []mp1.State{mp1.Active}}, {States: []mp1.State{mp1.Suspended, mp1.Active}}, {IsLocal: &is}} {
		asked = append(asked, mp1.Subscription{FilteringCriteria: c})
	}
	for at := range heartbeat.Revision(2000) {
		m := event(at+1, fmt.Sprint(r.IntN(7), " ", string("SA+T"[r.IntN(4)])), 0)
		if m.terminate == nil && r.IntN(2) == 0 {
			m.info.SerCategory = &mp1.CategoryRef{ID: string("abc"[r.IntN(3)])}
		}
		if m.terminate == nil && r.IntN(2) == 0 {
			m.info.IsLocal = &is
		}
		b.add(fmt.Sprint(m.at), m)
		there[m.at] = m
		if r.IntN(3) > 0 {
			gone := heartbeat.Revision(r.IntN(int(at) + 1))
			b.erase(fmt.Sprint(gone))
			delete(there, gone)
		}
		if at%50 != 0 {
			continue
		}
		for _, c := range asked {
			from := heartbeat.Revision(r.IntN(int(at) + 1))
			var want []heartbeat.Revision
			for i := from + 1; i <= m.at; i++ {
				if there[i] != nil && there[i].subject().AskedBy(&c) {
					want = append(want, i)
				}
			}
			var got []heartbeat.Revision
			for _, m := range b.behind(from, &c) {
				got = append(got, m.at)
			}
			require.Equal(t, want, got, "%+v", c)
		}
	}
	require.Len(t, b.byKey, len(there))
	require.LessOrEqual(t, len(b.list), 2*len(there)+2, "nor is much kept of what was erased")
}

// If each erased event closed its gap at once, everything after it would be copied, under
// the lock that every delivery needs.
func TestErasingCostsAsMuchAsIsErased(t *testing.T) {
	const n = 5000
	b := newBacklog()
	for i := range n {
		b.add(fmt.Sprint(i), event(heartbeat.Revision(i+1), "x S", 0))
	}
	for i := range n {
		b.erase(fmt.Sprint(i))
	}
	require.LessOrEqual(t, b.moved, n)
	require.Empty(t, b.list)
	require.Empty(t, b.byFilter)
}
