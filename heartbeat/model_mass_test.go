package heartbeat

import (
	"strings"
	"testing"
)

// The configurations of masses. Where one cannot be explored to the end in the time that
// the default tier has, quick says how far that goes.
var massConfigs = []massConfig{
	{name: "the release before", policy: brisk(2), replicas: 2, old: [4]bool{true, true}, left: massBudget{revokes: 1}, broken: "I2", max: 1e6},
	{name: "one lease", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1}, max: 1e6},
	{name: "a watermark on its way", policy: brisk(1), replicas: 2, instances: 1, floating: true, left: massBudget{revokes: 1}, quick: 50e3, max: 4e6},
	{name: "two leases", policy: brisk(1), replicas: 2, left: massBudget{revokes: 2}, quick: 50e3, max: 4e6},
	{name: "a replica's own lease", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, keys: 1}, quick: 50e3, max: 4e6},
	{name: "a replica's own lease, a late watch", policy: brisk(3), replicas: 2, instances: 1, left: massBudget{revokes: 1, keys: 1}, quick: 50e3, max: 4e6},
	{name: "a heartbeat", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{beats: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "a PUT", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{puts: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "from the registrations on", policy: brisk(1), replicas: 2, register: true, left: massBudget{revokes: 1, replies: 1}, quick: 50e3, max: 4e6},
	{name: "a pause", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, pauses: 1}, quick: 50e3, max: 4e6},
	{name: "a crash and a start", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{beats: 1, revokes: 1, crashes: 1, joins: 1}, quick: 50e3, max: 4e6},
	{name: "a replica joins", policy: brisk(1), replicas: 2, instances: 1, absent: 1, left: massBudget{beats: 1, revokes: 1, joins: 1}, quick: 50e3, max: 4e6},
	{name: "a new list", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, relists: 2}, quick: 50e3, max: 4e6},
	{name: "an unanswered action", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, lost: 1}, quick: 50e3, max: 4e6},
	{name: "beside the release before", policy: brisk(2), replicas: 2, instances: 1, old: [4]bool{true}, prompt: true, left: massBudget{beats: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "beside the release before, which heard it", policy: brisk(2), replicas: 2, instances: 1, old: [4]bool{false, true}, prompt: true, left: massBudget{beats: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "four replicas", policy: brisk(1), replicas: 4, instances: 1, left: massBudget{revokes: 1}, quick: 50e3, max: 4e6},
	{name: "four replicas, two leases", policy: brisk(1), replicas: 4, left: massBudget{revokes: 2, keys: 1}, quick: 50e3, max: 4e6},
}

func (c *massConfig) limit() int {
	return (&modelConfig{max: c.max, quick: min(c.quick, *modelStates/3)}).limit()
}

// TestModelOfMasses explores masses of false revocations at any speed of the store.
func TestModelOfMasses(t *testing.T) {
	for _, c := range massConfigs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMassModel(c)
			e := explore(m, c.limit())
			t.Log(&e)
			switch {
			case c.broken == "" && e.bad != "":
				t.Errorf("%s\n%s", e.bad, e.trace)
			case !strings.HasPrefix(e.bad, c.broken):
				t.Errorf("%q does not break, but: %q", c.broken, e.bad)
			case c.broken != "":
				t.Logf("as it must: %s\n%s", e.bad, e.trace)
			}
		})
	}
}
