package plugins

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// waitsFor says by the documentation of Cursor whether the i-th of the events of an instance is still to
// be sent to a subscription that asks for all of them.
func waitsFor(c *Cursor, events []*Event, i int) bool {
	at := events[i].At
	if c.Gone || at <= c.After {
		return false
	}
	group := slices.Contains(c.Group, at)
	if at <= c.Passed && !slices.Contains(c.PutOff, at) && !group {
		return false
	}
	return at > c.Newest || group || !slices.ContainsFunc(events[i+1:], func(later *Event) bool { return later.At <= c.Newest })
}

func TestWhatIsPendingIsWhatCursorsSay(t *testing.T) {
	pending := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		some := func() (out []heartbeat.Revision) {
			for at := range heartbeat.Revision(20) {
				if r.IntN(5) == 0 {
					out = append(out, at+1)
				}
			}
			return out
		}
		var events []*Event
		for _, at := range some() {
			events = append(events, &Event{At: at, ID: "i", Change: heartbeat.StateChanged, State: heartbeat.Active, Attributes: `{"serName":"x"}`})
		}
		set, cursors := CursorSet{}, []*Cursor{}
		for n := range 1 + r.IntN(3) {
			c := Cursor{After: heartbeat.Revision(r.IntN(20)), Gone: r.IntN(8) == 0}
			if r.IntN(2) == 0 {
				c.Passed, c.PutOff = heartbeat.Revision(r.IntN(20)), some()
			}
			if r.IntN(3) == 0 {
				c.Newest = heartbeat.Revision(r.IntN(20))
			}
			if r.IntN(3) == 0 {
				c.Group = some()
			}
			cursors = append(cursors, &c)
			set.Add(&Subscription{ID: fmt.Sprint(n)}, c)
		}
		for i, is := range set.Pending(events) {
			want := slices.ContainsFunc(cursors, func(c *Cursor) bool { return waitsFor(c, events, i) })
			require.Equal(t, want, is == StillPending, "seed %d: event %d, cursors %+v", seed, events[i].At, cursors)
			if want {
				pending++
			}
		}
	}
	require.NotZero(t, pending)
}

// Of subscriptions for which something is put off an event costs nothing that is not put off itself.
func TestSubscriptionsThatPutOffAreNotLookedAt(t *testing.T) {
	set := CursorSet{}
	for n := range 1000 {
		set.Add(&Subscription{ID: fmt.Sprint(n)}, Cursor{After: 10, Passed: 50, PutOff: []heartbeat.Revision{11}})
	}
	looked := 0
	e := &Event{At: 30, ID: "i", Change: heartbeat.StateChanged, State: heartbeat.Active, Attributes: `{"serName":"x"}`}
	subject, err := e.Subject()
	require.NoError(t, err)
	for range set.partly.Candidates(subject) {
		looked++
	}
	require.Zero(t, looked+len(set.putOff[30]))
	require.Len(t, set.putOff[11], 1000)
	require.Equal(t, []Pending{0}, set.Pending([]*Event{e}))
}
