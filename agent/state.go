package agent

// The states that Status.State has.
const (
	StateSearching    = "searching"     // the platform has not said yet whether it is registered
	StateRegistering  = "registering"   // it is to be registered
	StateUpdating     = "updating"      // it is registered, and its changed description is to be sent
	StateBeating      = "beating"       // it is registered, and heartbeats are sent
	StateChecking     = "checking"      // a heartbeat was refused, and the platform is asked why
	StateInactive     = "inactive"      // the application has set it INACTIVE at the platform, or an operator has drained it
	StateNoHeartbeats = "no heartbeats" // it is registered, and the platform requires no heartbeats
	StateWithheld     = "withheld"      // its Probe fails
	StateWithdrawing  = "withdrawing"   // two agents have registered it at once, and this one's is removed
	StateRemoving     = "removing"      // it was taken back by Remove, and is to be removed from the platform
	StateDeregistered = "deregistered"  // it has been removed from the platform, or left to another agent there
)

// state is the State of a service.
func (r *registration) state() string {
	switch {
	case r.stage == deregistered:
		return StateDeregistered
	case r.takenBack:
		return StateRemoving
	case !r.healthy && r.stage != unmonitored:
		return StateWithheld
	}
	return stages[r.stage].status
}

// reason says in words why a service is not ready, or what else is wrong with it.
func (a *Agent) reason(r *registration) string {
	answered := func(what string) string {
		if r.lastAnswer == "" {
			return what
		}
		return what + ": " + r.lastAnswer
	}
	switch r.state() {
	case StateWithheld:
		if r.probeError == "" {
			return "its probe has not succeeded yet"
		}
		return "its probe fails: " + r.probeError
	case StateSearching:
		return answered("the platform has not said yet whether it is registered")
	case StateRegistering:
		if r.failures > 0 {
			return answered("it could not be registered")
		}
		return "it is being registered"
	case StateUpdating:
		return "its description is being sent"
	case StateChecking:
		return answered("a heartbeat was refused")
	case StateInactive:
		if r.inactiveWhy != "" {
			return "it is INACTIVE at the platform: " + r.inactiveWhy
		}
		return "it is INACTIVE at the platform: its application has set that, or an operator has drained it"
	case StateRemoving:
		if r.failures > 0 {
			return answered("it could not be deregistered")
		}
		return "it is being deregistered"
	case StateWithdrawing:
		return "another agent has registered it, too: this one's registration is being removed"
	case StateDeregistered:
		return ""
	}
	switch {
	case r.failures > 0:
		return answered("heartbeats are not taken")
	case r.denials > 0:
		return "heartbeats are taken, but the platform does not show it ACTIVE"
	case r.updateError != "":
		return "it could not be updated and goes on as it was registered before: " + r.updateError
	case r.needsHeartbeats() && r.lastBeat.IsZero():
		return "its first heartbeat is being sent"
	case !a.entered(r):
		return "the platform has not entered this agent yet"
	}
	return ""
}
