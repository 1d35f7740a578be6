package heartbeat

import (
	"iter"
	"strings"
)

// Agents are the agents that keep an instance alive, each as PLACE.RUN, the longest-standing
// first, with spaces between them. An instance is removed only when the last of them leaves.
type Agents string

// maxAgents is how many agents an instance can have; beyond that the longest-standing is
// forgotten, so that a record does not grow for ever.
const maxAgents = 16

// ValidAgent reports whether s may name an agent: PLACE.RUN, each 1 to 64 of [A-Za-z0-9_-].
func ValidAgent(s string) bool {
	place, run, ok := strings.Cut(s, ".")
	return ok && validAgentPart(place) && validAgentPart(run)
}

func validAgentPart(s string) bool {
	const longest = 64
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= longest
}

// place is where an agent runs: it is the same after a crash and a new start there.
func place(agent string) string {
	p, _, _ := strings.Cut(agent, ".")
	return p
}

// each goes through the agents.
func (a Agents) each() iter.Seq[string] { return strings.FieldsSeq(string(a)) }

// has says whether the agent is one of them.
func (a Agents) has(agent string) bool {
	for one := range a.each() {
		if one == agent {
			return true
		}
	}
	return false
}

// with is a with one more agent, which takes the place of one that ran where it runs: two
// do not live at one place. "" is no agent.
func (a Agents) with(agent string) Agents {
	if agent == "" || a.has(agent) {
		return a
	}
	var kept []string
	for one := range a.each() {
		if place(one) != place(agent) {
			kept = append(kept, one)
		}
	}
	kept = append(kept, agent)
	return Agents(strings.Join(kept[max(0, len(kept)-maxAgents):], " "))
}

// without is a without the agent.
func (a Agents) without(agent string) Agents {
	if !a.has(agent) {
		return a
	}
	var kept []string
	for one := range a.each() {
		if one != agent {
			kept = append(kept, one)
		}
	}
	return Agents(strings.Join(kept, " "))
}

// onlyAt says whether there are agents, and all of them at this place.
func (a Agents) onlyAt(where string) bool {
	for one := range a.each() {
		if place(one) != where {
			return false
		}
	}
	return a != ""
}
