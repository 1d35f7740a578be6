package agent

import (
	"context"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Status is what an agent knows of one service.
type Status struct {
	// Service is the serName. The second service of that name has #2 behind it, and so on.
	Service string `json:"service"`
	// ID is the serInstanceId, "" while the service is not registered.
	ID string `json:"serInstanceId,omitempty"`
	// State is one of
	//	searching      the platform has not said yet whether it is registered
	//	registering    it is to be registered
	//	updating       it is registered, and its changed description is to be sent
	//	beating        it is registered, and heartbeats are sent
	//	checking       a heartbeat was refused, and the platform is asked why
	//	inactive       the application has set it INACTIVE at the platform
	//	no heartbeats  it is registered, and the platform requires no heartbeats
	//	withdrawing    two agents have registered it at once, and this one's is removed
	//	deregistered   it has been removed from the platform, or left to another agent there
	//	withheld       its Probe fails
	State string `json:"state"`
	// Ready reports whether the service is registered and, if it needs heartbeats, is alive:
	// the last one was taken, and the liveness resource does not deny it. A service that the
	// application has set INACTIVE counts as ready.
	Ready bool `json:"ready"`
	// Interval of the heartbeats in seconds, 0 if there are none.
	Interval float64 `json:"intervalSeconds,omitempty"`
	// LastBeat is when the last heartbeat was sent that the platform took, nil if none was.
	LastBeat *time.Time `json:"lastBeat,omitempty"`
	// NextBeat is when the next heartbeat is due, nil if none is.
	NextBeat *time.Time `json:"nextBeat,omitempty"`
	// LastAnswer is the status code of the platform's last answer, with its detail if it was
	// an error, or why there was no answer.
	LastAnswer string `json:"lastAnswer,omitempty"`
	// Failures of its requests, in a row.
	Failures int `json:"failures,omitempty"`
}

// withheld is the State of a service whose probe fails, whatever its stage.
const withheld = "withheld"

// Status returns the status of every service, in the order of Options.Services.
func (a *Agent) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Status, 0, len(a.registrations))
	for _, r := range a.registrations {
		s := Status{Service: r.name, ID: r.id, State: r.status(), Ready: a.ready(r), Interval: r.interval.Seconds(), LastAnswer: r.lastAnswer, Failures: r.failures}
		if !r.lastBeat.IsZero() {
			last := r.lastBeat
			s.LastBeat = &last
		}
		if (r.stage == beating || r.stage == verifying) && r.healthy {
			next := r.beatDue
			if r.stage == beating && r.timer.due.After(next) {
				next = r.timer.due
			}
			s.NextBeat = &next
		}
		out = append(out, s)
	}
	return out
}

// status is the State of a service.
func (r *registration) status() string {
	if !r.healthy && r.stage != unmonitored {
		return withheld
	}
	return stages[r.stage].status
}

// ready is Status.Ready.
func (a *Agent) ready(r *registration) bool {
	if !a.entered(r) {
		return false
	}
	switch r.stage {
	case unmonitored, inactive:
		return true
	case beating, verifying, updating:
		return r.healthy && r.failures == 0 && r.denials == 0 && !r.lastBeat.IsZero()
	}
	return false
}

// Ready reports whether every service is ready: see Status.Ready.
func (a *Agent) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !slices.ContainsFunc(a.registrations, func(r *registration) bool { return !a.ready(r) })
}

// Discover asks the platform for the services of that name, whoever offers them (MEC 011
// v3.1.1 §8.2.3.3.1). An answer of the platform that is an error is a *client.Problem of
// package mp1/client; without a token the error is ErrToken.
func (a *Agent) Discover(ctx context.Context, serName string) ([]mp1.ServiceInfo, error) {
	return a.platform.discover(ctx, serName)
}
