package heartbeat

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// The configurations of masses. Where one cannot be explored to the end in the time that
// the default tier has, quick says how far that goes.
var massConfigs = []massConfig{
	{name: "the previous release", policy: brisk(2), replicas: 2, old: [4]bool{true, true}, left: massBudget{revokes: 1}, broken: "I2", max: 1e6},
	{name: "one lease", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1}, max: 1e6},
	{name: "a watermark on its way", policy: brisk(1), replicas: 2, instances: 1, floating: true, left: massBudget{revokes: 1}, quick: 50e3, max: 4e6},
	{name: "two leases", policy: brisk(1), replicas: 2, left: massBudget{revokes: 2}, quick: 50e3, max: 4e6},
	{name: "a replica's own lease", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, keys: 1}, quick: 50e3, max: 4e6},
	{name: "a replica's own lease, a late watch", policy: brisk(3), replicas: 2, instances: 1, deaf: true, left: massBudget{revokes: 1, keys: 1}, quick: 50e3, max: 4e6},
	{name: "discovery", policy: brisk(2), replicas: 2, instances: 1, left: massBudget{revokes: 1}, quick: 50e3, max: 4e6},
	{name: "a heartbeat", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{beats: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "a PUT", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{puts: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "from the registrations on", policy: brisk(1), replicas: 2, register: true, left: massBudget{revokes: 1, replies: 1}, quick: 50e3, max: 4e6},
	{name: "a pause", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, pauses: 1}, quick: 50e3, max: 4e6},
	{name: "a crash and a start", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{beats: 1, revokes: 1, crashes: 1, joins: 1}, quick: 50e3, max: 4e6},
	{name: "a replica joins", policy: brisk(1), replicas: 2, instances: 1, absent: 1, left: massBudget{beats: 1, revokes: 1, joins: 1}, quick: 50e3, max: 4e6},
	{name: "a new list", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, relists: 2}, quick: 50e3, max: 4e6},
	{name: "an unanswered action", policy: brisk(1), replicas: 2, instances: 1, left: massBudget{revokes: 1, lost: 1}, quick: 50e3, max: 4e6},
	{name: "beside the previous release", policy: brisk(2), replicas: 2, instances: 1, old: [4]bool{true}, prompt: true, left: massBudget{beats: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "beside the previous release, which heard it", policy: brisk(2), replicas: 2, instances: 1, old: [4]bool{false, true}, prompt: true, left: massBudget{beats: 1, revokes: 1}, quick: 50e3, max: 4e6},
	{name: "four replicas", policy: brisk(1), replicas: 4, instances: 1, left: massBudget{revokes: 1}, quick: 50e3, max: 4e6},
	{name: "four replicas, two leases", policy: brisk(1), replicas: 4, left: massBudget{revokes: 2, keys: 1}, quick: 50e3, max: 4e6},
}

func (c *massConfig) limit() int {
	return (&modelConfig{max: c.max, quick: min(c.quick, *modelStates/3)}).limit()
}

const massWalkLength = 60

// walks is how many walks by chance go where the exploration does not reach.
func (c *massConfig) walks() int {
	switch {
	case *modelFull:
		return 100e3
	case raceEnabled || testing.Short():
		return 100
	}
	return *modelStates / 40
}

// walk takes walks by chance; seconds pass more seldom than other things happen, for
// what one replica heard is soon too old.
func (m *massModel) walk(t *testing.T, walks int) (bad, trace string) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	steps, cut, seldom := 0, 0, 4
	if m.policy.Window(1) < m.policy.Window(m.policy.MaxInterval) {
		seldom = 2 // longer windows
	}
	for range walks {
		w := m.begin()
		var path, choice []modelAction
		for len(path) < massWalkLength && m.bad == "" {
			choice = choice[:0]
			m.actions(&w, func(d modelAction) {
				if d.kind != doTick || r.IntN(seldom) == 0 {
					choice = append(choice, d)
				}
			})
			if len(choice) == 0 {
				if m.decided(&w) {
					break
				}
				choice = append(choice, modelAction{kind: doTick})
				if !m.mayTick(&w) {
					break
				}
			}
			d := choice[r.IntN(len(choice))]
			path = append(path, d)
			w = m.do(w, d)
		}
		steps += len(path)
		if m.bad == noRoom {
			cut++
			m.forgive()
			continue
		}
		if m.bad == "" {
			m.checkFair(&w)
		}
		if m.bad != "" {
			bad = m.bad
			return bad, fmt.Sprintf("seed %d\n%s", seed, replay(m, path))
		}
	}
	t.Logf("%d walks, %d steps, seed %d; %d cut short for want of room", walks, steps, seed, cut)
	if cut > walks/10 {
		return noRoom, fmt.Sprintf("%d of %d walks", cut, walks)
	}
	return "", ""
}

func (m *massModel) mayTick(w *massWorld) (may bool) {
	m.actions(w, func(d modelAction) { may = may || d.kind == doTick })
	return may
}

// TestModelOfMasses explores masses of false revocations at any speed of the store.
func TestModelOfMasses(t *testing.T) {
	for _, c := range massConfigs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMassModel(c)
			e := explore(m, c.limit())
			t.Log(&e)
			if e.bad == "" {
				e.bad, e.trace = m.walk(t, c.walks())
			}
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
