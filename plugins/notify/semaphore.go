package notify

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

const (
	// preemptAfter is how long a POST may last while others wait for its permit. A consumer
	// that needs longer gets the whole of notify.timeout in the class of the slow.
	preemptAfter = time.Second
	// slowShare: one permit in so many is for the slow.
	slowShare = 3
)

// errPreempted is the cause with which a POST is cancelled whose permit others need.
var errPreempted = errors.New("others wait for its permit")

// consumerClass says by which permits a consumer's next POST is sent.
type consumerClass uint8

const (
	prompt consumerClass = iota
	slow                 // its last attempt hung or lasted longer than preemptAfter
	consumerClasses
)

// semaphore bounds how many POSTs are in flight over all subscriptions, and with them the
// file descriptors that they use: a POST without a permit does not dial. Consumers that
// hang would hold all permits for ever. So those whose last attempt was slow have permits
// of their own, and a POST that hangs in the class of the prompt is cancelled as soon as
// somebody waits for its permit.
type semaphore struct {
	limit   int // of POSTs in flight; 0: none
	mu      sync.Mutex
	classes [consumerClasses]classPermits
}

// classPermits are the permits of one class, and who waits for them.
type classPermits struct {
	most, inUse int
	queue       fairQueue
	waiting     int       // in queue
	preemptible []*permit // in use for longer than preemptAfter, the oldest first
	preempting  int       // cancelled, and not released yet
}

// permit lets one POST be in flight.
type permit struct {
	sem    *semaphore
	class  consumerClass
	cancel context.CancelCauseFunc
	timer  *time.Timer
	state  permitState
}

type permitState uint8

const (
	permitGranted permitState = iota
	permitPreemptible
	permitPreempted
	permitReleased
)

// waiter waits for a permit.
type waiter struct {
	granted chan struct{} // closed when it has one
}

// newSemaphore makes a semaphore for so many POSTs, at least one in each class; 0: there
// is no limit.
func newSemaphore(most int) *semaphore {
	s := &semaphore{limit: most}
	if most <= 0 {
		most = math.MaxInt
	}
	s.classes[slow].most = max(most/slowShare, 1)
	s.classes[prompt].most = max(most-s.classes[slow].most, 1)
	return s
}

// acquire waits for a permit until ctx or halted ends, and then returns nil. The POST must
// use the returned context, which is cancelled when others need the permit, and the permit
// must be released.
func (s *semaphore) acquire(ctx context.Context, halted <-chan struct{}, class consumerClass, host, app string) (*permit, context.Context) {
	s.mu.Lock()
	c := &s.classes[class]
	if c.inUse < c.most && c.waiting == 0 {
		c.inUse++
		s.mu.Unlock()
		return s.start(ctx, class)
	}
	w := &waiter{granted: make(chan struct{})}
	c.queue.push(w, host, app)
	c.waiting++
	s.preempt(c)
	s.mu.Unlock()
	select {
	case <-w.granted:
		return s.start(ctx, class)
	case <-ctx.Done():
	case <-halted:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.queue.remove(w, host, app) {
		c.waiting--
	} else { // it was granted one at the same time
		s.passOn(c)
	}
	return nil, nil
}

// start makes a permit of the class, and starts the time after which it can be preempted.
func (s *semaphore) start(ctx context.Context, class consumerClass) (*permit, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	one := &permit{sem: s, class: class, cancel: cancel}
	if class == prompt {
		s.mu.Lock()
		one.timer = time.AfterFunc(preemptAfter, one.becomePreemptible)
		s.mu.Unlock()
	}
	return one, ctx
}

// becomePreemptible lets the POST be cancelled from now on, if others wait.
func (p *permit) becomePreemptible() {
	p.sem.mu.Lock()
	defer p.sem.mu.Unlock()
	if p.state == permitGranted {
		c := &p.sem.classes[p.class]
		p.state = permitPreemptible
		c.preemptible = append(c.preemptible, p)
		p.sem.preempt(c)
	}
}

// preempt cancels as many POSTs as others wait for permits; s.mu is held.
func (s *semaphore) preempt(c *classPermits) {
	for len(c.preemptible) > 0 && c.preempting < c.waiting {
		one := c.preemptible[0]
		c.preemptible = c.preemptible[1:]
		one.state = permitPreempted
		c.preempting++
		one.cancel(errPreempted)
	}
}

// release gives the permit back. No connection of the POST may be open any more, for its
// file descriptors are the next POST's. A second call, and one of nil, do nothing.
func (p *permit) release() {
	if p == nil {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.cancel(nil)
	p.sem.mu.Lock()
	defer p.sem.mu.Unlock()
	c := &p.sem.classes[p.class]
	switch p.state {
	case permitReleased:
		return
	case permitPreemptible:
		for i, one := range c.preemptible {
			if one == p {
				c.preemptible = append(c.preemptible[:i:i], c.preemptible[i+1:]...)
				break
			}
		}
	case permitPreempted:
		c.preempting--
	}
	p.state = permitReleased
	p.sem.passOn(c)
}

// passOn gives a permit that was released to the waiter who is next; s.mu is held.
func (s *semaphore) passOn(c *classPermits) {
	if w := c.queue.pop(); w != nil {
		c.waiting--
		close(w.granted)
		return
	}
	c.inUse--
}

// counts says how many permits are in use, and how many POSTs wait for one.
func (s *semaphore) counts() (inUse, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.classes {
		inUse, waiting = inUse+s.classes[i].inUse, waiting+s.classes[i].waiting
	}
	return inUse, waiting
}
