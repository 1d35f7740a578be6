package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
)

// How far a subscription has got to which another replica sends, its cursor in the store says. It is
// read for those who look, and for as long as they do.

const (
	// cursorsFresh is how long what was read serves everybody who asks; cursorsTime bounds a read.
	cursorsFresh = 500 * time.Millisecond
	cursorsTime  = 250 * time.Millisecond
	// mostCursors is the most that are read: of more nothing is known.
	mostCursors = 5000
	// slowAfter is how long an event of another replica is pending before its attempts are taken to
	// fail: as long as one attempt may take, and a repetition.
	slowAfter = 12 * time.Second
)

// farAway are the subscriptions to which others send.
type farAway struct {
	mu   sync.Mutex // held while it is read
	some bool
	read plugins.Instant
	of   map[string]*remote // nil: they are not known

	pending, failing int // events that are still to be sent, and subscriptions to which attempts fail
}

// remote is one of them.
type remote struct {
	cursor  plugins.Cursor
	failing bool
	period  time.Duration // for which an event is put off at most
}

// putsOff says whether an event that is not done with is put off: if this replica began after it, by the
// cursor, for as long as that may be.
func (f *remote) putsOff(m *message, now plugins.Instant) bool {
	switch {
	case slices.Contains(f.cursor.Group, m.at):
		return false
	case m.until != 0:
		return m.until > now
	}
	return slices.Contains(f.cursor.PutOff, m.at) && m.age.At(now) < f.period
}

// elsewhere are the subscriptions to which others send, as they were half a second ago at most;
// nil: nothing is known. Nobody changes it.
func (d *dispatcher) elsewhere() (of map[string]*remote, pending, failing int) {
	far := &d.farAway
	far.mu.Lock()
	defer far.mu.Unlock()
	now, _ := d.now()
	if !far.some || now-far.read >= cursorsFresh {
		far.some, far.read = true, now
		far.of, far.pending, far.failing = d.readElsewhere(now)
	}
	return far.of, far.pending, far.failing
}

func (d *dispatcher) readElsewhere(now plugins.Instant) (of map[string]*remote, pending, failing int) {
	d.mu.Lock()
	others := d.others()
	d.mu.Unlock()
	if len(others) == 0 {
		return nil, 0, 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), cursorsTime)
	defer cancel()
	cursors, err := d.store.Cursors(ctx, mostCursors)
	if err != nil || cursors == nil {
		return nil, 0, 0
	}
	of = make(map[string]*remote, len(others))
	d.mu.Lock()
	defer d.mu.Unlock()
	looked := 0
	for _, en := range d.others() {
		c, is := cursors[en.sub.ID]
		if !is {
			continue
		}
		one := &remote{cursor: c, period: d.flaps.Period()}
		of[en.sub.ID] = one
		if looked += len(d.events.list); looked > maxLooked || c.Gone {
			continue
		}
		for _, m := range d.events.behind(c.After, &en.sub.Asked) {
			if c.Done(m.at) || one.putsOff(m, now) {
				continue
			}
			if pending++; !one.failing && m.waits(now) >= slowAfter {
				one.failing = true
				failing++
			}
		}
	}
	return of, pending, failing
}

// others are the subscriptions to which this replica does not send; d.mu is held.
func (d *dispatcher) others() (out []*entry) {
	for _, en := range d.entries {
		if en.worker == nil {
			out = append(out, en)
		}
	}
	return out
}

// standing is how a subscription stands with the events of an instance, by its cursor; d.mu is held.
func (f *remote) standing(en *entry, instance string, events []*message, now plugins.Instant) *standing {
	s := &standing{elsewhere: true, gone: f.cursor.Gone, failing: f.failing}
	for _, m := range slices.Backward(events) {
		if m.at <= f.cursor.After {
			break
		}
		if !f.cursor.Done(m.at) && en.matches(m) {
			s.queued(instance, f.putsOff(m, now))
			break
		}
	}
	return s
}
