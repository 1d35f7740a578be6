package notify

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

const (
	// patience is how long a POST may go on while others wait for its place. A consumer
	// that needs longer has the whole of notify.timeout among the slow.
	patience = time.Second
	// slowShare is the part of all places that the slow have to themselves.
	slowShare = 3
)

// errNeeded ends a POST that goes on while others wait.
var errNeeded = errors.New("others wait for its place")

// lane says among whom a consumer waits.
type lane uint8

const (
	usual lane = iota
	slow       // its last attempt hung or went on for longer than patience
	lanes
)

// slots bounds how many POSTs are in flight over all subscriptions, and with them the
// file descriptors that they use: a POST without a place does not dial. Consumers that
// hang would keep all places for ever, so those whose last attempt was slow have places of
// their own, and a POST that hangs in a place of the others is cut off when it is needed.
type slots struct {
	limit int // 0: any number
	mu    sync.Mutex
	lanes [lanes]places
}

// places are those of one lane.
type places struct {
	most, taken int
	turns       turns
	waiting     int
	ripe        []*slot // in flight for longer than patience, the oldest first
	cutting     int     // cut off, and not given back yet
}

// slot is a place that was given to a POST.
type slot struct {
	of    *slots
	in    lane
	cut   context.CancelCauseFunc
	timer *time.Timer
	state slotState
}

type slotState uint8

const (
	slotNew slotState = iota
	slotRipe
	slotCut
	slotDone
)

// waiter waits for a place.
type waiter struct {
	granted chan struct{} // closed when it has one
}

// newSlots is for so many POSTs, at least one in each lane; 0: any number.
func newSlots(most int) *slots {
	s := &slots{limit: most}
	if most <= 0 {
		most = math.MaxInt
	}
	s.lanes[slow].most = max(most/slowShare, 1)
	s.lanes[usual].most = max(most-s.lanes[slow].most, 1)
	return s
}

// take waits for a place until ctx or halted ends; nil: one of them did. The POST is to
// use the returned context, and the place is to be given back.
func (s *slots) take(ctx context.Context, halted <-chan struct{}, in lane, host, app string) (*slot, context.Context) {
	s.mu.Lock()
	p := &s.lanes[in]
	if p.taken < p.most && p.waiting == 0 {
		p.taken++
		s.mu.Unlock()
		return s.begin(ctx, in)
	}
	w := &waiter{granted: make(chan struct{})}
	p.turns.push(w, host, app)
	p.waiting++
	s.press(p)
	s.mu.Unlock()
	select {
	case <-w.granted:
		return s.begin(ctx, in)
	case <-ctx.Done():
	case <-halted:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.turns.remove(w, host, app) {
		p.waiting--
	} else { // it was given one at the same time
		s.free(p)
	}
	return nil, nil
}

// begin starts the clock of a place that was taken.
func (s *slots) begin(ctx context.Context, in lane) (*slot, context.Context) {
	ctx, cut := context.WithCancelCause(ctx)
	one := &slot{of: s, in: in, cut: cut}
	if in == usual {
		s.mu.Lock()
		one.timer = time.AfterFunc(patience, one.ripen)
		s.mu.Unlock()
	}
	return one, ctx
}

// ripen: from now on the POST may be cut off.
func (o *slot) ripen() {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	if o.state == slotNew {
		p := &o.of.lanes[o.in]
		o.state = slotRipe
		p.ripe = append(p.ripe, o)
		o.of.press(p)
	}
}

// press cuts off as many as others wait for; s.mu is held.
func (s *slots) press(p *places) {
	for len(p.ripe) > 0 && p.cutting < p.waiting {
		one := p.ripe[0]
		p.ripe = p.ripe[1:]
		one.state = slotCut
		p.cutting++
		one.cut(errNeeded)
	}
}

// done gives the place back; nothing of the POST may be open any more.
func (o *slot) done() {
	if o == nil {
		return
	}
	if o.timer != nil {
		o.timer.Stop()
	}
	o.cut(nil)
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	p := &o.of.lanes[o.in]
	switch o.state {
	case slotDone:
		return
	case slotRipe:
		for i, one := range p.ripe {
			if one == o {
				p.ripe = append(p.ripe[:i:i], p.ripe[i+1:]...)
				break
			}
		}
	case slotCut:
		p.cutting--
	}
	o.state = slotDone
	o.of.free(p)
}

// free gives a place to whose turn it is; s.mu is held.
func (s *slots) free(p *places) {
	if w := p.turns.pop(); w != nil {
		p.waiting--
		close(w.granted)
		return
	}
	p.taken--
}

// figures are how many are in flight, and how many wait.
func (s *slots) figures() (taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.lanes {
		taken, waiting = taken+s.lanes[i].taken, waiting+s.lanes[i].waiting
	}
	return taken, waiting
}
