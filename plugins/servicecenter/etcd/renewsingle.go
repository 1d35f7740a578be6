package etcd

import (
	"context"
	"sync/atomic"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// single is who waits for one renewal.
type single struct {
	heard  chan answer         // that it is late, and its end
	follow heartbeat.Following // before who waits wakes up
	state  atomic.Int32
	end    answer // that is followed
	next   func()
}

const (
	notFollowed int32 = iota // by anything; who waits wakes up at once
	toBeFollowed
	followed
)

func newSingle() *single {
	s := &single{heard: make(chan answer, 2)}
	s.next = func() { s.heard <- s.end }
	return s
}

// begin is called before it is sent.
func (s *single) begin(f heartbeat.Following) {
	s.follow = f
	s.state.Store(notFollowed)
	if f != nil {
		s.state.Store(toBeFollowed)
	}
}

// alone has nothing follow its answer any more; false: something does already.
func (s *single) alone() bool {
	return s.state.CompareAndSwap(toBeFollowed, notFollowed) || s.state.Load() == notFollowed
}

// hear implements renewing.
func (s *single) hear(a answer) {
	if !a.late && a.err == nil && s.state.CompareAndSwap(toBeFollowed, followed) {
		s.end = a
		s.follow.Renewed(int(a.ttl), s.next)
		return
	}
	s.heard <- a
}

// wait returns what is heard next. Whoever leaves waits for the renewal all the same, but not for what
// follows.
func (s *single) wait(ctx context.Context, leave <-chan struct{}) (a answer, err error) {
	for {
		select {
		case a = <-s.heard:
			return a, nil
		case <-ctx.Done():
			return a, ctx.Err()
		case <-leave:
			if !s.alone() {
				return a, context.Canceled
			}
			leave = nil
		}
	}
}
