package heartbeat

import (
	"flag"
	"testing"
	"time"
)

// brisk is a policy of one interval; its window is twice that.
func brisk(interval int) Policy {
	return Policy{DefaultInterval: interval, MinInterval: interval, MaxInterval: interval, AllowedMisses: 1, Hold: time.Second}
}

// between leaves the application a choice.
func between(least, most int) Policy {
	p := brisk(most)
	p.MinInterval = least
	return p
}

// removing is a policy with another way to remove.
func removing(p Policy, after time.Duration) Policy {
	p.DeregisterAfter = after
	return p
}

// following is a policy of two intervals, of which the load decides.
func following() Policy {
	p := between(1, 2)
	p.DefaultInterval, p.MaxBeatsPerSecond = 1, 1
	return p
}

func pointer(p Policy) *Policy { return &p }

var (
	putSame    = Update{Owner: modelOwner, State: Active, Proposed: KeepInterval}
	putOther   = Update{Owner: modelOwner, State: Active, Proposed: KeepInterval, Attributes: "other"}
	putAsleep  = Update{Owner: modelOwner, State: Inactive, Proposed: KeepInterval}
	putShorter = Update{Owner: modelOwner, State: Active, Proposed: 1}
	putLonger  = Update{Owner: modelOwner, State: Active, Proposed: 2}
	puts       = []Update{putSame, putOther, putAsleep}

	putAsleepOther = Update{Owner: modelOwner, State: Inactive, Proposed: KeepInterval, Attributes: "other"}
	drains         = []DrainRequest{{By: "admin", Reason: "disk"}, {By: "admin", Lift: true}}

	bJoins    = Update{Owner: modelOwner, Agent: "b.1", State: Active, Proposed: KeepInterval}
	bothLeave = []Removal{{Owner: modelOwner, Agent: "a.1"}, {Owner: modelOwner, Agent: "b.1"}}
)

// The configurations: few wishes and faults each, so that most of them are explored
// to the end. Where that takes too long for every day, quick says how far the
// default tier goes.
var modelConfigs = []modelConfig{
	{name: "false revocation", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1}},
	{name: "from the registration on", policy: brisk(1), replicas: 2, register: true, left: budget{beats: 1, revokes: 1}},
	{name: "two heartbeats", policy: brisk(1), replicas: 2, left: budget{beats: 2, revokes: 1}, quick: 150e3, max: 4e6},
	{name: "an unanswered action", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, lost: 1}, quick: 150e3, max: 4e6},
	{name: "a delayed reply", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, replies: 1}, quick: 150e3, max: 4e6},
	{name: "a pause", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, pauses: 1}, quick: 150e3, max: 4e6},
	{name: "a crash", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, crashes: 1}, max: 4e6},
	{name: "when it was heard last", policy: brisk(1), replicas: 2, stamps: true, puts: []Update{putOther}, left: budget{beats: 1, puts: 1, revokes: 1}, quick: 150e3, max: 4e6},
	{name: "two agents", policy: brisk(1), replicas: 2, puts: []Update{bJoins}, deletes: bothLeave, left: budget{puts: 1, deletes: 2, beats: 1}, quick: 150e3, max: 4e6},
	{name: "two agents, an unanswered action", policy: brisk(1), replicas: 2, puts: []Update{bJoins}, deletes: bothLeave, left: budget{puts: 1, deletes: 2, lost: 1}, quick: 150e3, max: 4e6},
	{name: "silences, alone", policy: brisk(2), replicas: 1, silences: true, left: budget{beats: 2, revokes: 1, crashes: 2, lost: 1}, quick: 150e3, max: 4e6},
	{name: "silences, alone, and the owner", policy: brisk(2), replicas: 1, silences: true, puts: []Update{putSame, putOther}, left: budget{beats: 1, puts: 1, crashes: 2, replies: 1}, quick: 150e3, max: 4e6},
	{name: "silences", policy: brisk(2), replicas: 2, silences: true, left: budget{beats: 1, revokes: 1, crashes: 1}, quick: 150e3, max: 4e6},
	{name: "a full store", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, fulls: 1}, quick: 150e3, max: 4e6},
	{name: "a slow flow and a late watch", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, slow: 1, late: 1}, quick: 150e3, max: 4e6},
	{name: "a slow claim", policy: brisk(1), replicas: 2, left: budget{beats: 1, revokes: 1, slow: 1}, quick: 150e3, max: 4e6},
	{name: "the owner", policy: brisk(1), replicas: 2, puts: puts, left: budget{puts: 1, deletes: 1, revokes: 1}, max: 4e6},
	{name: "the owner and a heartbeat", policy: brisk(1), replicas: 2, puts: puts, left: budget{beats: 1, puts: 2, deletes: 1}, quick: 150e3, max: 4e6},
	{name: "drained", policy: brisk(1), replicas: 2, drains: drains, left: budget{beats: 1, drains: 2}, quick: 150e3, max: 4e6},
	{name: "drained, a false revocation", policy: brisk(1), replicas: 2, drains: drains, left: budget{beats: 1, drains: 1, revokes: 1}, quick: 150e3, max: 4e6},
	{name: "drained, and the owner", policy: brisk(1), replicas: 2, drains: drains, puts: []Update{putSame, putAsleep, putAsleepOther}, left: budget{puts: 1, drains: 2}, quick: 150e3, max: 4e6},
	{name: "drained, and a DELETE", policy: brisk(1), replicas: 2, drains: drains, left: budget{beats: 1, deletes: 1, drains: 1, crashes: 1}, quick: 150e3, max: 4e6},
	{name: "drained, an unanswered action", policy: brisk(1), replicas: 2, drains: drains, left: budget{beats: 1, drains: 2, lost: 1}, quick: 150e3, max: 4e6},
	{name: "drained, a late watch and a slow flow", policy: brisk(1), replicas: 2, drains: drains, left: budget{beats: 1, drains: 1, slow: 1, late: 1}, quick: 150e3, max: 4e6},
	{name: "drained, alone", policy: removing(brisk(1), time.Second), replicas: 1, drains: drains, puts: puts, left: budget{beats: 1, puts: 1, drains: 2, crashes: 1, fulls: 1}, quick: 150e3, max: 4e6},
	{name: "drained, two agents", policy: brisk(1), replicas: 1, drains: drains, puts: []Update{bJoins}, deletes: bothLeave, left: budget{puts: 1, deletes: 2, beats: 1, drains: 2}, quick: 150e3, max: 4e6},
	{name: "retention", policy: removing(brisk(1), time.Second), replicas: 2, left: budget{beats: 1}, max: 4e6},
	{name: "a longer interval", policy: brisk(2), before: pointer(brisk(1)), replicas: 2, paced: true, left: budget{beats: 2, revokes: 1, unheard: 1}, quick: 150e3, max: 4e6},
	{name: "a shorter interval", policy: brisk(1), before: pointer(brisk(2)), replicas: 2, paced: true, left: budget{beats: 2, revokes: 1, unheard: 1}, quick: 150e3, max: 4e6},
	{name: "a longer interval asked for, a late watch", policy: between(1, 2), before: pointer(brisk(1)), replicas: 2, litter: true, puts: []Update{putLonger}, left: budget{beats: 1, puts: 1, late: 1}, quick: 150e3, max: 4e6},
	{name: "a longer interval told slowly", policy: brisk(2), before: pointer(brisk(1)), replicas: 2, paced: true, left: budget{beats: 2, slow: 1}, quick: 150e3, max: 4e6},
	{name: "a shorter interval told twice at once", policy: brisk(1), before: pointer(brisk(2)), replicas: 2, left: budget{beats: 2}, quick: 150e3, max: 4e6},
	{name: "a longer interval asked for slowly", policy: between(1, 2), before: pointer(brisk(1)), replicas: 2, puts: []Update{putLonger}, left: budget{beats: 1, puts: 1, slow: 1}, quick: 150e3, max: 4e6},
	{name: "two intervals asked for", policy: between(1, 3), before: pointer(brisk(3)), replicas: 1, paced: true, puts: []Update{putShorter, putLonger},
		left: budget{beats: 3, puts: 2, unheard: 2}, quick: 150e3, max: 4e6},
	{name: "an interval that follows the load", policy: following(), replicas: 2, leaves: true, paced: true, left: budget{beats: 3, loads: 2, unheard: 1}, quick: 150e3, max: 4e6},
	{name: "an interval that follows the load, a false revocation", policy: following(), replicas: 2, leaves: true, left: budget{beats: 2, loads: 2, revokes: 1}, quick: 150e3, max: 4e6},
	{name: "an interval that follows the load, alone", policy: following(), replicas: 1, leaves: true, paced: true,
		left: budget{beats: 5, loads: 3, revokes: 1, unheard: 2, crashes: 1}, quick: 150e3, max: 4e6},
	{name: "an interval that follows the load, an unanswered action", policy: following(), replicas: 2, leaves: true, paced: true, left: budget{beats: 2, loads: 2, lost: 1}, quick: 150e3, max: 4e6},
	{name: "an interval that follows the load, alone, an unanswered action", policy: following(), replicas: 1, leaves: true, paced: true, left: budget{beats: 4, loads: 2, revokes: 1, unheard: 1, lost: 1}, quick: 150e3, max: 4e6},
	{name: "alone", policy: brisk(1), replicas: 1, puts: puts, left: budget{beats: 1, puts: 1, revokes: 1, fulls: 1, crashes: 1}, quick: 150e3, max: 4e6},
	{name: "prompt", policy: brisk(1), replicas: 1, prompt: true, left: budget{beats: 2, revokes: 1, slow: 1}, quick: 150e3, max: 4e6},
	{name: "prompt, a change of leader", policy: brisk(1), replicas: 1, prompt: true, left: budget{beats: 2, leaders: 1, pauses: 1}, quick: 150e3, max: 4e6},
	{name: "prompt, unanswered", policy: brisk(1), replicas: 1, prompt: true, left: budget{beats: 2, lost: 1, replies: 1, slow: 1}, quick: 150e3, max: 4e6},
	{name: "prompt, crashes", policy: brisk(2), replicas: 1, prompt: true, silences: true, left: budget{beats: 2, crashes: 1, pauses: 1, slow: 1}, quick: 150e3, max: 4e6},
	{name: "prompt, with time to reserve", policy: brisk(2), replicas: 1, prompt: true, left: budget{beats: 2, revokes: 1, lost: 1, pauses: 1, leaders: 1}, quick: 150e3, max: 4e6},
	{name: "prompt, and the owner", policy: between(1, 2), replicas: 1, prompt: true, puts: []Update{putSame, putOther, putShorter}, left: budget{beats: 1, puts: 1, deletes: 1, fulls: 1, slow: 1}, quick: 150e3, max: 4e6},
	{name: "alone, unanswered and away", policy: removing(brisk(1), time.Second), replicas: 1, left: budget{beats: 2, revokes: 1, lost: 1, crashes: 1, pauses: 1}, quick: 150e3, max: 4e6},
	{name: "alone, a shorter interval", policy: brisk(1), before: pointer(brisk(2)), replicas: 1, paced: true, left: budget{beats: 5, revokes: 1, lost: 1, unheard: 1}, quick: 150e3, max: 4e6},
}

var modelFull = flag.Bool("model.full", false, "explore the model as far as its full caps, which takes an hour")

// modelStates keeps go test ./... quick. .ci/run explores as far as each quick says.
var modelStates = flag.Int("model.states", 30e3, "explore at most so many states of a configuration that is capped in the default tier")

// limit is how many states a configuration may take in this run.
func (c *modelConfig) limit() int {
	n := c.max
	if !*modelFull && c.quick > 0 {
		n = min(c.quick, *modelStates)
	}
	if raceEnabled && !*modelFull {
		n = min(max(n, 1), 10e3)
	}
	if testing.Short() {
		n = min(max(n, 1), 5e3)
	}
	return n
}

// TestModel explores every interleaving that a configuration allows and judges each
// world by the invariants.
func TestModel(t *testing.T) {
	if !*modelFull {
		t.Log("larger configurations are capped here, and said to be; -model.full explores them further")
	}
	for _, c := range modelConfigs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(c)
			e := explore(m, c.limit())
			t.Log(&e)
			if e.bad != "" {
				t.Errorf("%s\n%s", e.bad, e.trace)
			}
		})
	}
}
