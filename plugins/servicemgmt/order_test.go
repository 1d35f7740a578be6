package servicemgmt

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
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

// A service says of itself who owns it, for EdgeGallery's portal draws that.
func TestServicesNameTheirOwnerOnlyUnderCompat(t *testing.T) {
	for _, compat := range []bool{false, true} {
		x := newIndex(compat)
		shown(x, "a", "app", "n", "c", heartbeat.Active, 1)
		require.Equal(t, compat, x.get("a").svc.EdgeGallery)
	}
}
