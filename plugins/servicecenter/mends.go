package servicecenter

import (
	"context"
	"sync"
)

// mends puts right what lists show, beside whoever listed: over a slow store it may take
// all its time, and a replica that has lost its watch is blind until its list is taken in.
type mends struct {
	mu      sync.Mutex // held while it works: one at a time, the next list looks again
	ctx     context.Context
	end     context.CancelFunc
	checked map[string]int64 // revisions of microservices that were as they should be
}

func newMends() *mends {
	m := &mends{}
	m.ctx, m.end = context.WithCancel(context.Background())
	return m
}

// begin puts right what a list has shown, unless that is being done for another one. What
// it reads is kept.
func (m *mends) begin(s *Store, l *listing) {
	if !m.mu.TryLock() {
		return
	}
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return
	}
	reads := s.needed.add(l.at)
	go func() {
		defer m.mu.Unlock()
		defer reads.drop()
		s.mend(m.ctx, l)
	}()
}

// close ends what is under way, and waits for it; nothing begins any more.
func (m *mends) close() {
	m.end()
	m.mu.Lock()
	defer m.mu.Unlock()
}
