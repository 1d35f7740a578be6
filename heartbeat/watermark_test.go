package heartbeat

import (
	"testing"
	"time"
)

// A list does not say when a lease ended: it may have been as early as right behind what
// the watch had shown, and that end is the one that holds the watermark back.
func TestAnEndThatAListShowsMayBeAsOldAsWhatTheWatchHasNotShown(t *testing.T) {
	if got := endedSince(5, 9); got != 6 {
		t.Errorf("with a watch up to 5 and a list at 9 it may have ended at %d, not 6", got)
	}
}

// A PUT that is under way is evidence as of its receipt once it commits: until it has
// ended, the end that it may refute stays open.
func TestARequestUnderWayKeepsAnEndOpen(t *testing.T) {
	gone := aliveAt(5, "")
	gone.Projection = Projection{}
	k := knowledge{view: View{Snapshot: gone}}
	for _, c := range []struct {
		u    inProgress
		want bool
	}{{inProgress{}, false}, {inProgress{ownerRequests: 1}, true}, {inProgress{ownerRequests: 1, unusable: true}, false}} {
		if got := k.contested(Mono(time.Hour), c.u); got != c.want {
			t.Errorf("%+v: contested is %t", c.u, got)
		}
	}
}
