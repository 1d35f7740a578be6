package appsupport

import (
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// state is how far an application is in its life. It is read from what is kept of it.
type state uint8

const (
	absent       state = iota // nothing is kept of it
	unregistered              // something is, but it did not register
	registered
	terminating // it was notified, and goes on until it confirms or the timeout is over
	terminated  // that is over, and it is being removed
	leaving     // it is being removed, and no termination had begun
	states
)

var stateNames = [states]string{"absent", "unregistered", "registered", "terminating", "terminated", "leaving"}

// String is its name in metrics and documents.
func (s state) String() string { return stateNames[s] }

// event is what happens to an application.
type event uint8

const (
	register   event = iota // POST of its registration
	update                  // PUT of it
	ready                   // confirm_ready
	trigger                 // DELETE of the registration with graceful
	confirm                 // confirm_termination
	timeout                 // the application did not confirm in time
	deregister              // DELETE without graceful
	finish                  // nothing is left of what it had
	events
)

var eventNames = [events]string{"register", "update", "ready", "trigger", "confirm", "timeout", "deregister", "finish"}

// String is its name in documents.
func (e event) String() string { return eventNames[e] }

// cell is what an event does in a state: it leads to a state, or is refused, or nothing is to be
// done.
type cell struct {
	to      state
	refused error
	nothing bool
}

func to(s state) cell    { return cell{to: s} }
func no(why error) cell  { return cell{refused: why} }
func stays(s state) cell { return cell{to: s, nothing: true} }

// table is the life of an application: every event in every state. No other place decides what
// is kept of one.
var table = [states][events]cell{
	absent: {
		register: to(registered), update: no(server.ErrNoRegistration), ready: to(unregistered), trigger: to(terminating),
		confirm: no(server.ErrNoTermination), timeout: stays(absent), deregister: no(server.ErrNoRegistration), finish: stays(absent),
	},
	unregistered: {
		register: to(registered), update: no(server.ErrNoRegistration), ready: to(unregistered), trigger: to(terminating),
		confirm: no(server.ErrNoTermination), timeout: stays(unregistered), deregister: no(server.ErrNoRegistration), finish: stays(unregistered),
	},
	registered: {
		register: no(server.ErrRegistered), update: to(registered), ready: to(registered), trigger: to(terminating),
		confirm: no(server.ErrNoTermination), timeout: stays(registered), deregister: to(leaving), finish: stays(registered),
	},
	terminating: {
		register: no(server.ErrTerminating), update: to(terminating), ready: no(server.ErrTerminating), trigger: no(server.ErrTerminating),
		confirm: to(terminated), timeout: to(terminated), deregister: to(terminated), finish: stays(terminating),
	},
	terminated: {
		register: to(registered), update: no(server.ErrNoRegistration), ready: no(server.ErrTerminating), trigger: no(server.ErrNoRegistration),
		confirm: stays(terminated), timeout: stays(terminated), deregister: no(server.ErrNoRegistration), finish: to(absent),
	},
	leaving: {
		register: to(registered), update: no(server.ErrNoRegistration), ready: no(server.ErrTerminating), trigger: no(server.ErrNoRegistration),
		confirm: no(server.ErrNoTermination), timeout: stays(leaving), deregister: no(server.ErrNoRegistration), finish: to(absent),
	},
}

// isRemoved says whether what an application has is being removed in the state.
func (s state) isRemoved() bool { return table[s][finish].to == absent && !table[s][finish].nothing }

// stateOf is the state in which an application is of which a is kept.
func stateOf(a plugins.Application) state {
	switch {
	case a.At == 0:
		return absent
	case a.Leaving && a.Termination != nil:
		return terminated
	case a.Leaving:
		return leaving
	case a.Termination != nil:
		return terminating
	case a.Unregistered:
		return unregistered
	default:
		return registered
	}
}

// next is what is to be kept of an application after an event that its table has led to a
// state. set, unless it is nil, adds what came with the event. Whoever comes back while it is being removed begins
// anew.
func next(now plugins.Application, app string, then state, set func(*plugins.Application)) plugins.Application {
	a := now
	if stateOf(now).isRemoved() && !then.isRemoved() {
		a = plugins.Application{At: now.At}
	}
	if now.At == 0 {
		a.Unregistered = true
	}
	if then == registered {
		a.Unregistered = false
	}
	if a.Leaving = then.isRemoved(); a.Leaving {
		a.ReadyAt = 0
	}
	if set != nil {
		set(&a)
	}
	a.Info.AppInstanceID = app
	return a
}
