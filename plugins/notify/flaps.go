package notify

import (
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// newMessage is the message of an event that this replica sees for the first time; d.mu is held.
func (d *dispatcher) newMessage(e *plugins.Event, age plugins.Age, now plugins.Instant) (*message, error) {
	m, err := newMessage(e, age)
	if err != nil {
		return nil, err
	}
	at := now - age.At(now)
	if m.until = d.flaps.See(e, at); m.until != 0 {
		m.putOff = m.until - at
		d.observer.putOff()
	}
	return m, nil
}

// Flapping implements plugins.Telling.
func (d *dispatcher) Flapping(serInstanceID string) (changes int, until int64, is bool) {
	now, wall := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	f, is := d.flaps.Of(heartbeat.ID(serInstanceID), now)
	if !is {
		return 0, 0, false
	}
	return f.Changes, wall + int64(f.Until-now), true
}

// flapping is how many instances flap.
func (d *dispatcher) flapping() int {
	now, _ := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flaps.Count(now)
}
