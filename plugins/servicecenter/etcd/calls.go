package etcd

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// maxCalls is how many calls into the embedded etcd may be under way. All of them may
// hang in it; whoever comes then is refused at once.
const (
	maxCalls    = 1024
	maxRenewals = 256 // apart from the others, for heartbeats
)

var errStuck = errors.New("all calls into the embedded store hang")

// calls bounds the calls into the embedded etcd. They are plain calls of functions, and
// many a wait in there takes no notice of a context: the lessor's for the end of a
// revocation, the one for raft to apply what is committed, the locks of a
// defragmentation. So each is made by a worker, and whoever asked leaves when its time
// is over. The workers stay, so that a call costs a hand-over and not a goroutine.
type calls struct {
	jobs    chan *pendingCall
	most    int32
	working atomic.Int32
	hanging atomic.Int32 // whoever asked has left
}

func newCalls(most int) *calls { return &calls{jobs: make(chan *pendingCall), most: int32(most)} }

// pendingCall is one call, and what came of it.
type pendingCall struct {
	do    func(context.Context) // writes its result where only who asked reads it
	ctx   context.Context
	state atomic.Int32
	done  chan struct{}
	timer *time.Timer
}

const (
	callWaiting   int32 = iota
	callAbandoned       // by who asked
	callDone
)

func newCall(do func(context.Context)) *pendingCall {
	c := &pendingCall{do: do, done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	return c
}

// run makes a call. After an error it may still be under way: neither the call nor
// what it writes to may be used again.
func (s *calls) run(ctx context.Context, c *pendingCall, most time.Duration) error {
	c.ctx = ctx
	c.state.Store(callWaiting)
	c.timer.Reset(most)
	defer c.timer.Stop()
	if err := s.assign(ctx, c); err != nil {
		return err
	}
	var err error
	select {
	case <-c.done:
		return nil
	case <-c.timer.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	if c.state.CompareAndSwap(callWaiting, callAbandoned) {
		s.hanging.Add(1)
		return err
	}
	<-c.done
	return nil
}

// assign gives a call to a worker that is free, or to a new one. If there are enough, it
// waits for one, unless all of them hang.
func (s *calls) assign(ctx context.Context, c *pendingCall) error {
	select {
	case s.jobs <- c:
		return nil
	default:
	}
	if s.working.Add(1) <= s.most {
		go s.work(c)
		return nil
	}
	s.working.Add(-1)
	if s.hanging.Load() >= s.most {
		return errStuck
	}
	select {
	case s.jobs <- c:
		return nil
	case <-c.timer.C:
		return errStuck
	case <-ctx.Done():
		return ctx.Err()
	}
}

// idleAfter is how long a worker waits for the next call.
const idleAfter = 10 * time.Second

func (s *calls) work(c *pendingCall) {
	defer s.working.Add(-1)
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		c.do(c.ctx)
		if c.state.CompareAndSwap(callWaiting, callDone) {
			c.done <- struct{}{}
		} else {
			s.hanging.Add(-1)
		}
		idle.Reset(idleAfter)
		select {
		case c = <-s.jobs:
		case <-idle.C:
			return
		}
	}
}

// inTime makes one call that returns something: by the deadline of its context, or
// within CallTimeout. Without workers (a cluster) a call heeds its context by itself.
func inTime[T any](ctx context.Context, s *calls, f func(context.Context) (T, error)) (T, error) {
	most := CallTimeout
	if end, ok := ctx.Deadline(); ok {
		most = time.Until(end)
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	if s == nil {
		return f(ctx)
	}
	r := new(struct {
		out T
		err error
	})
	if err := s.run(ctx, newCall(func(ctx context.Context) { r.out, r.err = f(ctx) }), most); err != nil {
		var none T
		return none, err
	}
	return r.out, r.err
}
