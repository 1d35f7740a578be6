package heartbeat

import "strings"

// lookUpUnknown has the heartbeats carried through of instances that are not known here. Each may
// be one that another replica has just registered.
func (b *batch) lookUpUnknown() {
	for _, i := range b.unknown {
		if _, err := b.e.findHere(b.beats[i].ID); err != nil { // it asks the store for nothing
			b.respond(i, Response{Err: err})
			continue
		}
		id := ID(strings.Clone(string(b.beats[i].ID))) // it may be remembered, and must not keep the whole request with it
		b.e.batches.lookups.put(&b.lookups, func() { b.lookUp(i, id) })
	}
}

// lookUp is a worker's part of one.
func (b *batch) lookUp(i int, id ID) {
	en, err := b.e.find(b.ctx, id)
	if err == nil {
		en.mu.Lock()
		err = en.view.Record.mayBeat(b.beats[i].Owner)
		en.mu.Unlock()
	}
	if err != nil {
		b.respond(i, Response{Err: err})
		return
	}
	b.serve(i, en, &BeatFlow{Agent: b.agent, Received: &b.moment})
}
