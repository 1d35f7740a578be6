package events

import (
	"context"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// mostAhead is how long a stream that begins waits for what this replica has acknowledged already.
const mostAhead = time.Second / 4

// gone is what a service that was removed has in place of a state.
const gone = mp1.State("")

// changed takes in what the engine knows of a service. It is Host.OnChange's function. The watch
// shows the same a moment later; a stream that begins in between would lack what an application was
// just answered.
func (f *feed) changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	state := gone
	if s.Exists() {
		state = mp1.State(s.Record.State.Shown().String())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ahead[id] = state
	f.caughtUp(id)
}

// caughtUp forgets what the engine knew of a service once the feed has the same; f.mu is held.
func (f *feed) caughtUp(id heartbeat.ID) {
	is := gone
	if it := f.services[id]; it != nil {
		is = it.state()
	}
	if known, ok := f.ahead[id]; ok && known == is {
		delete(f.ahead, id)
	}
}

// settle waits until the feed has what the engine knows, for a bounded time: nothing is lost
// without it, but it would come as a change behind the reset.
func (f *feed) settle(ctx context.Context) {
	late := time.NewTimer(mostAhead)
	defer late.Stop()
	for {
		f.mu.RLock()
		n, more := len(f.ahead), f.more
		f.mu.RUnlock()
		if n == 0 {
			return
		}
		select {
		case <-more:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
