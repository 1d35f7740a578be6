package plugins

import (
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// maxFlapInstances is of how many instances it is remembered when their state changed, or their
// attributes. What finds no room is not put off.
const maxFlapInstances = 50_000

// Flaps says which changes of instances are told at once, and until when the others are put off. It
// is given all events of the outbox in order, so that all replicas that saw the same events answer
// the same. It is not safe for concurrent use.
//
// Changes of the state and of the attributes of an instance are judged each for themselves: a state
// that changes seldom is told at once however often the attributes change.
// An instance flaps from the change on before which it changed Changes times within the period. From
// then on its changes are put off until the period that begins with that change is over. The next
// change is judged in the same way. So of the state of one instance no more than Changes changes are
// told at once within any period, and beside them what was put off, once; the same of its attributes.
type Flaps struct {
	most      int // changes within a period that are told at once; 0: all are
	period    time.Duration
	instances map[flaps]*flapping
	forgets   []forget // in the order in which they are due
}

// flaps is what may change too often.
type flaps struct {
	id         heartbeat.ID
	attributes bool // not the state
}

// flapping is what is remembered of it.
type flapping struct {
	times []Instant // of its last changes, oldest first; as many as may be told at once, at most
	until Instant   // its changes are put off until then
	run   int       // changes since it began to flap, those that made it flap included; 0: it did not
}

// forget is what is looked at again, whether it must be remembered.
type forget struct {
	at Instant
	id flaps
}

// Flapping is an instance whose changes are put off.
type Flapping struct {
	Changes int     // since it began to flap
	Until   Instant // what was put off is told then
}

// NewFlaps lets so many changes of an instance within a period pass; 0: all.
func NewFlaps(changes int, period time.Duration) *Flaps {
	return &Flaps{most: changes, period: period, instances: map[flaps]*flapping{}}
}

// Period is for how long a change is put off at most.
func (f *Flaps) Period() time.Duration { return f.period }

// See takes in an event that happened at a moment, and returns until when telling it is put off; 0:
// it is not. Never put off is that an instance comes or goes, and what an administrator does.
func (f *Flaps) See(e *Event, at Instant) (until Instant) {
	switch {
	case f.most == 0 || e.Termination != nil || !e.Told():
		return 0
	case e.Change == heartbeat.Removed:
		delete(f.instances, flaps{e.ID, false})
		delete(f.instances, flaps{e.ID, true})
		return 0
	case e.Change == heartbeat.Added, e.Change == heartbeat.StateChanged && (e.State.Drained() || e.From.Drained()):
		return 0
	}
	f.tidy(at)
	i := f.remember(flaps{e.ID, e.Change == heartbeat.AttributesChanged}, at)
	if i == nil {
		return 0
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
	case i.until != 0 && at < i.until: // moments before this process began are below 0
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

// Resume says that changes of an instance, of its attributes or of its state, were put off when another
// process, or this one before it began anew, sent to consumers. It flaps for a period from now,
// unless it is known to flap.
func (f *Flaps) Resume(id heartbeat.ID, attributes bool, now Instant) {
	if f.most == 0 {
		return
	}
	if i := f.remember(flaps{id, attributes}, now); i != nil && i.until <= now {
		i.until, i.run = now+f.period, max(i.run, f.most+1)
	}
}

// remember is what is remembered, from now on if nothing was; nil: there is no room.
func (f *Flaps) remember(id flaps, now Instant) *flapping {
	if i := f.instances[id]; i != nil {
		return i
	}
	if len(f.instances) >= maxFlapInstances {
		return nil
	}
	i := &flapping{}
	f.instances[id] = i
	f.forgets = append(f.forgets, forget{now + f.period, id})
	return i
}

// tidy forgets what has not changed for a period. It looks at some of them with each
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

// Of says whether changes of an instance are put off at a moment.
func (f *Flaps) Of(id heartbeat.ID, now Instant) (of Flapping, is bool) {
	for _, attributes := range []bool{false, true} {
		if i := f.instances[flaps{id, attributes}]; i != nil && i.until > now {
			of.Changes, of.Until, is = of.Changes+i.run, max(of.Until, i.until), true
		}
	}
	return of, is
}

// Count is how many instances flap at a moment.
func (f *Flaps) Count(now Instant) (n int) {
	for what, i := range f.instances {
		if state := f.instances[flaps{what.id, false}]; i.until > now && !(what.attributes && state != nil && state.until > now) {
			n++
		}
	}
	return n
}

// Reset forgets everything.
func (f *Flaps) Reset() { f.instances, f.forgets = map[flaps]*flapping{}, nil }
