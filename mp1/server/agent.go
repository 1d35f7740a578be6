package server

import (
	"net/http"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// AgentHeader names the agent that sends a request, as PLACE.RUN: several agents of one
// application may keep the same service instance alive, and it is removed only when the last
// of them asks for that. It is ours, not ETSI's. A request without it is answered as ETSI has
// it. Where it has it, so has the answer: an agent learns by that that its name counts here.
const AgentHeader = "Mep-Agent"

// AgentScopeHeader says, in a DELETE that has AgentHeader, that the service is to be removed
// only if agents at PLACE keep it alive and nobody else does; its one value is "place". An
// agent that starts where another has crashed removes by it what that one's last POST made,
// which arrived late.
const AgentScopeHeader = "Mep-Agent-Scope"

// agentOf is the agent that a request names; ok is false if its header cannot be one.
func agentOf(r *http.Request) (agent string, ok bool) {
	switch v := r.Header[AgentHeader]; {
	case len(v) == 0:
		return "", true
	case len(v) == 1 && heartbeat.ValidAgent(v[0]):
		return v[0], true
	default:
		return "", false
	}
}

// echoAgent repeats the header in the answer. It shares the request's slice, because a
// heartbeat must not allocate one.
func echoAgent(w http.ResponseWriter, r *http.Request) {
	if agent, ok := agentOf(r); ok && agent != "" {
		w.Header()[AgentHeader] = r.Header[AgentHeader]
	}
}

// callerOf is who asks for a change of a service. A header that cannot be understood is
// refused: a service would be removed under an agent that thinks its name is known.
func callerOf(r *http.Request, t target) (Caller, error) {
	agent, ok := agentOf(r)
	if !ok {
		return Caller{}, &mp1.Invalid{Attribute: AgentHeader, Rule: "must be sent once, as PLACE.RUN, each 1 to 64 letters, digits, underscores and hyphens"}
	}
	by := Caller{App: t.app, Agent: agent}
	if v := r.Header[AgentScopeHeader]; len(v) > 0 && r.Method == http.MethodDelete {
		if by.AtPlace = agent != "" && len(v) == 1 && v[0] == "place"; !by.AtPlace {
			return Caller{}, &mp1.Invalid{Attribute: AgentScopeHeader, Rule: "must be sent once, as place, beside " + AgentHeader}
		}
	}
	return by, nil
}
