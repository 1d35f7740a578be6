package heartbeat

import (
	"context"
	"testing"
)

func TestTheRecordSaysWhyItIsInItsState(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		want := func(state State, why Cause) {
			t.Helper()
			told := l.events("i")
			last := told[len(told)-1]
			if r := l.at("i").Record; r.State != state || r.Cause != why || last.Record.Cause != why {
				t.Errorf("%s because of %+v, told as %+v; want %s because of %+v", r.State, r.Cause, last.Record.Cause, state, why)
			}
		}
		put := func(u Update) {
			t.Helper()
			u.Owner, u.Proposed = "app", KeepInterval
			if _, err := s.Update(context.Background(), "i", u); err != nil {
				t.Fatal(err)
			}
		}
		s.register("i")
		want(Active, Cause{Kind: ByRegistration})
		until(t, "nobody beats", func() bool { return l.at("i").Record.State == Suspended })
		want(Suspended, Cause{Kind: BySilence, By: "replica 0"})
		if was := l.events("i")[1].Was; was != Active {
			t.Errorf("it was %s", was)
		}
		put(Update{State: Suspended, Attributes: "{ }"})
		want(Suspended, Cause{Kind: BySilence, By: "replica 0"})
		s.beat("i")
		want(Active, Cause{Kind: ByHeartbeat})
		put(Update{State: Inactive})
		want(Inactive, Cause{Kind: ByApplication})
		put(Update{State: Active, Attributes: "{ }"})
		want(Active, Cause{Kind: ByApplication})
		if err := s.Remove(context.Background(), "i", Removal{Owner: "app"}); err != nil {
			t.Fatal(err)
		}
		told := l.events("i")
		if last := told[len(told)-1]; last.Record.Cause.Kind != ByDeletion || last.Was != Active {
			t.Errorf("it was %s, and deleted because of %+v", last.Was, last.Record.Cause)
		}
	})
}
