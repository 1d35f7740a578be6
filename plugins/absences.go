package plugins

import (
	"context"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	// AbsenceTTL is how long it is believed that the store does not have a thing.
	AbsenceTTL = time.Second
	// maxAbsences bounds how many absences are remembered, for callers choose the names.
	maxAbsences = 4096
)

// Absences remembers what the store was just asked for in vain, and bounds how many ask it at a
// time: whoever asks for what is not there must not load the store. It is safe for concurrent
// use.
type Absences struct {
	clock func() (Instant, int64)
	reads chan struct{}

	mu sync.Mutex
	at map[string]Instant
}

// NewAbsences returns an Absences by a clock as NewClock makes it, which lets so many reads of
// the store be under way at a time.
func NewAbsences(clock func() (Instant, int64), reads int) *Absences {
	return &Absences{clock: clock, reads: make(chan struct{}, reads), at: map[string]Instant{}}
}

// Recent says whether the store did not have the thing of a name within AbsenceTTL.
func (a *Absences) Recent(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, _ := a.clock()
	at, noted := a.at[name]
	if noted && now-at <= AbsenceTTL {
		return true
	}
	delete(a.at, name)
	return false
}

// Note says that the store does not have it.
func (a *Absences) Note(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.at) >= maxAbsences {
		clear(a.at)
	}
	a.at[name], _ = a.clock()
}

// Forget says that it is there now.
func (a *Absences) Forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.at, name)
}

// Read waits until the store may be read, which ends by the returned function. Its error is
// heartbeat.ErrUnavailable: ctx ended before. A client that asks for many things at once waits
// here, and nobody else does.
func (a *Absences) Read(ctx context.Context) (end func(), err error) {
	select {
	case a.reads <- struct{}{}:
		return func() { <-a.reads }, nil
	case <-ctx.Done():
		return nil, heartbeat.ErrUnavailable
	}
}
