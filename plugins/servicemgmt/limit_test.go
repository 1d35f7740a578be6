package servicemgmt

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

func ids(all []*item) (out []string) {
	for _, it := range all {
		out = append(out, string(it.id))
	}
	return out
}

// An application in a crash loop reached its limit by its own SUSPENDED services for a day.
func TestTheDeadOfTheSameNameMakeRoomOldestFirst(t *testing.T) {
	x := newIndex(false)
	for i, s := range []struct {
		id, owner, name string
		state           heartbeat.State
	}{
		{"foreign", "other", "n", heartbeat.Suspended}, {"another-name", "app", "m", heartbeat.Suspended},
		{"living", "app", "n", heartbeat.Active}, {"asleep", "app", "n", heartbeat.Inactive},
		{"old", "app", "n", heartbeat.Suspended}, {"young", "app", "n", heartbeat.Suspended},
	} {
		shown(x, s.id, s.owner, s.name, "c", s.state, heartbeat.Revision(i+1))
	}
	c := func(id, name string) claimant { return claimant{owner: "app", name: name, id: heartbeat.ID(id)} }

	dead, ok := x.reserve(c("a", "n"), limit{most: 6})
	require.True(t, ok)
	require.Empty(t, dead, "there is room")
	x.release(c("a", "n"))

	dead, ok = x.reserve(c("a", "n"), limit{most: 5})
	require.True(t, ok)
	require.Equal(t, []string{"old"}, ids(dead), "only as many as needed")
	more, ok := x.reserve(c("b", "n"), limit{most: 5})
	require.True(t, ok)
	require.Equal(t, []string{"young"}, ids(more), "and each for one registration only")
	_, ok = x.reserve(c("d", "n"), limit{most: 5})
	require.False(t, ok, "neither the living, nor the INACTIVE, nor those of another name or application")
	dead2, ok := x.reserve(c("d", "m"), limit{most: 5})
	require.True(t, ok)
	require.Equal(t, []string{"another-name"}, ids(dead2))
	x.release(c("d", "m"))
	x.cancelRemoval(dead2)

	x.release(c("b", "n"))
	x.cancelRemoval(more)
	again, ok := x.reserve(c("b", "n"), limit{most: 5})
	require.True(t, ok)
	require.Equal(t, []string{"young"}, ids(again), "what did not go after all may go the next time")
	shown(x, "young", "app", "n", "c", heartbeat.Active, 20)
	require.Empty(t, x.suspendedOf(c("b", "n")), "what has come back to life does not")

	for _, it := range append(dead, again...) {
		x.changed(it.id, &heartbeat.Snapshot{})
	}
	require.Empty(t, x.displacing, "what is gone is forgotten")
}

func TestALimitThatWasLoweredTakesAllOrNone(t *testing.T) {
	x := newIndex(false)
	for i := range 6 {
		state := heartbeat.Suspended
		if i > 2 {
			state = heartbeat.Active
		}
		shown(x, fmt.Sprint("s", i), "app", "n", "c", state, heartbeat.Revision(i+1))
	}
	dead, ok := x.reserve(claimant{owner: "app", name: "n", id: "a"}, limit{most: 4})
	require.True(t, ok)
	require.Equal(t, []string{"s0", "s1", "s2"}, ids(dead))
	x.cancelRemoval(dead)
	x.release(claimant{owner: "app", name: "n", id: "a"})
	_, ok = x.reserve(claimant{owner: "app", name: "n", id: "a"}, limit{most: 3})
	require.False(t, ok)
	require.Empty(t, x.displacing, "none goes for a registration that is refused all the same")
	require.Empty(t, x.reserved)
}

func TestRegistrationsAtOnceChooseDifferentDead(t *testing.T) {
	const most = 50
	x := newIndex(false)
	for i := range most {
		shown(x, fmt.Sprintf("s%02d", i), "app", "n", "c", heartbeat.Suspended, heartbeat.Revision(i+1))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	chosen, refused := map[heartbeat.ID]bool{}, 0
	for i := range most + 5 {
		wg.Go(func() {
			dead, ok := x.reserve(claimant{owner: "app", name: "n", id: heartbeat.ID(fmt.Sprint("new", i))}, limit{most: most})
			mu.Lock()
			defer mu.Unlock()
			if !ok {
				refused++
				return
			}
			for _, it := range dead {
				require.False(t, chosen[it.id])
				chosen[it.id] = true
			}
		})
	}
	wg.Wait()
	require.Len(t, chosen, most)
	require.Equal(t, 5, refused)
}

// A record that cannot be read is shown to nobody, so that its application registers anew: it took
// the place of the new one.
func TestWhatNobodyIsShownTakesNoRoom(t *testing.T) {
	x := newIndex(false)
	shown(x, "seen", "app", "n", "c", heartbeat.Active, 1)
	for i, state := range []heartbeat.State{heartbeat.Active, heartbeat.Suspended} {
		id := heartbeat.ID(fmt.Sprint("unseen", i))
		x.changed(id, &heartbeat.Snapshot{At: 2, Record: heartbeat.Record{ID: id, Owner: "app", State: state, Attributes: `{"serName":"n","version":2}`}})
		require.Nil(t, x.get(id).service())
	}
	c := claimant{owner: "app", name: "n", id: "new"}
	dead, ok := x.reserve(c, limit{most: 2})
	require.True(t, ok)
	require.Empty(t, dead)
	x.release(c)
	_, ok = x.reserve(c, limit{most: 1})
	require.False(t, ok, "none that nobody is shown goes for it, as that would make no room")
	require.Empty(t, x.displacing)
	dead, ok = x.reserve(c, limit{most: 2, suspendedFree: true})
	require.True(t, ok)
	require.Empty(t, dead)
}

// All services of an application were read at each refusal, while nobody else found or changed any.
func TestARefusalReadsNoDescription(t *testing.T) {
	x := newIndex(false)
	for i, state := range []heartbeat.State{heartbeat.Active, heartbeat.Suspended} {
		shown(x, fmt.Sprint("s", i), "app", "n", "c", state, heartbeat.Revision(i+1))
	}
	bad := heartbeat.Snapshot{At: 3, Record: heartbeat.Record{ID: "bad", Owner: "app", State: heartbeat.Active, Attributes: `{"serName":"n","version":2}`}}
	x.changed("bad", &bad)
	bad.At++ // it stays what it is
	x.changed("bad", &bad)
	dead, ok := x.reserve(claimant{owner: "app", name: "n", id: "a"}, limit{most: 2})
	require.True(t, ok)
	require.Equal(t, []string{"s1"}, ids(dead))
	_, ok = x.reserve(claimant{owner: "app", name: "n", id: "b"}, limit{most: 2})
	require.False(t, ok)
	for id, it := range x.byID {
		require.Nil(t, it.svc.Load(), id)
	}
}
