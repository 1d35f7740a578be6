package heartbeat

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Record and end of its lease may come in one batch: the instance is known, and absent.
func TestABatchThatEndsWithAnAbsenceEntersTheInstance(t *testing.T) {
	put := func(r Record) Sight { return Sight{ID: "i", Revision: 5, Present: true, Record: r} }
	beating := Record{ID: "i", Owner: "app", State: Active, Interval: 10, Window: 20, Lease: 7}
	projected := Sight{ID: "i", Revision: 5, Projected: true, Present: true, Lease: 7}
	ended := Sight{ID: "i", Revision: 6, Projected: true}
	removed := Sight{ID: "i", Revision: 6}
	for name, c := range map[string]struct {
		batch         []Sight
		known, absent bool
	}{
		"registered":                        {[]Sight{put(beating), projected}, true, false},
		"registered, and its lease ended":   {[]Sight{put(beating), projected, ended}, true, true},
		"in the other order":                {[]Sight{projected, put(beating), ended}, true, true},
		"registered and removed":            {[]Sight{put(beating), projected, removed, ended}, false, false},
		"the end of what is not known":      {[]Sight{ended}, false, false},
		"the end of another's, then itself": {[]Sight{{ID: "j", Revision: 4, Projected: true}, put(beating), projected, ended}, true, true},
	} {
		e := New(Config{Store: failing{}, Alone: true, Clock: func() (Instant, int64) { return time.Hour, 0 }})
		e.ready.Store(true)
		e.end() // nothing is carried out
		e.See(c.batch, 6)
		_, err := e.Get(context.Background(), "i")
		require.Equal(t, c.known, err == nil, name)
		require.Equal(t, c.absent, e.Stats().Absent == 1, name)
	}
}
