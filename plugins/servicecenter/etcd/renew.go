package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

const (
	usualStreams = 4  // streams that carry the renewals of every day
	maxStreams   = 16 // with those opened while others are stuck
	streamDepth  = 1024
	// stuckAfter: a stream whose oldest renewal waits for so long takes no new ones
	// while another is free. etcd answers a stream in order, and a renewal of a
	// lease that is just being revoked waits for the end of that.
	stuckAfter = 50 * time.Millisecond
	// hedgeAfter: a renewal without an answer is sent along another stream too, whose
	// stream most likely ends at another member. It may be renewed twice.
	hedgeAfter = 300 * time.Millisecond
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
	work    sync.WaitGroup
}

func newRenewer(conn *grpc.ClientConn, free hedgePermits) *renewer {
	r := &renewer{client: pb.NewLeaseClient(conn), free: free}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for i := range r.streams {
		r.streams[i] = &renewStream{r: r}
	}
	return r
}

// close ends all streams and waits for it.
func (r *renewer) close() {
	r.cancel()
	r.work.Wait()
}

// answer is how one renewal ended.
type answer struct {
	n   int // which of those that were asked for together
	ttl int64
	err error
}

var errStreamEnded = errors.New("the stream of renewals ended")

// renew returns the lease's time to live once etcd has confirmed it, or
// rpctypes.ErrLeaseNotFound, or, at the end of ctx, why there was no answer.
func (r *renewer) renew(ctx context.Context, id int64) (int64, error) {
	answers := make(chan answer, maxStreams) // late ones find room
	hedge := time.NewTicker(hedgeAfter)
	defer hedge.Stop()
	var permit hedgePermits // wanted, when a hedge is due
	held := 0
	defer func() {
		for range held {
			<-r.free
		}
	}()
	last := context.DeadlineExceeded
	next, flying := int(uint64(id)%usualStreams), 0
	send := func() {
		next = r.pick(next)
		if err := r.streams[next].send(id, answers); err != nil {
			last = err
		} else {
			flying++
		}
		next++
	}
	for send(); ; {
		var retry <-chan time.Time
		if flying == 0 {
			retry = time.After(retryPause)
		}
		select {
		case a := <-answers:
			if a.err == nil || errors.Is(a.err, rpctypes.ErrLeaseNotFound) {
				return a.ttl, a.err
			}
			last = a.err
			flying--
		case <-hedge.C:
			if flying < usualStreams {
				permit = r.free
			}
		case permit <- struct{}{}:
			permit = nil
			held++
			send()
		case <-retry:
			send()
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
}

// pick chooses among the usual streams that are not stuck the one with the fewest waiting
// renewals (a stream to a follower is slower, for it passes each one on to the leader);
// if all are stuck, the first further stream.
func (r *renewer) pick(from int) int {
	now := time.Now()
	from %= usualStreams
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

// renewStream is one stream, opened when it is needed.
type renewStream struct {
	r *renewer

	mu      sync.Mutex
	queue   chan pendingRenewal // of the open stream; nil: there is none
	waiting []pendingRenewal    // sent or to be sent, in order
	cancel  context.CancelFunc
}

// pendingRenewal is one renewal on its way.
type pendingRenewal struct {
	id   int64
	n    int // for the answer
	at   time.Time
	done chan<- answer // has room
}

// load says how many renewals wait on the stream, and whether it is stuck.
func (l *renewStream) load(now time.Time) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return 0, false
	}
	age := now.Sub(l.waiting[0].at)
	if age > CallTimeout {
		l.cancel() // nobody waits for these any more: the stream is as good as dead
	}
	return len(l.waiting), age > stuckAfter || len(l.waiting) >= streamDepth
}

// send puts a renewal on its way, on a new stream if need be.
func (l *renewStream) send(id int64, done chan<- answer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.queueUp(pendingRenewal{id: id, at: time.Now(), done: done}) {
		return errors.New("too many renewals wait for etcd")
	}
	return nil
}

// queueUp puts a renewal into the queue if there is room, of a new stream if need be; l.mu is held.
func (l *renewStream) queueUp(f pendingRenewal) bool {
	if l.queue == nil {
		l.open()
	}
	select {
	case l.queue <- f:
		l.waiting = append(l.waiting, f)
		return true
	default:
		return false
	}
}

// open starts a stream; l.mu is held.
func (l *renewStream) open() {
	ctx, cancel := context.WithCancel(l.r.ctx)
	queue := make(chan pendingRenewal, streamDepth)
	l.queue, l.cancel = queue, cancel
	l.r.work.Go(func() {
		l.end(queue, l.run(ctx, queue))
		cancel()
	})
}

// run sends what is queued and hands the answers out, until the stream breaks.
func (l *renewStream) run(ctx context.Context, queue <-chan pendingRenewal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := l.r.client.LeaseKeepAlive(ctx)
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel(errStreamEnded)
	sender.Go(func() {
		for {
			select {
			case f := <-queue:
				if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: f.id}); err != nil {
					return // Recv tells why
				}
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		res, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := l.answered(res); err != nil {
			return err
		}
	}
}

// answered gives an answer to whoever has waited longest; etcd keeps the order, and
// says with a time to live of 0 that there is no such lease.
func (l *renewStream) answered(res *pb.LeaseKeepAliveResponse) error {
	l.mu.Lock()
	if len(l.waiting) == 0 || l.waiting[0].id != res.ID {
		l.mu.Unlock()
		return errors.New("etcd answered a renewal that was not asked for")
	}
	f := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.mu.Unlock()
	a := answer{n: f.n, ttl: res.TTL}
	if res.TTL <= 0 {
		a = answer{n: f.n, err: rpctypes.ErrLeaseNotFound}
	}
	f.done <- a
	return nil
}

// end fails whatever was on the stream.
func (l *renewStream) end(queue chan pendingRenewal, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue != queue {
		return
	}
	for _, f := range l.waiting {
		f.done <- answer{n: f.n, err: err}
	}
	l.queue, l.waiting = nil, nil
}
