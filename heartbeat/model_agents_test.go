package heartbeat

// modelAgents is what is true of the agents a.1 and b.1 of the instance, by what they sent
// and were answered.
type modelAgents struct {
	asking, keep, gone [2]bool // POST or PUT is under way; was answered 2xx; DELETE was sent
	heard              bool    // a heartbeat that began after the last LEAVE was answered 2xx
}

// removals are the DELETEs that the model sends.
func (m *model) removals() []Removal {
	if m.deletes == nil {
		return []Removal{{Owner: modelOwner}}
	}
	return m.deletes
}

func agentIndex(agent string) int { return int(agent[0] - 'a') }

// may says whether the agent may send a PUT or its DELETE: it does one after the other, and
// nothing after the DELETE.
func (a *modelAgents) may(agent string) bool {
	return agent == "" || !a.gone[agentIndex(agent)] && !a.asking[agentIndex(agent)]
}

func (a *modelAgents) asks(agent string) {
	if agent != "" {
		a.asking[agentIndex(agent)] = true
	}
}

func (a *modelAgents) leaves(agent string) {
	if agent != "" {
		a.keep[agentIndex(agent)], a.gone[agentIndex(agent)] = false, true
	}
}

// answered takes in what a flow ended with.
func (a *modelAgents) answered(ln *modelSlot, r *Response) {
	agent := ""
	switch f := ln.flow.(type) {
	case RegisterFlow:
		agent = string(f.Record.Agents)
	case UpdateFlow:
		agent = f.Update.Agent
	case BeatFlow:
		a.heard = a.heard || r.Err == nil && ln.sinceLeave && a.gone != [2]bool{}
	}
	if agent == "" {
		return
	}
	a.asking[agentIndex(agent)] = false
	a.keep[agentIndex(agent)] = r.Err == nil
}

// agentsAfter follows a transaction that is carried out.
func (m *model) agentsAfter(w *world, t *Txn) {
	switch t.Kind {
	case Leave:
		w.agents.heard = false
		for y := range w.rep {
			w.rep[y].slots[slotBeat].sinceLeave = false
		}
	case Claim:
		w.agents.keep = [2]bool{} // a PUT under way is answered later, and enters its agent again
	}
}

// checkAgents is KEPT: nothing is removed for one agent that another keeps, nor as left by all
// if it was heard since; and a LEAVE leaves it to somebody.
func (m *model) checkAgents(w *world, t *Txn) {
	switch {
	case m.deletes == nil:
	case t.Kind == Remove && w.agents.keep != [2]bool{}:
		m.breaks("KEPT removed for one agent, though another was answered that it keeps it: %v", w.agents.keep)
	case t.Kind == Leave && t.Record.Agents == "":
		m.breaks("KEPT the last agent leaves, and nothing is removed")
	case t.Kind == Retention && m.policy.DeregisterAfter == 0 && w.agents.heard:
		m.breaks("KEPT removed as left by all, though it was heard since")
	}
}
