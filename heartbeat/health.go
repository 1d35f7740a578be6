package heartbeat

import "time"

const (
	// Tick is how often a replica notes that it is running.
	Tick = 100 * time.Millisecond
	// maxCredit is the most that one tick credits.
	maxCredit = 2 * Tick
	// maxSilence is how long a replica or its store may be silent before the
	// replica suspects itself.
	maxSilence = time.Second
)

// Health is what a replica believes of its own ability to take silence for death.
// Credited time passes only while the replica runs: a pause credits nothing, a delay
// that is too short to be one almost nothing.
type Health struct {
	Credited      Credit
	Suspected     bool
	SuspectedAt   Credit // of the last disturbance
	Full          bool   // the store takes no writes
	WritableSince Credit // since when writing has worked

	Alone bool // this replica is the store's only writer
	// Loaded: the first list was taken in, at credited time StartAt. What was known then
	// is from before.
	Loaded    bool
	StartedAt Credit
	// RanBefore is how long the platform had run before this start, credited, and over
	// all its starts; only if Clocked.
	HasRunTime    bool
	RunTimeBefore time.Duration
}

// AddTime credits the time since the last tick; a pause adds nothing.
func (g *Health) AddTime(elapsed time.Duration) {
	if elapsed > maxSilence {
		g.Disturb()
		return
	}
	g.Credited = g.Credited.Add(min(elapsed, maxCredit))
}

// Disturb notes that heartbeats may have been missed up to now: a start, a pause,
// a new list, a store that did not answer.
func (g *Health) Disturb() { g.Suspected, g.SuspectedAt = true, g.Credited }

// WriteFailed restarts every hold (protocol CE9).
func (g *Health) WriteFailed() { g.WritableSince = g.Credited }

// NoteOutcome follows how a call to the store ended. A write that got no answer concerns the
// instance it was made for, whose flow begins its hold anew. If it restarted the holds of
// all, one failure a second would keep every death from being found. It does so only
// beside a replica that publishes no watermark: of that one nobody knows whether its
// refutations get through (protocol CE9). A read or a renewal that fails is no failed
// write; the pulse tells of a silent store.
func (g *Health) NoteOutcome(do Verb, o Outcome, unspoken bool) {
	switch {
	case o == Full:
		g.SetFull(true)
	case unspoken && o == Unavailable && (do == DoGrant || do == DoCommit):
		g.WriteFailed()
	}
}

// cannotWrite says whether the store is full, or was so less than a hold ago: then nobody
// can say that an end is settled.
func (g *Health) cannotWrite(hold time.Duration) bool {
	return g.Full || g.Credited.Sub(g.WritableSince) < hold
}

// SetFull follows the store's alarm.
func (g *Health) SetFull(full bool) {
	if g.Full || full {
		g.WriteFailed()
	}
	g.Full = full
}
