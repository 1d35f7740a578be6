package agent

import (
	"context"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Status is what the agent knows of one service.
type Status struct {
	Service    string     `json:"service"`                 // serName; #2 and so on where it stands more than once
	ID         string     `json:"serInstanceId,omitempty"` // "": not registered
	State      string     `json:"state"`                   // searching, registering, updating, beating, checking, inactive, no heartbeats, withheld
	Interval   float64    `json:"intervalSeconds,omitempty"`
	LastBeat   *time.Time `json:"lastBeat,omitempty"` // that was taken
	NextBeat   *time.Time `json:"nextBeat,omitempty"`
	LastAnswer string     `json:"lastAnswer,omitempty"`
	Failures   int        `json:"failures,omitempty"` // in a row
}

const withheld = "withheld"

// Status tells of every service, in the order of Options.
func (a *Agent) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Status, 0, len(a.registrations))
	for _, r := range a.registrations {
		s := Status{Service: r.name, ID: r.id, State: r.status(), Interval: r.interval.Seconds(), LastAnswer: r.lastAnswer, Failures: r.failures}
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

func (r *registration) status() string {
	if !r.healthy && r.stage != unmonitored {
		return withheld
	}
	return stages[r.stage].status
}

// Ready tells whether every service is registered and the last heartbeat of each
// that needs them was taken and is not denied by the liveness resource.
func (a *Agent) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.registrations {
		alive := (r.stage == beating || r.stage == verifying || r.stage == updating) && r.healthy && r.failures == 0 && r.denials == 0 && !r.lastBeat.IsZero()
		if !alive && r.stage != unmonitored && r.stage != inactive {
			return false
		}
	}
	return true
}

// Discover asks the platform for services by name (MEC 011 §8.2.3.3.1).
func (a *Agent) Discover(ctx context.Context, serName string) ([]mp1.ServiceInfo, error) {
	return a.platform.discover(ctx, serName)
}
