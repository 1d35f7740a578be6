package heartbeat

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Record and end of its lease may come in one batch: the instance is known, and absent.
func TestABatchThatEndsWithAnAbsenceEntersTheInstance(t *testing.T) {
	put := func(r Record) Observation { return Observation{ID: "i", Revision: 5, Present: true, Record: r} }
	beating := Record{ID: "i", Owner: "app", State: Active, Interval: 10, Window: 20, Lease: 7}
	projected := Observation{ID: "i", Revision: 5, Projected: true, Present: true, Lease: 7}
	ended := Observation{ID: "i", Revision: 6, Projected: true}
	removed := Observation{ID: "i", Revision: 6}
	for name, c := range map[string]struct {
		batch         []Observation
		known, absent bool
	}{
		"registered":                        {[]Observation{put(beating), projected}, true, false},
		"registered, and its lease ended":   {[]Observation{put(beating), projected, ended}, true, true},
		"in the other order":                {[]Observation{projected, put(beating), ended}, true, true},
		"registered and removed":            {[]Observation{put(beating), projected, removed, ended}, false, false},
		"the end of what is not known":      {[]Observation{ended}, false, false},
		"the end of another's, then itself": {[]Observation{{ID: "j", Revision: 4, Projected: true}, put(beating), projected, ended}, true, true},
	} {
		e := New(Config{Store: failing{}, Alone: true, Clock: func() (time.Duration, int64) { return time.Hour, 0 }})
		e.ready.Store(true)
		e.end() // nothing is carried out
		e.Observe(c.batch, 6)
		_, err := e.Get(context.Background(), "i")
		require.Equal(t, c.known, err == nil, name)
		require.Equal(t, c.absent, e.Stats().Absent == 1, name)
	}
}
