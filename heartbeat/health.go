package heartbeat

import "time"

const (
	// Tick is how often a replica notes that it is running.
	Tick = 100 * time.Millisecond
	// shortTick is the least time between two ticks: one comes earlier when something is due then.
	shortTick = 10 * time.Millisecond
	// maxCredit is the most that one tick credits.
	maxCredit = 2 * Tick
	// maxSilence is how long a replica may be paused, or its store silent, before that
	// counts as a disturbance.
	maxSilence = time.Second
)

// Health decides whether this replica may suspend silent instances. A replica that was
// paused, or whose store did not reply, may have missed heartbeats of living instances, so
// time in which it could not receive them must not count as their silence. Credited time
// passes only while the replica runs and receives heartbeats: a pause credits nothing, a
// shorter delay almost nothing.
type Health struct {
	Credited      Credit
	Disturbed     bool // it may have missed heartbeats, at DisturbedAt for the last time
	DisturbedAt   Credit
	Full          bool   // the store takes no writes
	WritableSince Credit // since when writing has worked

	Alone bool // this replica is the store's only writer
	// Loaded: the first list was taken in, at StartedAt. What was known then is from
	// before this start.
	Loaded    bool
	StartedAt Credit
	// RunTimeBefore is how long the platform had run before this start, over all its
	// starts, in credited time; only if HasRunTime.
	HasRunTime    bool
	RunTimeBefore time.Duration
}

// AddTime credits the time since the last tick; a pause adds nothing.
func (h *Health) AddTime(elapsed time.Duration) {
	if elapsed > maxSilence {
		h.Disturb()
		return
	}
	h.Credited = h.Credited.Add(min(elapsed, maxCredit))
}

// Disturb notes that heartbeats may have been missed up to now: a start, a pause,
// a new list, a store that did not answer.
func (h *Health) Disturb() { h.Disturbed, h.DisturbedAt = true, h.Credited }

// WriteFailed restarts every hold. While a store takes no writes no instance can be re-armed,
// so a hold that went on would end in claims of living ones: holds count from when it has
// space again (protocol CE9).
func (h *Health) WriteFailed() { h.WritableSince = h.Credited }

// NoteOutcome follows how a call to the store ended. If a write without a reply restarted
// the holds of all, one failure a second would keep every death from being found: it
// concerns the instance that it was for, whose flow begins its hold anew. It restarts all
// only beside a replica that publishes no watermark, for of that one nobody knows whether
// its refutations get through (holds restart: protocol CE9). A read or a renewal that fails is no failed
// write; the pulse finds a store that does not reply.
func (h *Health) NoteOutcome(do Verb, o Outcome, nonPublisher bool) {
	switch {
	case o == Full:
		h.SetFull(true)
	case nonPublisher && o == Unavailable && (do == DoGrant || do == DoCommit):
		h.WriteFailed()
	}
}

// cannotWrite says whether the store is full, or was so less than a hold ago: then nobody
// can say that an end is settled.
func (h *Health) cannotWrite(hold time.Duration) bool {
	return h.Full || h.Credited.Sub(h.WritableSince) < hold
}

// SetFull follows the alarm by which the store says that it takes no writes.
func (h *Health) SetFull(full bool) {
	if h.Full || full {
		h.WriteFailed()
	}
	h.Full = full
}
