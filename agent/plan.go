package agent

import (
	"context"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Action is what Run would do first with a service or with a registration.
type Action string

const (
	// ActionRegister registers a service that the platform does not list.
	ActionRegister Action = "register"
	// ActionAdopt takes a registration that the platform lists as the service's own.
	ActionAdopt Action = "adopt"
	// ActionUpdate adopts a registration, and sends the description, which differs.
	ActionUpdate Action = "update"
	// ActionLeave leaves a registration alone, for it is of no service of this agent.
	ActionLeave Action = "leave"
)

// Planned is what Run would do first with one service, or with a registration of the
// application that is of none.
type Planned struct {
	// Service is the name as Status has it; for ActionLeave the serName.
	Service string `json:"service"`
	Action  Action `json:"action"`
	// ID is the serInstanceId at the platform, "" for ActionRegister.
	ID string `json:"serInstanceId,omitempty"`
	// State is what the platform shows of the registration, "" for ActionRegister.
	State mp1.State `json:"state,omitempty"`
}

// Plan asks the platform for the application's services, as Run does at its start, and says
// what Run would do with each: first the services in the order of Options.Services, then
// the registrations that it would leave alone, in the order of the platform. It changes nothing,
// neither at the platform nor here. Its error is that of the list, or says that the state
// file cannot be read.
func (a *Agent) Plan(ctx context.Context) ([]Planned, error) {
	saved, err := a.readState()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	list, err := a.platform.list(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	services := make([]wanted, len(a.registrations))
	for i, r := range a.registrations {
		services[i] = wanted{r.service.Info, saved[r.name], r.goneFor(began)}
	}
	taken := map[string]bool{}
	var out []Planned
	for i, f := range findRegistrations(services, list, taken, a.platform.hostPorts) {
		r := a.registrations[i]
		p := Planned{Service: r.name, Action: ActionRegister}
		if f.listed {
			p.Action, p.ID, p.State = ActionAdopt, f.info.SerInstanceID, f.info.State
			if f.differs {
				p.Action = ActionUpdate
			}
		}
		out = append(out, p)
	}
	for _, info := range list {
		if !taken[info.SerInstanceID] {
			out = append(out, Planned{Service: info.SerName, Action: ActionLeave, ID: info.SerInstanceID, State: info.State})
		}
	}
	return out, nil
}
