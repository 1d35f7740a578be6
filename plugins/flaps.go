package plugins

import (
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// maxFlapInstances is of how many instances it is remembered when they changed. An instance that finds
// no room is not put off.
const maxFlapInstances = 50_000

// Flaps says which changes of instances are told at once, and until when the others are put off. It
// is given all events of the outbox in order, so that all replicas that saw the same events answer
// the same. It is not safe for concurrent use.
//
// An instance flaps from the change on before which it changed Changes times within the period. From
// then on its changes are put off until the period that begins with that change is over. The next
// change is judged in the same way. So of one instance no more than Changes changes are told at
// once within any period, and beside them what was put off, once.
type Flaps struct {
	most      int // changes within a period that are told at once; 0: all are
	period    time.Duration
	instances map[heartbeat.ID]*flapping
	forgets   []forget // in the order in which they are due
}

// flapping is what is remembered of one instance.
type flapping struct {
	times []Instant // of its last changes, oldest first; as many as may be told at once, at most
	until Instant   // its changes are put off until then
	run   int       // changes since it began to flap, those that made it flap included; 0: it did not
}

// forget is an instance that is looked at again, whether anything of it must be remembered.
type forget struct {
	at Instant
	id heartbeat.ID
}

// Flapping is an instance whose changes are put off.
type Flapping struct {
	Changes int     // since it began to flap
	Until   Instant // what was put off is told then
}

// NewFlaps lets so many changes of an instance within a period pass; 0: all.
func NewFlaps(changes int, period time.Duration) *Flaps {
	return &Flaps{most: changes, period: period, instances: map[heartbeat.ID]*flapping{}}
}

// See takes in an event that happened at a moment, and returns until when telling it is put off; 0:
// it is not. Never put off is that an instance comes or goes, and what an administrator does.
func (f *Flaps) See(e *Event, at Instant) (until Instant) {
	switch {
	case f.most == 0 || e.Termination != nil || !e.Told():
		return 0
	case e.Change == heartbeat.Removed:
		delete(f.instances, e.ID)
		return 0
	case e.Change == heartbeat.Added, e.Change == heartbeat.StateChanged && (e.State.Drained() || e.From.Drained()):
		return 0
	}
	f.tidy(at)
	i := f.instances[e.ID]
	if i == nil {
		if i = f.remember(e.ID, at); i == nil {
			return 0
		}
	}
	if n := len(i.times); n > 0 {
		at = max(at, i.times[n-1]) // clocks of those who made the events may differ
	}
	return i.changed(at, f.most, f.period)
}

// changed takes in a change of the instance.
func (i *flapping) changed(at Instant, most int, period time.Duration) (until Instant) {
	often := len(i.times) == most && at-i.times[0] < period
	switch {
	case at < i.until:
		i.run++
	case often && i.until != 0 && at-i.until < period: // it goes on
		i.run++
		i.until = at + period
	case often:
		i.run, i.until = most+1, at+period
	default:
		i.run, i.until = 0, 0
	}
	if len(i.times) == most {
		i.times = append(i.times[:0], i.times[1:]...)
	}
	i.times = append(i.times, at)
	return i.until
}

// Resume says that changes of an instance were put off when another process, or this one before it
// began anew, sent to consumers. It flaps for a period from now, unless more is known of it.
func (f *Flaps) Resume(id heartbeat.ID, now Instant) {
	if f.most == 0 || f.instances[id] != nil {
		return
	}
	if i := f.remember(id, now); i != nil {
		i.until, i.run = now+f.period, f.most+1
	}
}

// remember begins to remember an instance; nil: there is no room.
func (f *Flaps) remember(id heartbeat.ID, now Instant) *flapping {
	if len(f.instances) >= maxFlapInstances {
		return nil
	}
	i := &flapping{}
	f.instances[id] = i
	f.forgets = append(f.forgets, forget{now + f.period, id})
	return i
}

// tidy forgets instances that have not changed for a period. It looks at some of them with each
// change, so that no change pays for many.
func (f *Flaps) tidy(now Instant) {
	for range 4 {
		if len(f.forgets) == 0 || f.forgets[0].at > now {
			return
		}
		next := f.forgets[0]
		f.forgets = f.forgets[1:]
		i := f.instances[next.id]
		switch {
		case i == nil:
		case i.over(now, f.period):
			delete(f.instances, next.id)
		default:
			f.forgets = append(f.forgets, forget{now + f.period, next.id})
		}
	}
}

// over says whether nothing of the instance counts any more.
func (i *flapping) over(now Instant, period time.Duration) bool {
	return i.until <= now && (len(i.times) == 0 || now-i.times[len(i.times)-1] >= period)
}

// Of says whether the changes of an instance are put off at a moment.
func (f *Flaps) Of(id heartbeat.ID, now Instant) (Flapping, bool) {
	i := f.instances[id]
	if i == nil || i.until <= now {
		return Flapping{}, false
	}
	return Flapping{Changes: i.run, Until: i.until}, true
}

// Count is how many instances flap at a moment.
func (f *Flaps) Count(now Instant) (n int) {
	for _, i := range f.instances {
		if i.until > now {
			n++
		}
	}
	return n
}

// Reset forgets everything.
func (f *Flaps) Reset() { f.instances, f.forgets = map[heartbeat.ID]*flapping{}, nil }
