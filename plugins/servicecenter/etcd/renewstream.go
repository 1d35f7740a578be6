package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	// flight is how many renewals are sent although earlier ones have no answer yet. Fewer wait for
	// those, and are sent together: then both ends read and write many with one call of the system.
	// As long as etcd has nothing else to do, nobody waits longer for it (Nagle, RFC 896).
	flight = 64
	// gatherTime is how long a renewal waits at most until as many wait as went together last time:
	// those whose heartbeats were answered together send the next ones together. Whoever is alone
	// waits for nobody.
	gatherTime = time.Millisecond
	// measuredFor is for how long the speed of a stream that carries nothing is believed.
	measuredFor = 5 * time.Second
)

// renewing is who waits for renewals. hear is told of each that it is late, or how it ended; it must
// not block.
type renewing interface{ hear(a answer) }

// pendingRenewal is one renewal on its way.
type pendingRenewal struct {
	id   int64
	n    int // for the answer
	at   time.Time
	of   renewing
	late bool // who waits was told so
}

// renewStream is one stream, opened when it is needed.
type renewStream struct {
	r *renewer

	mu      sync.Mutex
	open    *openStream  // nil: there is none
	waiting pendingQueue // sent or to be sent, in order
	sent    int          // of them
	cancel  context.CancelFunc

	flew      time.Time     // when the last flight began
	crowd     int           // how many renewals it was
	gathering bool          // the sender waits for as many, and wakes up by itself if they do not come
	took      time.Duration // of a flight by the last answers, smoothed
	measured  time.Time     // when that was; zero: never
}

// openStream is what belongs to one opening of a stream.
type openStream struct{ wake chan struct{} } // has an element if there is something to send

func newRenewStream(r *renewer) *renewStream { return &renewStream{r: r} }

// load says how many renewals wait on the stream, and whether it is stuck.
func (l *renewStream) load(now time.Time) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.len() == 0 {
		return 0, false
	}
	return l.waiting.len(), now.Sub(l.waiting.first().at) > stuckAfter || l.waiting.len() >= streamDepth
}

// speed is how long answers take on the stream; measured is false if that is not known.
func (l *renewStream) speed(now time.Time) (took time.Duration, measured bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.len() > 0 {
		if oldest := now.Sub(l.waiting.first().at); oldest > max(l.took, stuckAfter) {
			return oldest, true
		}
	}
	return l.took, !l.measured.IsZero() && now.Sub(l.measured) < measuredFor
}

// tellLate tells those who have waited for long, and gives the stream up if nobody waits any more.
func (l *renewStream) tellLate(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.len() > 0 && now.Sub(l.waiting.first().at) > CallTimeout {
		l.cancel() // nobody waits for these any more: the stream is as good as dead
	}
	for i := range l.waiting.all() {
		one := &l.waiting.all()[i]
		if now.Sub(one.at) < hedgeAfter {
			return // as those behind it
		}
		if !one.late {
			one.late = true
			one.of.hear(answer{n: one.n, late: true})
		}
	}
}

// send puts a renewal on its way, on a new stream if need be.
func (l *renewStream) send(one pendingRenewal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.len() >= streamDepth {
		return errors.New("too many renewals wait for etcd")
	}
	l.enter(one)
	l.wakeUp()
	return nil
}

// sendAll puts renewals on their way, as many as there is room for.
func (l *renewStream) sendAll(leases []heartbeat.LeaseID, from int, of renewing) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for now := time.Now(); n < len(leases) && l.waiting.len() < streamDepth; n++ {
		l.enter(pendingRenewal{id: int64(leases[n]), n: from + n, at: now, of: of})
	}
	if n > 0 {
		l.wakeUp()
	}
	return n
}

// enter adds a renewal; l.mu is held.
func (l *renewStream) enter(one pendingRenewal) {
	if l.open == nil {
		l.start()
	}
	l.waiting.push(one)
}

// wakeUp has what waits to be sent be sent, if it is to be now; l.mu is held.
func (l *renewStream) wakeUp() {
	if unsent := l.waiting.len() - l.sent; unsent > 0 && (l.sent == 0 && (!l.gathering || unsent == l.crowd) || unsent >= flight) {
		select {
		case l.open.wake <- struct{}{}:
		default:
		}
	}
}

// start opens a stream; l.mu is held.
func (l *renewStream) start() {
	ctx, cancel := context.WithCancel(l.r.ctx)
	o := &openStream{wake: make(chan struct{}, 1)}
	l.open, l.cancel, l.sent, l.gathering = o, cancel, 0, false
	l.r.work.Go(func() {
		l.end(o, l.run(ctx, o))
		cancel()
	})
}

// run sends what is to be sent and hands the answers out, until the stream breaks.
func (l *renewStream) run(ctx context.Context, o *openStream) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := l.r.client.LeaseKeepAlive(ctx, grpc.ForceCodecV2(renewalCodec{}))
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel(errStreamEnded)
	sender.Go(func() { l.sendWhatWaits(ctx, o, stream) })
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

// sendWhatWaits sends renewals until the stream ends.
func (l *renewStream) sendWhatWaits(ctx context.Context, o *openStream, stream pb.Lease_LeaseKeepAliveClient) {
	gathered := time.NewTimer(gatherTime)
	defer gathered.Stop()
	var next []int64
	for {
		select {
		case <-o.wake:
		case <-gathered.C:
		case <-ctx.Done():
			return
		}
		for again := true; again; {
			var wait time.Duration
			if next, wait = l.take(o, next[:0], time.Now()); wait > 0 {
				gathered.Reset(wait)
			}
			again = len(next) > 0
			for _, id := range next {
				if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
					return // Recv tells why
				}
			}
		}
	}
}

// take appends what is to be sent now, or says how long that waits for others at most.
func (l *renewStream) take(o *openStream, to []int64, now time.Time) ([]int64, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unsent := l.waiting.len() - l.sent
	if l.open != o || unsent == 0 || l.sent > 0 && unsent < flight {
		return to, 0
	}
	wait := gatherTime - now.Sub(l.waiting.all()[l.sent].at)
	if unsent >= l.crowd {
		wait = min(wait, gatherTime-now.Sub(l.flew)) // so that those become more who come one after the other
	}
	if l.gathering = l.crowd > 1 && unsent < flight && wait > 0; l.gathering {
		return to, wait
	}
	for _, one := range l.waiting.all()[l.sent:] {
		to = append(to, one.id)
	}
	l.flew, l.crowd = now, unsent
	l.sent = l.waiting.len()
	return to, 0
}

// answered gives an answer to whoever has waited longest; etcd keeps the order, and
// says with a time to live of 0 that there is no such lease.
func (l *renewStream) answered(res *pb.LeaseKeepAliveResponse) error {
	l.mu.Lock()
	if l.sent == 0 || l.waiting.first().id != res.ID {
		l.mu.Unlock()
		return errors.New("etcd answered a renewal that was not asked for")
	}
	one := l.waiting.pop()
	if l.sent--; l.sent == 0 {
		l.measure()
		l.wakeUp()
	}
	l.mu.Unlock()
	a := answer{n: one.n, ttl: res.TTL}
	if res.TTL <= 0 {
		a = answer{n: one.n, err: rpctypes.ErrLeaseNotFound}
	}
	one.of.hear(a)
	return nil
}

// measure notes how long the last flight took; l.mu is held.
func (l *renewStream) measure() {
	now := time.Now()
	if took := now.Sub(l.flew); now.Sub(l.measured) > measuredFor {
		l.took = took
	} else {
		l.took += (took - l.took) / 8
	}
	l.measured = now
}

// end fails whatever was on the stream.
func (l *renewStream) end(o *openStream, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != o {
		return
	}
	for _, one := range l.waiting.all() {
		one.of.hear(answer{n: one.n, err: err})
	}
	l.open, l.waiting, l.sent = nil, pendingQueue{}, 0
	l.took, l.measured = CallTimeout, time.Now() // another one is tried first for a while
}

// pendingQueue is a queue that uses its room again.
type pendingQueue struct {
	list []pendingRenewal
	from int // what is before it has gone
}

func (q *pendingQueue) len() int               { return len(q.list) - q.from }
func (q *pendingQueue) all() []pendingRenewal  { return q.list[q.from:] }
func (q *pendingQueue) first() *pendingRenewal { return &q.list[q.from] }

func (q *pendingQueue) push(one pendingRenewal) {
	if len(q.list) == cap(q.list) && q.from > len(q.list)/2 {
		n := copy(q.list, q.all())
		clear(q.list[n:])
		q.list, q.from = q.list[:n], 0
	}
	q.list = append(q.list, one)
}

func (q *pendingQueue) pop() pendingRenewal {
	one := q.list[q.from]
	q.list[q.from] = pendingRenewal{}
	if q.from++; q.from == len(q.list) {
		q.list, q.from = q.list[:0], 0
	}
	return one
}
