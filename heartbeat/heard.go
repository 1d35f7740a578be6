package heartbeat

import "strings"

// heardAgents is when this replica heard which agent of an instance last. It is written
// nowhere, and followed only for instances whose record names agents.
type heardAgents []heardAgent

type heardAgent struct {
	agent string // "": one that did not say
	at    Credit
}

// note takes in that an agent was heard. It allocates for a new one only.
func (h *heardAgents) note(agent string, at Credit) {
	if h == nil {
		return
	}
	oldest := 0
	for i := range *h {
		one := &(*h)[i]
		if one.agent == agent {
			one.at = max(one.at, at)
			return
		}
		if one.at < (*h)[oldest].at {
			oldest = i
		}
	}
	if len(*h) > maxAgents { // as many as a record names, and those that do not say
		(*h)[oldest] = heardAgent{strings.Clone(agent), at}
		return
	}
	*h = append(*h, heardAgent{strings.Clone(agent), at})
}

// since says whether the agent was heard at that time, or later.
func (h *heardAgents) since(agent string, from Credit) bool {
	for _, one := range *h {
		if one.agent == agent {
			return one.at >= from
		}
	}
	return false
}

// keeping are the agents that the record names, but for those that certainly do not keep it
// alive: this replica, which hears everything, has not heard them for a window in which it
// could. Where heartbeats come from somebody who does not say who that is, it may be any of
// them.
func (in *Input) keeping(r *Record) Agents {
	from := in.Health.Credited.Add(-r.window())
	blind := in.Health.Disturbed && in.Health.DisturbedAt > from // a start, a pause, a slow store
	if !in.Alone || in.Heard == nil || !r.Expires() || blind || in.Heard.since("", from) {
		return r.Agents
	}
	out := r.Agents
	for one := range r.Agents.each() {
		if !in.Heard.since(one, from) {
			out = out.without(one)
		}
	}
	return out
}
