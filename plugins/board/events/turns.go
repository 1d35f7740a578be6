package events

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// turnTime is how long a stream has its turn at most. One that takes longer waits for its reader.
const turnTime = 20 * time.Millisecond

// turns bounds how many streams write at a time. A change wakes all of them, and Go looks for what
// has arrived only when nothing else is ready to run: a heartbeat would wait behind thousands. So
// half of the processors are left to others.
type turns chan struct{}

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)/2)) }

// take waits for a turn; end gives it back, and may be called when it is over already. ok is false
// if ctx ended.
func (t turns) take(ctx context.Context) (end func(), ok bool) {
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	release := sync.OnceFunc(func() { <-t })
	late := time.AfterFunc(turnTime, release)
	return func() { late.Stop(); release() }, true
}
