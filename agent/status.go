package agent

import (
	"context"
	"time"

	"github.com/go-chassis/openlog"

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
	out := make([]Status, 0, len(a.entries))
	for _, e := range a.entries {
		s := Status{Service: e.name, ID: e.id, State: e.state(), Interval: e.interval.Seconds(), LastAnswer: e.answer, Failures: e.failures}
		if !e.lastBeat.IsZero() {
			last := e.lastBeat
			s.LastBeat = &last
		}
		if (e.stage == beating || e.stage == checking) && e.well {
			next := e.beatDue
			if e.stage == beating && e.item.due.After(next) {
				next = e.item.due
			}
			s.NextBeat = &next
		}
		out = append(out, s)
	}
	return out
}

func (e *entry) state() string {
	if !e.well && e.stage != free {
		return withheld
	}
	return stageNames[e.stage]
}

// Ready tells whether every service is registered and the last heartbeat of each
// that needs them was taken and is not denied by the liveness resource.
func (a *Agent) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.entries {
		alive := (e.stage == beating || e.stage == checking || e.stage == stale) && e.well && e.failures == 0 && e.denials == 0 && !e.lastBeat.IsZero()
		if !alive && e.stage != free && e.stage != inactive {
			return false
		}
	}
	return true
}

// Discover asks the platform for services by name (MEC 011 §8.2.3.3.1).
func (a *Agent) Discover(ctx context.Context, serName string) ([]mp1.ServiceInfo, error) {
	return a.platform.discover(ctx, serName)
}

func (a *Agent) tags(e *entry, more openlog.Tags) openlog.Option {
	t := openlog.Tags{"service": e.name}
	for k, v := range more {
		t[k] = v
	}
	return openlog.WithTags(t)
}

func (a *Agent) note(e *entry, what string, more openlog.Tags) { a.log.Info(what, a.tags(e, more)) }
func (a *Agent) say(e *entry, what string, more openlog.Tags)  { a.log.Warn(what, a.tags(e, more)) }

// complain says the first failure in a row; the others only count.
func (a *Agent) complain(e *entry, what string, err error) {
	if e.failures == 1 {
		a.say(e, what, openlog.Tags{"reason": answer(err, "")})
	}
}

func (a *Agent) recovered(e *entry, now time.Time, what string) {
	if e.failures > 0 {
		a.note(e, what, openlog.Tags{"failures": e.failures, "after": now.Sub(e.since).Round(time.Millisecond).String()})
	}
}

// silent is the log of who wants none.
type silent struct{}

func (silent) Debug(string, ...openlog.Option) {}
func (silent) Info(string, ...openlog.Option)  {}
func (silent) Warn(string, ...openlog.Option)  {}
func (silent) Error(string, ...openlog.Option) {}
func (silent) Fatal(string, ...openlog.Option) {}
