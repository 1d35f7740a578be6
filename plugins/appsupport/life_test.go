package appsupport

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// kept is what is kept of an application in each state.
var kept = [states]plugins.Application{
	absent:       {},
	unregistered: {Info: mp1.AppInfo{AppInstanceID: "a"}, Unregistered: true, ReadyAt: 1, At: 7},
	registered:   {Info: info("a"), ReadyAt: 1, At: 7},
	terminating:  {Info: info("a"), ReadyAt: 1, Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: 2}, At: 7},
	terminated:   {Info: info("a"), Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: 2}, Leaving: true, At: 7},
	leaving:      {Info: info("a"), Leaving: true, At: 7},
}

func TestWhatIsKeptTellsTheState(t *testing.T) {
	for s := range states {
		require.Equal(t, s, stateOf(kept[s]), s)
	}
	both := kept[terminating]
	both.Unregistered = true
	require.Equal(t, terminating, stateOf(both))
}

// Every cell once more, as the promises are written.
func TestTheLifeOfAnApplicationCellByCell(t *testing.T) {
	const nothing = "nothing is done"
	type answers [events]any // a state, why it is refused, or nothing
	none, unknown, twice, busy := server.ErrNoTermination, server.ErrNoRegistration, server.ErrRegistered, server.ErrTerminating
	for s, want := range map[state]answers{
		//             register    update       ready         trigger      confirm     timeout     deregister  finish
		absent:       {registered, unknown, unregistered, terminating, none, nothing, unknown, nothing},
		unregistered: {registered, unknown, unregistered, terminating, none, nothing, unknown, nothing},
		registered:   {twice, registered, registered, terminating, none, nothing, leaving, nothing},
		terminating:  {busy, terminating, busy, busy, terminated, terminated, terminated, nothing},
		terminated:   {registered, unknown, busy, unknown, nothing, nothing, unknown, absent},
		leaving:      {registered, unknown, busy, unknown, none, nothing, unknown, absent},
	} {
		for e := range events {
			c := table[s][e]
			switch w := want[e].(type) {
			case state:
				require.Equal(t, cell{to: w}, c, "%v in %v", e, s)
			case error:
				require.Equal(t, cell{refused: w}, c, "%v in %v", e, s)
			default:
				require.Equal(t, cell{to: s, nothing: true}, c, "%v in %v", e, s)
			}
		}
	}
}

// What is written after an event is the state that the table names.
func TestWhatIsWrittenIsTheStateOfTheTable(t *testing.T) {
	set := map[event]func(*plugins.Application){
		register: func(a *plugins.Application) { a.Info = info("") },
		update:   func(a *plugins.Application) { a.Info = mp1.AppInfo{AppName: "m"} },
		ready:    func(a *plugins.Application) { a.ReadyAt = 3 },
		trigger: func(a *plugins.Application) {
			a.Termination = &plugins.Termination{Action: mp1.Terminating, Timeout: 9, Begun: 4}
		},
	}
	for s := range states {
		for e := range events {
			c := table[s][e]
			if c.refused != nil || c.nothing || c.to == absent {
				continue
			}
			f := set[e]
			if f == nil {
				f = func(*plugins.Application) {}
			}
			a := next(kept[s], "a", c.to, f)
			require.Equal(t, kept[s].At, a.At, "the write is compared with what was read")
			require.Equal(t, "a", a.Info.AppInstanceID)
			a.At = 8
			require.Equal(t, c.to, stateOf(a), "%v in %v", e, s)
			require.Equal(t, s == absent && e != register || s == unregistered && e != register, a.Unregistered, "%v in %v", e, s)
			if s.isRemoved() && e == register {
				require.Equal(t, plugins.Application{Info: info("a"), At: 8}, a, "a new life has nothing of the old")
			} else if c.to.isRemoved() {
				require.Zero(t, a.ReadyAt)
			} else if e != ready {
				require.Equal(t, kept[s].ReadyAt, a.ReadyAt, "%v in %v", e, s)
			}
		}
	}
	silent := kept[terminating]
	silent.Unregistered = true
	require.True(t, next(silent, "a", terminated, func(*plugins.Application) {}).Unregistered, "who did not register does not by its end")
}
