package heartbeat

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// renew merges the renewals of one lease that are in flight together. The first caller may
// go away, and the others must not fail with it: the renewal is the engine's own.
func (e *Engine) renew(ctx context.Context, en *entry, l LeaseID) Result {
	en.mu.Lock()
	inFlight, mine := en.beginRenewal(l)
	if inFlight {
		c := make(chan Result, 1)
		en.waiters = append(en.waiters, func(r Result) { c <- r })
		en.mu.Unlock()
		select {
		case r := <-c:
			return r
		case <-ctx.Done():
			return Result{Outcome: Unavailable}
		}
	}
	en.mu.Unlock()

	began, _ := e.now()
	ttl, err := e.Store.Renew(e.ctx, l)
	e.noteRenewalTime(began)
	r := Result{Outcome: e.outcome(e.ctx, DoRenew, err), TTL: ttl, Lease: l}
	if mine {
		en.endRenewal(r)
	}
	return r
}

// beginRenewal says whether a renewal of l is in flight, which the caller may join by adding to
// en.waiters what must be told of its end, and must not block. Without one, the caller is to
// renew; if that is the one which others may join, mine, he calls endRenewal. en.mu is held.
func (en *entry) beginRenewal(l LeaseID) (inFlight, mine bool) {
	if l != 0 && en.renewing == l {
		return true, false
	}
	mine = en.renewing == 0
	if mine {
		en.renewing = l
	}
	return false, mine
}

// endRenewal tells those who joined a renewal how it ended.
func (en *entry) endRenewal(r Result) {
	en.mu.Lock()
	waiters := en.waiters
	en.renewing, en.waiters = 0, nil
	en.mu.Unlock()
	for _, done := range waiters {
		done(r)
	}
}

// noteRenewalTime takes it for a disturbance that a renewal took long.
func (e *Engine) noteRenewalTime(began Mono) {
	if now, _ := e.now(); now.Sub(began) > maxSilence {
		e.disturbOnce("renewal")
	}
}

// sharedRead are reads of one thing, one after the other. What a read that is under way
// finds may be older than what a caller has just done, so whoever asks meanwhile shares
// the next one (a renewal is verified by a read begun after it: protocol CE5).
type sharedRead[T any] struct {
	mu      sync.Mutex
	reading bool            // or about to
	next    *pendingRead[T] // asked for, and not begun yet
}

type pendingRead[T any] struct {
	done   chan struct{}
	shared int // how many wait for it
	value  T
	err    error
}

// gatherReads is how long a read that serves all instances waits at most until as many wait for it as
// shared the one before. Whoever is alone waits for nobody.
const gatherReads = time.Millisecond

// sharers are how many shared a read last.
type sharers struct {
	last   int           // guarded by sharedRead.mu
	enough chan struct{} // may have an element when as many wait again
}

func newSharers() sharers { return sharers{enough: make(chan struct{}, 1)} }

// head is the store's newest revision, by a read that begins after the call.
func (e *Engine) head(ctx context.Context) (Revision, error) {
	return joinRead(ctx, e, &e.headReads, &e.headSharers, e.Store.Head)
}

// joinRead joins the next read. It is the engine's own: whoever asked for it may go away, and the
// others must not fail with him. c: it waits for as many as shared the one before; nil: for nobody.
func joinRead[T any](ctx context.Context, e *Engine, of *sharedRead[T], c *sharers, read func(context.Context) (T, error)) (T, error) {
	of.mu.Lock()
	if of.next == nil {
		of.next = &pendingRead[T]{done: make(chan struct{})}
	}
	of.next.shared++
	if c != nil && of.next.shared == c.last {
		select {
		case c.enough <- struct{}{}:
		default:
		}
	}
	t, begin := of.next, !of.reading
	of.reading = true
	of.mu.Unlock()
	if begin {
		on := func() { of.run(e.ctx, c, read) }
		if !e.spawn(on) {
			on() // the engine has stopped: they learn of it here
		}
	}
	select {
	case <-t.done:
		return t.value, t.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// run reads for those who wait, until nobody waits. Those whose renewals were answered by one message
// ask at one moment, and share a read if each of them may run before it begins.
func (of *sharedRead[T]) run(ctx context.Context, c *sharers, read func(context.Context) (T, error)) {
	for {
		runtime.Gosched()
		of.gather(ctx, c)
		t := of.take(c)
		if t == nil {
			return
		}
		t.value, t.err = read(ctx)
		close(t.done)
	}
}

// gather lets as many join the next read as shared the last one, if somebody waits for it.
func (of *sharedRead[T]) gather(ctx context.Context, c *sharers) {
	if c == nil {
		return
	}
	of.mu.Lock()
	select {
	case <-c.enough: // of an earlier read
	default:
	}
	enough := of.next == nil || of.next.shared >= c.last
	of.mu.Unlock()
	if enough {
		return
	}
	most := time.NewTimer(gatherReads)
	defer most.Stop()
	select {
	case <-c.enough:
	case <-most.C:
	case <-ctx.Done():
	}
}

// take is the read that is to begin now; nil: nobody waits for one.
func (of *sharedRead[T]) take(c *sharers) *pendingRead[T] {
	of.mu.Lock()
	defer of.mu.Unlock()
	t := of.next
	of.next, of.reading = nil, t != nil
	if c != nil && t != nil {
		c.last = t.shared
	}
	return t
}
