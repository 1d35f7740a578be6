package plugins

import (
	"context"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Application is what the platform keeps of an application instance: its registration, and how
// far it is in its life.
type Application struct {
	Info mp1.AppInfo // AppInstanceID names it; nothing else is set if it is Unregistered
	// Unregistered says that the application did not register: the platform admits everybody,
	// or knows the application by its configuration. The rest is kept all the same.
	Unregistered bool
	// ReadyAt is when the application said last that it is ready (confirm_ready), by the wall
	// clock in Unix nanoseconds; 0: it did not.
	ReadyAt int64
	// Termination is the termination that goes on, or did until Leaving; nil: none does.
	Termination *Termination
	// Leaving says that the application is being removed. The registration is erased when
	// nothing that the application had is left. ReadyAt is not stored any more, and Termination
	// is what led to it; nil: it was removed without one.
	Leaving bool
	At      heartbeat.Revision // of its last write; 0: there is none
}

// Termination is the graceful termination of an application: it is notified, and ends when the
// application confirms it or Timeout is over, whichever comes first.
type Termination struct {
	Action    mp1.OperationAction
	Timeout   uint32 // seconds
	Begun     int64  // wall clock, Unix nanoseconds; it also tells terminations of one application apart
	Confirmed bool   // the application confirmed it
}

// Applications is what the store offers to those who keep registrations. Its errors
// are those of heartbeat.Store.
type Applications interface {
	// SaveApplication writes a registration whose last write is still a.At (0: there is
	// none) and returns the new one; ErrConflict: it is not.
	SaveApplication(ctx context.Context, a Application) (heartbeat.Revision, error)
	// BeginTermination does what SaveApplication does and, in the same transaction, writes
	// the event of a.Termination, which must be set, to the outbox. A crash leaves both or
	// neither. ErrConflict also says that there is an event of this Termination.Begun.
	BeginTermination(ctx context.Context, a Application) (heartbeat.Revision, error)
	// EraseApplication erases a registration whose last write is still at; ErrConflict:
	// it is not.
	EraseApplication(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error)
	// Application reads one; its At is 0 if there is none.
	Application(ctx context.Context, app string) (Application, error)
	// FollowApplications calls load with all registrations, and then see with every write
	// until ctx ends; At is the revision of the write, and erased says whether it erased the
	// registration. Whatever breaks the watch leads to a new load. Neither may block.
	FollowApplications(ctx context.Context, load func(all []Application, at heartbeat.Revision),
		see func(a Application, erased bool), failed func(reason string, err error))
}

// Owned is one kind of things that applications have at the platform, such as their
// services. They are removed together with the application.
type Owned interface {
	// Of lists the ids of what an application has, as far as this replica knows.
	Of(app string) []string
	// Remove removes one; that it is gone already is no error.
	Remove(ctx context.Context, app, id string) error
}
