package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// ErrUnknownService is the error of Update and Remove for a name that no service has.
var ErrUnknownService = errors.New("agent: there is no service of that name")

// ErrStopped is the error of Add, Update and Remove when Run is ending or has ended.
var ErrStopped = errors.New("agent: it has stopped")

// Add has one more service registered and kept alive, and returns the name by which Status,
// Change, Update and Remove know it: its serName, with #2 and so on behind it if another
// service has that name. It waits for nothing: Options.OnChange and Status say what becomes
// of the service. Its error joins an *mp1.Invalid for each rule that the description breaks,
// or it is ErrStopped, or says that there would be more than 10,000 services. Info must not
// be changed afterwards.
func (a *Agent) Add(s Service) (name string, err error) {
	r, err := a.checked(s)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.stopped:
		return "", ErrStopped
	case len(a.registrations) >= maxServices:
		return "", fmt.Errorf("agent: there may be %d services", maxServices)
	}
	a.enter(r)
	if a.started {
		a.begin(r, time.Now())
		a.wakeLoop()
	}
	return r.name, nil
}

// Update replaces the description and the probe of the service of that name. If the
// description differs, the platform is sent it at once, or when the request under way has
// been answered. Its serName must stay: another name is another service. It waits for
// nothing, and its errors are those of Add and ErrUnknownService.
func (a *Agent) Update(name string, s Service) error {
	fresh, err := a.checked(s)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.byName[name]
	switch {
	case a.stopped:
		return ErrStopped
	case r == nil, r.takenBack:
		return ErrUnknownService
	case r.service.Info.SerName != s.Info.SerName:
		return errors.New("agent: the serName of a service must stay")
	}
	now := time.Now()
	changed := r.digest != fresh.digest
	probed := r.service.Probe != nil
	r.service, r.digest = s, fresh.digest
	if !a.started {
		r.healthy = fresh.healthy
		return nil
	}
	switch {
	case s.Probe == nil && probed:
		a.probes.drop(&r.probeTimer)
		a.wellAgain(r, now)
	case s.Probe != nil && !probed && !r.probeTimer.running:
		r.probeTimer.due = now
		a.probes.put(&r.probeTimer)
	}
	if changed {
		r.changed = true
		a.reschedule(r)
	}
	a.report(r)
	a.wakeLoop()
	return nil
}

// Remove takes the service of that name back: no heartbeats are sent any more, and it is
// removed from the platform, unless another agent keeps it alive there. It waits for
// nothing: the last Change of the service says that it is deregistered, and until then
// Status shows it as removing, and its name is not free. What fails is tried again. Its
// errors are ErrUnknownService and ErrStopped.
func (a *Agent) Remove(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.byName[name]
	switch {
	case a.stopped:
		return ErrStopped
	case r == nil, r.takenBack:
		return ErrUnknownService
	}
	if !a.started {
		a.dismiss(r)
		return nil
	}
	r.takenBack = true
	a.probes.drop(&r.probeTimer)
	a.reschedule(r)
	a.report(r)
	a.wakeLoop()
	return nil
}

// checked is newRegistration of a service that has no faults.
func (a *Agent) checked(s Service) (*registration, error) {
	err := errors.Join(s.faults()...)
	if err == nil {
		var r *registration
		if r, err = a.newRegistration(s); err == nil {
			return r, nil
		}
	}
	return nil, fmt.Errorf("agent: service %s: %w", printable(s.Info.SerName), err)
}

// newRegistration is what the agent keeps of a service.
func (a *Agent) newRegistration(s Service) (*registration, error) {
	r := &registration{service: s, stage: searching, healthy: s.Probe == nil}
	var err error
	if r.digest, err = digest(s.Info); err != nil {
		return nil, err
	}
	r.timer = timer{index: -1, of: r, start: func() job { return a.request(r) }}
	r.probeTimer = timer{index: -1, of: r, start: func() job { return a.runProbe(r) }}
	return r, nil
}

// enter gives a service its name and its place among the others.
func (a *Agent) enter(r *registration) {
	r.name = r.service.Info.SerName
	for n := max(2, a.sameName[r.name]+1); a.byName[r.name] != nil; n++ {
		a.sameName[r.service.Info.SerName] = n
		r.name = fmt.Sprintf("%s#%d", r.service.Info.SerName, n)
	}
	a.byName[r.name] = r
	a.registrations = append(a.registrations, r)
}

// begin has a service searched for, and its application probed.
func (a *Agent) begin(r *registration, now time.Time) {
	r.timer.due = now
	if r.service.Probe != nil {
		r.probeTimer.due = now
		a.probes.put(&r.probeTimer)
	}
	a.searchBy(now)
	a.report(r)
}

// sendChange has a description that Update replaced sent, when no request of the service is
// under way.
func (a *Agent) sendChange(r *registration, now time.Time) {
	switch r.stage {
	case verifying, checking:
		return // after its answer
	case registering:
		r.failures, r.timer.due = 0, now // what was refused may be taken now
	case beating, inactive, unmonitored:
		r.step(updateDue)
		r.timer.due = now
	default: // the next request sends it
	}
	r.changed = false
}

// takeBack goes on with a service that was taken back, when no request of it is under way.
func (a *Agent) takeBack(r *registration) {
	switch {
	case r.stage == searching: // the list says whether it is registered
		a.requests.drop(&r.timer)
	case r.id == "":
		a.removeDone(r, time.Time{}, nil)
	default:
		if r.stage != removing {
			r.step(removeDue)
			r.failures, r.timer.due = 0, time.Now()
		}
		a.requests.put(&r.timer)
	}
}

// removeDone takes the outcome of a DELETE.
func (a *Agent) removeDone(r *registration, now time.Time, err error) {
	if err != nil {
		r.lastAnswer = outcomeText(err, "")
		r.failures++
		a.warnOnce(r, "could not be deregistered", err)
		r.retryIn(now, retryDelay(a.jitter.requestBackoff(r.failures), err))
		a.reschedule(r)
		return
	}
	a.info(r, "deregistered", "id", r.id)
	r.id = ""
	r.step(removed)
	a.recordSaved(r)
	a.requests.drop(&r.timer)
	a.dismiss(r)
	a.report(r)
}

// dismiss takes a service out of those that the agent has. They get a slice of their own,
// for who calls may be going through the old one.
func (a *Agent) dismiss(r *registration) {
	delete(a.byName, r.name)
	a.registrations = slices.DeleteFunc(slices.Clone(a.registrations), func(o *registration) bool { return o == r })
}

// wakeLoop has the loop look at what is due.
func (a *Agent) wakeLoop() {
	select {
	case a.wakened <- struct{}{}:
	default: // it will look anyway
	}
}

// faults returns an error for each fault: the platform would refuse such a service again and
// again.
func (s Service) faults() (all []error) {
	if s.Probe != nil && s.Probe.Check == nil {
		all = append(all, errors.New("its Probe must have a Check"))
	}
	var faults mp1.Faults
	if err := s.Info.Validate(); errors.As(err, &faults) {
		all = append(all, faults.Unwrap()...)
	} else if err != nil {
		all = append(all, err)
	}
	return all
}
