package servicemgmt

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// A state that only one side has must not be taken for another.
func TestMp1AndTheEngineHaveTheSameStates(t *testing.T) {
	for _, s := range mp1.States {
		got, err := stateOf(s)
		require.NoError(t, err)
		require.Equal(t, string(s), got.String())
	}
	for _, s := range heartbeat.States {
		got, err := stateOf(mp1.State(s.Shown().String()))
		require.Equal(t, s.Shown(), got)
		require.Equal(t, s == heartbeat.None, err != nil)
	}
	for _, s := range []mp1.State{"", "PAUSED"} {
		_, err := stateOf(s)
		require.Error(t, err, "%q", s)
	}
}

// A state that discovery does not know is not shown.
func TestDiscoveryShowsStatesByName(t *testing.T) {
	r := &registry{engine: heartbeat.New(heartbeat.Config{Clock: func() (time.Duration, int64) { return 0, 0 }})}
	shows := func() (out []heartbeat.State) {
		for _, s := range append(heartbeat.States[:], heartbeat.State(len(heartbeat.States))) {
			it := &item{id: "i", state: s}
			it.svc.Store(new(server.Service))
			if r.discoverable(it) != nil {
				out = append(out, s)
			}
		}
		return out
	}
	require.Equal(t, []heartbeat.State{heartbeat.Active, heartbeat.Inactive}, shows())
	r.conf.Discovery.IncludeSuspended = true
	require.Equal(t, []heartbeat.State{heartbeat.Active, heartbeat.Suspended, heartbeat.Inactive}, shows())
}
