package events

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// known is what the engine knows of a service in a state; None: that it is gone.
func known(s heartbeat.State) *heartbeat.Snapshot {
	if s == heartbeat.None {
		return &heartbeat.Snapshot{}
	}
	return &heartbeat.Snapshot{At: 1, Record: heartbeat.Record{State: s}}
}

// What this replica has acknowledged stands in the reset of a stream that begins then.
func TestAStreamBeginsWithWhatWasAcknowledged(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 9, Services: []*plugins.Event{added(9, "a", "x")}}, func(t *testing.T, w *world) {
		w.feed.changed("a", known(heartbeat.Active))
		w.feed.changed("b", known(heartbeat.Active))
		r := wait(w.open("", ""))
		require.Empty(t, r.read(t), "b is on its way")
		w.see(added(10, "b", "y"))
		synctest.Wait()
		require.Equal(t, []string{"10 reset a=ACTIVE b=ACTIVE"}, brief(t, r.read(t)))
		w.feed.changed("a", known(heartbeat.Drained))
		w.feed.changed("b", known(heartbeat.None))
		r = wait(w.open("", ""))
		w.see(removed(11, "b", "y"))
		synctest.Wait()
		require.Empty(t, r.read(t), "a is on its way")
		time.Sleep(mostAhead)
		synctest.Wait()
		require.Equal(t, []string{"11 reset a=ACTIVE"}, brief(t, r.read(t)), "it is not waited for longer")
		w.feed.Load(&plugins.History{At: 12, Floor: 11, Services: []*plugins.Event{told(12, "a", "x", heartbeat.NoChange, heartbeat.None, heartbeat.Inactive)}})
		require.Empty(t, w.feed.ahead, "a list shows it too")
	})
}

// A reader who reads nothing keeps no other from his turn.
func TestAReaderWhoHangsLosesHisTurn(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 7}, func(t *testing.T, w *world) {
		w.feed.turns.free = 1
		slow, r := wait(w.open("", "7")), wait(w.open("", "7"))
		hangs := make(chan struct{})
		defer close(hangs)
		slow.block(hangs)
		w.see(added(10, "a", "x"))
		time.Sleep(turnTime)
		synctest.Wait()
		require.Equal(t, []string{"10 change a x ADDED >ACTIVE"}, brief(t, r.read(t)))
	})
}

// After a change that cannot be read each stream began a quarter of a second late: the engine knew of
// the change, and the feed waited for it. A service that was removed so stayed in its memory.
func TestAChangeThatCannotBeReadIsNotWaitedFor(t *testing.T) {
	in(t, &plugins.History{At: 9, Floor: 9, Services: []*plugins.Event{added(9, "a", "x"), added(9, "b", "y")}}, func(t *testing.T, w *world) {
		bad := 0
		w.feed.unreadable = func(n int) { bad += n }
		w.feed.changed("a", known(heartbeat.Suspended))
		w.feed.changed("b", known(heartbeat.None))
		lost, end := suspended(10, "a", "x"), removed(11, "b", "y")
		lost.Attributes, end.Attributes = `{"version":2}`, `{`
		w.see(lost, end)
		require.Equal(t, 2, bad)
		require.Len(t, w.feed.services, 1)
		r := wait(w.open("", ""))
		require.Equal(t, []string{"9 reset"}, brief(t, r.read(t)), "and nobody is shown it")
		w.see(resumed(12, "a", "x"))
		synctest.Wait()
		require.Equal(t, []string{"12 change a x ADDED >ACTIVEentered"}, brief(t, r.read(t)))
	})
}
