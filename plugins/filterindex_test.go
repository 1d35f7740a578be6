package plugins

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// anyFilter and anyService have few values, so that many of them meet.
func anyFilter(r *rand.Rand) *mp1.FilteringCriteria {
	if r.IntN(8) == 0 {
		return nil
	}
	some := func(kind string) (out []string) {
		for range r.IntN(4) {
			out = append(out, fmt.Sprint(kind, r.IntN(3)))
		}
		return out
	}
	c := &mp1.FilteringCriteria{}
	switch r.IntN(5) {
	case 0:
		c.SerInstanceIDs = some("id")
	case 1:
		c.SerNames = some("name")
	case 2:
		for _, id := range some("category") {
			c.SerCategories = append(c.SerCategories, mp1.CategoryRef{ID: id, Name: fmt.Sprint(r.IntN(9))})
		}
	case 3: // no request may have several, and they are ANDed all the same
		c.SerInstanceIDs, c.SerNames = some("id"), some("name")
	}
	for range r.IntN(5) {
		c.States = append(c.States, []mp1.State{mp1.Active, mp1.Inactive, mp1.Suspended}[r.IntN(3)])
	}
	if r.IntN(3) == 0 {
		is := r.IntN(2) == 0
		c.IsLocal = &is
	}
	return c
}

func anyService(r *rand.Rand) *mp1.ServiceInfo {
	i := &mp1.ServiceInfo{SerInstanceID: fmt.Sprint("id", r.IntN(3)), SerName: fmt.Sprint("name", r.IntN(3)), State: []mp1.State{mp1.Active, mp1.Inactive, mp1.Suspended}[r.IntN(3)]}
	if r.IntN(3) > 0 {
		i.SerCategory = &mp1.CategoryRef{ID: fmt.Sprint("category", r.IntN(3))}
	}
	if r.IntN(2) == 0 {
		is := r.IntN(2) == 0
		i.IsLocal = &is
	}
	return i
}

func asking(c *mp1.FilteringCriteria) *mp1.Subscription {
	return &mp1.Subscription{SubscriptionType: mp1.SubscriptionType, FilteringCriteria: c}
}

// A subscription that the index misses is never notified: it must find what Match says, for
// every combination of criteria, and nothing twice.
func TestTheIndexFindsWhomTheFilterMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	var x FilterIndex[int]
	filters := map[int]*mp1.FilteringCriteria{}
	for n := range 600 {
		if n%3 == 2 && len(filters) > 0 {
			gone := r.IntN(n)
			if c, ok := filters[gone]; ok {
				x.Remove(asking(c), gone)
				delete(filters, gone)
			}
		}
		filters[n] = anyFilter(r)
		x.Add(asking(filters[n]), n)
		i := anyService(r)
		found := map[int]bool{}
		for v := range x.Candidates(Subject{Service: i}) {
			require.False(t, found[v], "found twice: %+v", filters[v])
			found[v] = true
			c, ok := filters[v]
			require.True(t, ok, "it was taken out")
			if c == nil || len(c.SerInstanceIDs) == 0 || len(c.SerNames) == 0 {
				require.True(t, c.Match(i), "%+v does not ask for %+v", c, i)
			}
		}
		for v, c := range filters {
			if c.Match(i) && !found[v] {
				require.Failf(t, "somebody is not told", "%+v of %+v", c, i)
			}
		}
	}
	for n, c := range filters {
		x.Remove(asking(c), n)
	}
	require.Empty(t, x.byKey, "nothing is kept of whoever left")
}

func TestWhoDoesNotAskCostsNothing(t *testing.T) {
	var x FilterIndex[int]
	for n := range 10000 {
		x.Add(asking(&mp1.FilteringCriteria{SerNames: []string{"name"}, States: []mp1.State{mp1.Inactive}}), n)
	}
	looked := 0
	for range x.Candidates(Subject{Service: &mp1.ServiceInfo{SerName: "name", SerInstanceID: "id", State: mp1.Suspended}}) {
		looked++
	}
	require.Zero(t, looked, "none of them is even looked at")
}

// A platform with thousands of subscriptions to services terminates an application, and one
// with thousands of applications that wait for their termination changes a service: neither
// may cost a look at what asks for the other.
func TestATerminationAndAServiceCostEachOtherNothing(t *testing.T) {
	var x FilterIndex[int]
	all, app := asking(nil), func(n int) *mp1.Subscription {
		return &mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType, AppInstanceID: fmt.Sprint("app", n)}
	}
	for n := range 10000 {
		x.Add(all, -n-1)
		x.Add(asking(&mp1.FilteringCriteria{SerNames: []string{fmt.Sprint("app", n)}}), -n-1)
		x.Add(app(n), n)
	}
	var told []int
	of := Subject{Terminated: "app7"}
	for v := range x.Candidates(of) {
		told = append(told, v)
	}
	require.Equal(t, []int{7}, told, "none of the others is even looked at")
	require.True(t, of.AskedBy(app(7)))
	require.False(t, of.AskedBy(app(8)))
	require.False(t, of.AskedBy(all), "of every service, and of no application")
	service := Subject{Service: &mp1.ServiceInfo{SerName: "other", SerInstanceID: "app7"}}
	for v := range x.Candidates(service) {
		require.Negative(t, v, "whoever waits for a termination is not looked at")
	}
	require.False(t, service.AskedBy(app(7)))
	keys := 0
	for range MatchingKeys(of) {
		keys++
	}
	require.Equal(t, 1, keys)
	x.Remove(app(7), 7)
	for range x.Candidates(of) {
		require.Fail(t, "nothing is kept of whoever left")
	}
}

// A thousand subscriptions of a thousand names in three states each took 1.7 GB.
func TestAFilterIsEnteredOnceForEachOfItsValues(t *testing.T) {
	yes := true
	c := &mp1.FilteringCriteria{States: []mp1.State{mp1.Active, mp1.Inactive, mp1.Suspended}, IsLocal: &yes}
	for n := range 1000 {
		c.SerNames = append(c.SerNames, fmt.Sprint("name", n))
	}
	require.Len(t, FilterKeysOf(asking(c)), 1000)
}

// A state without a bit of its own is in the set of every filter: correct, and slow.
func TestEveryStateOfMp1HasABitOfItsOwn(t *testing.T) {
	var all states
	for _, s := range mp1.States {
		one := stateOf(s)
		require.Zero(t, all&one, s)
		all |= one
	}
	require.Equal(t, anyState, all)
}
