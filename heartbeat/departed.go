package heartbeat

import "sync"

// departed are the instances of which neither record nor projection is known any more. Their entries
// stay until no late observation of them can come.
type departed struct {
	mu  sync.Mutex
	ids map[ID]struct{}
}

func (d *departed) add(id ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = map[ID]struct{}{}
	}
	d.ids[id] = struct{}{}
}

// take returns them, and forgets them.
func (d *departed) take() map[ID]struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.ids
	d.ids = nil
	return out
}

// noteDeparted notes an instance that is gone; en.mu is held.
func (e *Engine) noteDeparted(en *entry) {
	if !en.view.Exists() && !en.view.Projection.Present() {
		e.departed.add(en.id)
	}
}

// purge drops the entries of removed instances of which no late observation can come. It looks at
// those that are gone, for it holds up whoever looks for an entry.
func (e *Engine) purge() {
	gone := e.departed.take()
	if len(gone) == 0 {
		return
	}
	watched := Revision(e.watched.Load())
	if at := e.sweep.compared(); at != 0 {
		watched = min(watched, at) // the next part may be as of less than the watch has shown
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range gone {
		en := e.entries[id]
		if en == nil {
			continue
		}
		if !en.mu.TryLock() {
			e.departed.add(id)
			continue
		}
		switch v := &en.view; {
		case v.Exists() || v.Projection.Present():
		case en.registering || v.recordSeen+v.projectionSeen == 0 || max(v.recordSeen, v.projectionSeen) > watched:
			e.departed.add(id)
		default:
			delete(e.entries, id)
			en.dropped = true
		}
		en.mu.Unlock()
	}
}
