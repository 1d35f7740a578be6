package quota

import "time"

// Figures are what an upkeep decides from.
type Figures struct {
	Now      time.Duration // monotonic, since any origin
	Revision int64         // the newest
	Floor    int64         // the oldest that a watch or a list still needs; 0: none does
	Size     int64         // bytes of the database's file
	InUse    int64         // bytes of it in use
	Limit    int64         // the quota
	Alarm    bool          // the store takes no writes at all
}

// Reason says why something is cleared away, as metrics name it.
type Reason string

// The reasons.
const (
	AtStart Reason = "start" // nobody reads history yet
	ByTime  Reason = "time"
	BySize  Reason = "size" // much was written since the last time
	ByNeed  Reason = "full" // little room is left
)

// Reasons are all there are.
var Reasons = []Reason{AtStart, ByTime, BySize, ByNeed}

// Work is what is to be done now; the zero Work is nothing.
type Work struct {
	Compact    int64 // the revision up to which history goes; 0: none does
	Defragment bool
	Disarm     bool // clear the alarm, after the rest
	Reason     Reason
}

const (
	usualKeep  = time.Minute     // of history, for watches that lag and lists that are read
	needKeep   = 5 * time.Second // the same when room is short; Floor still counts
	mostKeep   = 2 * time.Minute // what lags more than this is listed anew
	usualPause = 5 * time.Minute // between two compactions
	idlePause  = time.Hour       // the same when hardly anything was written
	sizePause  = 30 * time.Second
	needPause  = 5 * time.Second
	few        = 1000 // revisions that are not worth a compaction
	many       = 100_000

	needPercent = 75 // of the quota in use: history goes as soon as it may

	// A defragmentation blocks every read and write of the database while it copies
	// what is in use. Twice as fast was measured on a slow disk; renewals do not wait
	// for it, but a replica that cannot read for a second suspects itself.
	copyRate        = 64 << 20 // bytes a second
	mostBlocked     = time.Second / 2
	defragmentPause = 10 * time.Minute
	startWaste      = 256 << 20
)

// Upkeep decides when history is compacted and the file is defragmented. It goes by
// its own clock and by what it has seen since the process started: history from
// before that is for nobody, and goes at the start.
type Upkeep struct {
	seen         []seen // rising
	compacted    int64
	compactedAt  time.Duration
	inUseThen    int64 // after the last compaction
	defragmented time.Duration
	everDefrag   bool
}

// seen is a revision, and when it was the newest.
type seen struct {
	at       time.Duration
	revision int64
}

// seenEvery is how finely time is told apart.
const seenEvery = time.Second

// Start decides what is done before anybody reads: all history goes, for no watch is
// older than the process.
func (u *Upkeep) Start(f Figures) Work {
	w := Work{Compact: f.Revision, Reason: AtStart, Disarm: f.Alarm}
	waste := f.Size - f.InUse
	w.Defragment = f.Alarm || waste >= f.Size/2 && (f.Size > f.Limit || waste >= startWaste)
	u.recordWork(w, f)
	return w
}

// Next decides what is to be done now. It is asked about every second.
func (u *Upkeep) Next(f Figures) Work {
	u.observe(f)
	w := u.compaction(f)
	switch {
	case f.Alarm && (!u.everDefrag || f.Now-u.defragmented >= needPause):
		w.Defragment, w.Disarm, w.Reason = true, true, ByNeed
	case w.Compact == 0 && u.pays(f):
		w.Defragment, w.Reason = true, BySize
	}
	u.recordWork(w, f)
	return w
}

func (u *Upkeep) compaction(f Figures) Work {
	keep, reason := usualKeep, Reason("")
	since := f.Now - u.compactedAt
	grown := f.InUse - u.inUseThen
	fresh := f.Revision - u.compacted
	switch {
	case (f.Alarm || f.InUse >= f.Limit/100*needPercent) && since >= needPause:
		keep, reason = needKeep, ByNeed
	case since < sizePause:
	case grown >= step(f.Limit), fresh >= many:
		reason = BySize
	case since >= idlePause && fresh > 0, since >= usualPause && fresh >= few:
		reason = ByTime
	}
	to := u.target(f, keep)
	if reason == "" || to <= u.compacted {
		return Work{}
	}
	return Work{Compact: to, Reason: reason}
}

// step is how much the database may grow before it is worth looking whether history
// made it so.
func step(limit int64) int64 { return min(max(limit/16, 1<<20), 64<<20) }

// target is the newest revision that nobody needs: it was followed by another for so
// long, and neither a list nor a watch stands before it, unless they lag beyond reason.
func (u *Upkeep) target(f Figures, keep time.Duration) int64 {
	to := u.before(f.Now - keep)
	if f.Floor != 0 {
		to = min(to, f.Floor)
	}
	return max(to, u.before(f.Now-mostKeep))
}

func (u *Upkeep) observe(f Figures) {
	if n := len(u.seen); n == 0 || f.Now-u.seen[n-1].at >= seenEvery {
		u.seen = append(u.seen, seen{f.Now, f.Revision})
	}
	old := 0
	for old+1 < len(u.seen) && u.seen[old+1].at <= f.Now-mostKeep {
		old++
	}
	u.seen = u.seen[old:]
}

// before is the newest revision known to have been the newest at that time or earlier.
func (u *Upkeep) before(at time.Duration) int64 {
	for i := len(u.seen) - 1; i >= 0; i-- {
		if u.seen[i].at <= at {
			return u.seen[i].revision
		}
	}
	return 0
}

// pays says whether the file is larger than it may be, mostly holds nothing, and is
// copied fast enough to disturb nobody.
func (u *Upkeep) pays(f Figures) bool {
	waste := f.Size - f.InUse
	return f.Size > f.Limit && waste >= f.Size/4 && f.InUse <= int64(mostBlocked)*copyRate/int64(time.Second) &&
		(!u.everDefrag || f.Now-u.defragmented >= defragmentPause)
}

func (u *Upkeep) recordWork(w Work, f Figures) {
	if w.Compact != 0 {
		u.compacted, u.compactedAt, u.inUseThen = w.Compact, f.Now, f.InUse
	}
	if w.Defragment {
		u.defragmented, u.everDefrag = f.Now, true
	}
}

// Settled is told what the database uses once the work is done.
func (u *Upkeep) Settled(inUse int64) { u.inUseThen = inUse }
