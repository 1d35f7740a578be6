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
	// State is one of the constants from StateSearching to StateDeregistered.
	State string `json:"state"`
	// Ready reports whether the service is registered and, if it needs heartbeats, is alive:
	// the last one was taken, and the liveness resource does not deny it. A service that the
	// application has set INACTIVE counts as ready.
	Ready bool `json:"ready"`
	// Registered reports whether the platform has the service, as far as the agent knows, and
	// has taken a heartbeat of it if it needs any. Unlike Ready it stays true while the platform
	// is away.
	Registered bool `json:"registered"`
	// Reason says in words why the service is not ready, or what else is wrong with it or special;
	// "" if nothing is. It may change with any release.
	Reason string `json:"reason,omitempty"`
	// Interval of the heartbeats in seconds, 0 if there are none, at most a day.
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

// Status returns the status of every service: first those of Options.Services in their
// order, then those that were added.
func (a *Agent) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Status, 0, len(a.registrations))
	for _, r := range a.registrations {
		out = append(out, a.status(r))
	}
	return out
}

// status is the Status of a service.
func (a *Agent) status(r *registration) Status {
	s := Status{Service: r.name, ID: r.id, State: r.state(), Ready: a.ready(r), Registered: a.registered(r), Reason: a.reason(r), Interval: r.interval.Seconds(), LastAnswer: r.lastAnswer, Failures: r.failures}
	if !r.lastBeat.IsZero() {
		last := r.lastBeat
		s.LastBeat = &last
	}
	if (r.stage == beating || r.stage == verifying) && r.healthy && !r.takenBack {
		next := r.beatDue
		if r.stage == beating && r.timer.due.After(next) {
			next = r.timer.due
		}
		s.NextBeat = &next
	}
	return s
}

// ready is Status.Ready.
func (a *Agent) ready(r *registration) bool {
	if r.takenBack || !a.entered(r) {
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

// registered is Status.Registered.
func (a *Agent) registered(r *registration) bool {
	return r.id != "" && !r.takenBack && a.entered(r) && (!r.lastBeat.IsZero() || r.stage == unmonitored || r.stage == inactive)
}

// Ready reports whether every service is ready, but for those that were taken back: see
// Status.Ready. Once the platform has announced the termination of the application it is false.
func (a *Agent) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.termination == "" && !slices.ContainsFunc(a.registrations, func(r *registration) bool { return !a.ready(r) && !r.takenBack })
}

// Discover asks the platform for the services of that name, whoever offers them (MEC 011
// v3.1.1 §8.2.3.3.1). An answer of the platform that is an error is a *client.Problem of
// package mp1/client; without a token the error is ErrToken.
func (a *Agent) Discover(ctx context.Context, serName string) ([]mp1.ServiceInfo, error) {
	return a.platform.discover(ctx, serName)
}
