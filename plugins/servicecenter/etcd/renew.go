package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	usualStreams = 4  // streams that carry the renewals of every day
	maxStreams   = 16 // with those opened while others are stuck
	streamDepth  = 1024
	// fewWaiting is how many renewals may wait on a stream before another one is taken for more:
	// those that share a stream share messages.
	fewWaiting = 64
	// stuckAfter: a stream whose oldest renewal waits for so long takes no new ones
	// while another is free. etcd answers a stream in order, and a renewal of a
	// lease that is just being revoked waits for the end of that.
	stuckAfter = 50 * time.Millisecond
	// hedgeAfter: a renewal without an answer is sent along another stream too, whose
	// stream most likely ends at another member. It may be renewed twice.
	hedgeAfter = 300 * time.Millisecond
	// lookEvery is how often it is looked which renewals have no answer for so long. So one that
	// is answered needs no timer.
	lookEvery  = 50 * time.Millisecond
	retryPause = 50 * time.Millisecond
)

// renewer carries the renewals of all leases along a few long-lived streams; a
// stream per renewal costs four times as much. Renewals that are in flight when a
// stream breaks fail over to another one until their deadline.
type renewer struct {
	client  pb.LeaseClient
	free    hedgePermits
	ctx     context.Context // of the streams
	cancel  context.CancelFunc
	streams [maxStreams]*renewStream
	usual   atomic.Int32 // the stream that is tried first
	work    sync.WaitGroup
	singles sync.Pool // of *single
}

func newRenewer(client pb.LeaseClient, free hedgePermits) *renewer {
	r := &renewer{client: client, free: free}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for i := range r.streams {
		r.streams[i] = newRenewStream(r)
	}
	r.singles.New = func() any { return &single{heard: make(chan answer, 2)} }
	r.work.Go(r.look)
	return r
}

// close ends all streams and waits for it.
func (r *renewer) close() {
	r.cancel()
	r.work.Wait()
}

// look tells again and again who has waited long, and finds the stream that is tried first.
func (r *renewer) look() {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-t.C:
			for _, l := range r.streams {
				l.tellLate(now)
			}
			r.chooseUsual(now)
		}
	}
}

// answer is how one renewal ended.
type answer struct {
	n    int // which of those that were asked for together
	ttl  int64
	err  error
	late bool // it has not ended: there was no answer for hedgeAfter
}

// definite says whether it is what etcd says of the lease.
func (a *answer) definite() bool {
	return !a.late && (a.err == nil || errors.Is(a.err, rpctypes.ErrLeaseNotFound))
}

var errStreamEnded = errors.New("the stream of renewals ended")

// single is who waits for one renewal.
type single struct{ heard chan answer } // that it is late, and its end

// hear implements renewing.
func (s *single) hear(a answer) { s.heard <- a }

// renew returns the lease's time to live once etcd has confirmed it, or
// rpctypes.ErrLeaseNotFound, or, after CallTimeout or at the end of ctx, why there was no answer.
func (r *renewer) renew(ctx context.Context, id int64) (int64, error) {
	s := r.singles.Get().(*single)
	began := time.Now()
	next := r.pick(began)
	first := answer{err: r.streams[next].send(pendingRenewal{id: id, at: began, of: s})}
	if first.err == nil {
		select {
		case first = <-s.heard:
			if first.definite() {
				r.singles.Put(s) // nobody else knows of it any more
				return first.ttl, first.err
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	ctx, cancel := context.WithDeadline(ctx, began.Add(CallTimeout))
	defer cancel()
	return r.insist(ctx, id, s, first, next)
}

// insist goes on with a renewal that is late, or was not sent, or whose stream has ended: it is
// sent again along other streams, until there is an answer.
func (r *renewer) insist(ctx context.Context, id int64, s *single, first answer, next int) (int64, error) {
	again := &single{heard: make(chan answer, 2*maxStreams)} // those that come too late find room
	hedge := time.NewTicker(hedgeAfter)
	defer hedge.Stop()
	var permit hedgePermits // wanted, when a hedge is due
	held, flying := 0, 0
	defer func() {
		for range held {
			<-r.free
		}
	}()
	last := context.DeadlineExceeded
	if first.late {
		flying, permit = 1, r.free
	} else {
		last = first.err
	}
	send := func() {
		now := time.Now()
		next = r.pickOther(next, now)
		if err := r.streams[next].send(pendingRenewal{id: id, at: now, of: again}); err != nil {
			last = err
		} else {
			flying++
		}
	}
	for {
		var retry <-chan time.Time
		if flying == 0 {
			retry = time.After(retryPause)
		}
		var a answer
		select {
		case a = <-s.heard:
		case a = <-again.heard:
		case <-hedge.C:
			if flying < usualStreams {
				permit = r.free
			}
			continue
		case permit <- struct{}{}:
			permit = nil
			held++
			send()
			continue
		case <-retry:
			send()
			continue
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
		switch {
		case a.definite():
			return a.ttl, a.err
		case !a.late:
			last = a.err
			flying--
		}
	}
}

// pick chooses the stream for another renewal: the usual one unless many wait there or it is stuck.
func (r *renewer) pick(now time.Time) int {
	n := int(r.usual.Load())
	if waiting, stuck := r.streams[n].load(now); !stuck && waiting < fewWaiting {
		return n
	}
	return r.pickOther(n, now)
}

// pickOther chooses among the usual streams that are not stuck, beginning behind one, that with the fewest
// waiting renewals (a stream to a follower is slower, for it passes each one on to the leader);
// if all are stuck, the first further stream.
func (r *renewer) pickOther(than int, now time.Time) int {
	from := (than + 1) % usualStreams
	best, fewest := -1, streamDepth
	for i := range usualStreams {
		n := (from + i) % usualStreams
		if waiting, stuck := r.streams[n].load(now); !stuck && waiting < fewest {
			best, fewest = n, waiting
		}
	}
	for n := usualStreams; best < 0 && n < maxStreams; n++ {
		if _, stuck := r.streams[n].load(now); !stuck {
			best = n
		}
	}
	if best < 0 {
		return from
	}
	return best
}

// chooseUsual has the stream be tried first that has answered fastest lately. What is not used is not
// measured, so each is tried for a moment now and then.
func (r *renewer) chooseUsual(now time.Time) {
	best, least := int32(0), time.Duration(-1)
	for n := range int32(usualStreams) {
		took, measured := r.streams[n].speed(now)
		if !measured {
			r.usual.Store(n)
			return
		}
		if least < 0 || took < least {
			best, least = n, took
		}
	}
	r.usual.Store(best)
}
