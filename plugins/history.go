package plugins

import (
	"context"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// HistoryReader is given every change of every service: first what there is, then every change,
// in the order of commits. Its methods must not block.
type HistoryReader interface {
	// Load takes in what there is at a revision. It is called again when the store could not be
	// followed for a while: of what was given before, only what is missing may be needed.
	Load(h *History)
	// See adds changes; after it, every change up to upTo was given. What was given before may be
	// given again. nil stands for an event that cannot be read.
	See(events []*Event, upTo heartbeat.Revision)
	// Restored says that what is loaded next is of another history: the store was restored from a
	// backup, and revisions may repeat.
	Restored()
}

// History is what the store has, at one revision, of services and their changes.
type History struct {
	At heartbeat.Revision
	// Floor is the revision behind which no event is missing in Events. Up to it some were erased,
	// or never happened in this history.
	Floor heartbeat.Revision
	// Events are all changes of services behind Floor, in the order of commits.
	Events []*Event
	// Services are all services at that revision, each in the form of the event that would tell
	// of it. None of them tells a change.
	Services []*Event
}

// HistoryStore is what the store offers to those who show all changes.
type HistoryStore interface {
	// FollowHistory loads r and gives it every change until ctx ends; failed is called when
	// everything has to be loaded anew.
	FollowHistory(ctx context.Context, r HistoryReader, failed func(reason string, err error))
}
