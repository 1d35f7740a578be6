package heartbeat

import (
	"sync"
	"time"
)

// What this file keeps is for those who look at an instance. No decision rests on it, the
// store has nothing of it, and a restart forgets it.

const (
	// TracedGaps is how many gaps between heartbeats are remembered of an instance.
	TracedGaps = 20
	// TracedTransitions is how many transitions are.
	TracedTransitions = 20
)

// gap is a time between two heartbeats, in two bytes: thirteen bits of milliseconds times a
// power of four, so that it is off by less than a thousandth, and by less than a millisecond up
// to eight seconds. The longest is a day and a half.
type gap uint16

const (
	gapBits = 13
	gapMost = 1<<gapBits - 1
)

func gapOf(d time.Duration) gap {
	ms, shift := d.Milliseconds(), 0
	for ; ms > gapMost && shift < 7; shift++ {
		ms = (ms + 2) / 4
	}
	return gap(shift<<gapBits | int(max(min(ms, gapMost), 0)))
}

func (g gap) duration() time.Duration {
	return time.Duration(g&gapMost) << (2 * (g >> gapBits)) * time.Millisecond
}

// gaps are the last of them, in a ring: 42 bytes for each instance that beats here.
type gaps struct {
	ring  [TracedGaps]gap
	next  uint8
	count uint8
}

// trace is what is remembered of an instance. It is guarded by the lock of its entry.
type trace struct {
	state    State // that was seen last
	causedAt int64 // the same
	gaps     *gaps // nil: there is none yet
	changes  *changes
	looked   *lookedAt // nil: nobody has looked, or had to
}

// changes are the transitions of an instance, of which most have none.
type changes struct {
	flaps uint32
	list  []Transition // the oldest first
}

// Transition is a change of state, or of its reason.
type Transition struct {
	At       int64 // wall clock, Unix nanoseconds, of who made it
	From, To State
	Cause    Cause
	// As of the record then, from which its cause is told.
	LastBeat         int64
	Interval, Window int
}

// noteGap notes the time since the heartbeat before; 0: there was none. It allocates once for an
// instance.
func (t *trace) noteGap(d time.Duration) {
	if t == nil || d <= 0 {
		return
	}
	if t.gaps == nil {
		t.gaps = &gaps{}
	}
	g := t.gaps
	g.ring[g.next] = gapOf(d)
	g.next = (g.next + 1) % TracedGaps
	g.count = min(g.count+1, TracedGaps)
}

// noteState notes the state in which an instance is seen, or the other reason for which it is
// drained. How it came to be here, by a registration or a list, is no transition, and neither is
// its removal.
func (t *trace) noteState(s *Snapshot) {
	from, to := t.state, None
	if s.Exists() {
		to = s.Record.State
	}
	anew := to.Drained() && t.causedAt != s.Record.CausedAt
	t.state, t.causedAt = to, s.Record.CausedAt
	if from == to && !anew || from == None || to == None {
		return
	}
	if t.changes == nil {
		t.changes = &changes{}
	}
	c := t.changes
	if from == Active && to == Suspended {
		c.flaps++
	}
	if len(c.list) == TracedTransitions {
		c.list = append(c.list[:0], c.list[1:]...)
	}
	c.list = append(c.list, Transition{At: s.Record.since(), From: from, To: to, Cause: s.Record.Cause,
		LastBeat: s.Record.LastBeat, Interval: s.Record.Interval, Window: s.Record.Window})
}

// lastGaps are the gaps, the oldest first.
func (t *trace) lastGaps() []time.Duration {
	if t.gaps == nil {
		return nil
	}
	g := t.gaps
	out := make([]time.Duration, 0, g.count)
	for n := TracedGaps - int(g.count); n < TracedGaps; n++ {
		out = append(out, g.ring[(int(g.next)+n)%TracedGaps].duration())
	}
	return out
}

// beatMeter counts the heartbeats of the last minute, by the second.
type beatMeter struct {
	mu     sync.Mutex
	counts [60]int64 // the total, as of each second of the last minute
	ticks  int       // how many seconds were counted
	began  Mono
	last   Mono
}

// tick takes in the total, of which it needs one reading a second.
func (m *beatMeter) tick(now Mono, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ticks == 0 {
		m.began = now
	} else if now.Sub(m.last) < time.Second {
		return
	}
	m.last = now
	m.counts[m.ticks%len(m.counts)] = total
	m.ticks++
}

// perMinute is how many came in a minute, after less than a minute by what came so far.
func (m *beatMeter) perMinute(now Mono, total int64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ticks == 0 {
		return 0
	}
	first, since := m.counts[0], m.began
	if m.ticks > len(m.counts) {
		first, since = m.counts[m.ticks%len(m.counts)], m.last-Mono(len(m.counts)-1)*Mono(time.Second)
	}
	return float64(total-first) / max(now.Sub(since), time.Second).Minutes()
}
