package servicemgmt

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func shown(x *index, id, owner, name, category string, state heartbeat.State, at heartbeat.Revision) {
	attrs := fmt.Sprintf(`{"serName":%q,"version":"1","serializer":"JSON","serCategory":{"href":"h","id":%q,"name":"n","version":"1"}}`, name, category)
	x.changed(heartbeat.ID(id), &heartbeat.Snapshot{At: at, Record: heartbeat.Record{ID: heartbeat.ID(id), Owner: owner, State: state, Attributes: attrs, RegisteredAt: int64(at)}})
}

// reserved makes a reservation for a registration of a name that nobody else has.
func reserved(x *index, owner, id string, most int, free bool) bool {
	_, ok := x.reserve(claimant{owner: owner, name: "new", id: heartbeat.ID(id)}, limit{most, free})
	return ok
}

// Between the moment in which a registration is seen and the one in which it is
// answered it was counted twice, and the last of many at once was refused.
func TestARegistrationCountsOnce(t *testing.T) {
	x := newIndex(false)
	require.True(t, reserved(x, "app", "a", 2, false))
	shown(x, "a", "app", "n", "c", heartbeat.Active, 1)
	require.True(t, reserved(x, "app", "b", 2, false), "a is one, seen or not")
	require.False(t, reserved(x, "app", "c", 2, false))
	require.True(t, reserved(x, "other", "d", 2, false), "the limit is each application's own")
	x.release(claimant{owner: "app", id: "b"}) // it failed
	require.True(t, reserved(x, "app", "c", 2, false))
	x.release(claimant{owner: "app", id: "a"})
	x.release(claimant{owner: "app", id: "c"})
	x.release(claimant{owner: "other", id: "d"})
	require.Empty(t, x.reserved)
}

func TestSuspendedServicesAreFreeOnlyUnderCompat(t *testing.T) {
	x := newIndex(false)
	shown(x, "a", "app", "n", "c", heartbeat.Suspended, 1)
	require.False(t, reserved(x, "app", "b", 1, false))
	require.True(t, reserved(x, "app", "b", 1, true))
	shown(x, "b", "app", "n", "c", heartbeat.Active, 2)
	require.False(t, reserved(x, "app", "d", 1, true))
}

func TestEveryIndexFollowsEveryChange(t *testing.T) {
	x := newIndex(false)
	of := func(owner string, f mp1.Filter) (out []string) {
		for _, it := range x.find(owner, f) {
			out = append(out, string(it.id))
		}
		return out
	}
	shown(x, "b", "app", "n", "c", heartbeat.Active, 1)
	shown(x, "a", "app", "n", "c", heartbeat.Active, 2)
	shown(x, "c", "other", "m", "d", heartbeat.Inactive, 3)
	require.Equal(t, []string{"b", "a", "c"}, of("", mp1.Filter{}), "in the order of registration")
	require.Equal(t, []string{"b", "a"}, of("app", mp1.Filter{}))
	require.Equal(t, []string{"b", "a"}, of("", mp1.Filter{SerNames: []string{"n", "n", "x"}}), "each once")
	require.Equal(t, []string{"c"}, of("", mp1.Filter{SerCategoryID: "d"}))
	require.Equal(t, []string{"a", "c"}, of("", mp1.Filter{SerInstanceIDs: []string{"c", "a", "zz", "a"}}))
	require.Empty(t, of("app", mp1.Filter{SerInstanceIDs: []string{"c"}}))

	shown(x, "a", "app", "renamed", "d", heartbeat.Active, 4)
	require.Equal(t, []string{"b"}, of("", mp1.Filter{SerNames: []string{"n"}}))
	require.ElementsMatch(t, []string{"a", "c"}, of("", mp1.Filter{SerCategoryID: "d"}))
	for _, id := range []heartbeat.ID{"a", "b", "c"} {
		x.changed(id, &heartbeat.Snapshot{})
	}
	require.Empty(t, of("", mp1.Filter{}))
	require.Empty(t, x.byName)
	require.Empty(t, x.byCategory)
	require.Empty(t, x.byOwner)

	x.changed("bad", &heartbeat.Snapshot{At: 9, Record: heartbeat.Record{ID: "bad", Owner: "app", State: heartbeat.Active, Attributes: "{"}})
	require.Nil(t, x.get("bad"), "a record that says nothing is not shown")
}

// A release before stored what the application said of isLocal, which is the platform's
// to say (MEC 011 §8.1.2.2 NOTE 4).
func TestWhatAnApplicationSaidOfIsLocalIsNotBelieved(t *testing.T) {
	svc, err := newIndex(false).serviceOf(&heartbeat.Record{ID: "a", Owner: "app", State: heartbeat.Active, Attributes: `{"serName":"n","version":"1","serializer":"JSON","isLocal":false}`})
	require.NoError(t, err)
	require.True(t, *svc.Info().IsLocal)
	no, yes := false, true
	text, err := attributes(mp1.ServiceInfo{SerName: "n", IsLocal: &no})
	require.NoError(t, err)
	other, err := attributes(mp1.ServiceInfo{SerName: "n", IsLocal: &yes})
	require.NoError(t, err)
	require.Equal(t, other, text, "to say another thing of it is no change")
}
