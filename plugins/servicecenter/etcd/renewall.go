package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	// carefulAtOnce is how many renewals of one request that may take their time are made at once.
	carefulAtOnce = 16
	// perStream is how many renewals of one request go to a stream before another may have fewer.
	perStream = 64
	// roomPause is how long a request waits for an answer before it looks again whether a stream
	// has room for what it has not sent.
	roomPause = 5 * time.Millisecond
)

// RenewLeases renews many leases as RenewLease does, and tells done of each by its place, one
// after the other. It returns when all have ended, within CallTimeout.
func (c *Client) RenewLeases(ctx context.Context, leases []heartbeat.LeaseID, done func(i, ttl int, err error)) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	told := func(i int, ttl int64, err error) { done(i, int(ttl), Translate(err)) }
	if c.lessor != nil {
		c.lessor.renewAll(ctx, leases, told)
		return
	}
	c.renewals.renewAll(ctx, leases, told)
}

// renewAll makes the plain calls first, for the others may take their time.
func (l *lessor) renewAll(ctx context.Context, leases []heartbeat.LeaseID, done func(i int, ttl int64, err error)) {
	var careful []int
	for i, id := range leases {
		k := l.lives(lease.LeaseID(id))
		if !k.plain {
			careful = append(careful, i)
			continue
		}
		ttl, err := l.renewBy(ctx, lease.LeaseID(id), k)
		done(i, ttl, err)
	}
	atOnce(len(careful), func(n int) answer {
		if err := ctx.Err(); err != nil { // it is not begun any more
			return answer{careful[n], 0, err}
		}
		ttl, err := l.renewed(ctx, int64(leases[careful[n]]))
		return answer{careful[n], ttl, err}
	}, func(a answer) { done(a.n, a.ttl, a.err) })
}

// atOnce makes n calls, carefulAtOnce at a time, and tells done of each, one after the other.
func atOnce(n int, call func(n int) answer, done func(answer)) {
	if n == 0 {
		return
	}
	answers := make(chan answer)
	var next atomic.Int64
	for range min(n, carefulAtOnce) {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				answers <- call(i)
			}
		}()
	}
	for range n {
		done(<-answers)
	}
}

// renewAll sends the renewals along the streams. One that was not answered in time, or whose
// stream broke, is made as if it had come alone.
func (r *renewer) renewAll(ctx context.Context, leases []heartbeat.LeaseID, done func(i int, ttl int64, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	b := renewalBatch{r: r, ctx: ctx, leases: leases, done: done, answered: make([]bool, len(leases)), left: len(leases),
		answers: make(chan answer, 2*len(leases))} // of each one from a stream, and one of its repetition
	b.run()
	cancel()
	b.repeating.Wait()
}

// renewalBatch is one call of renewAll.
type renewalBatch struct {
	r        *renewer
	ctx      context.Context
	leases   []heartbeat.LeaseID
	done     func(i int, ttl int64, err error)
	answers  chan answer
	answered []bool
	left     int

	repeat    chan int // places of those to be made again
	repeated  []bool
	repeating sync.WaitGroup
}

func (b *renewalBatch) run() {
	hedge := time.NewTimer(hedgeAfter)
	defer hedge.Stop()
	defer func() {
		if b.repeat != nil {
			close(b.repeat)
		}
	}()
	for sent := 0; b.left > 0; {
		var room <-chan time.Time
		if sent += b.send(sent); sent < len(b.leases) {
			room = time.After(roomPause)
		}
		select {
		case a := <-b.answers:
			b.take(a)
			for more := true; more; {
				select {
				case a := <-b.answers:
					b.take(a)
				default:
					more = false
				}
			}
		case <-room:
		case <-hedge.C:
			if b.r.free != nil {
				b.repeatUnanswered()
			}
		case <-b.ctx.Done():
			b.giveUp(b.ctx.Err())
		case <-b.r.ctx.Done():
			b.giveUp(b.r.ctx.Err())
		}
	}
}

// send sends renewals from one place on, as long as there is room, and returns how many.
func (b *renewalBatch) send(from int) (n int) {
	for from+n < len(b.leases) {
		some := b.leases[from+n : min(from+n+perStream, len(b.leases))]
		taken := b.r.streams[b.r.pick(int(uint64(some[0])%usualStreams))].sendAll(some, from+n, b.answers)
		if n += taken; taken < len(some) {
			break
		}
	}
	return n
}

// sendAll puts renewals on their way, as many as there is room for.
func (l *renewStream) sendAll(leases []heartbeat.LeaseID, from int, done chan<- answer) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for n < len(leases) && len(l.waiting) < streamDepth && l.queueUp(pendingRenewal{id: int64(leases[n]), n: from + n, at: now, done: done}) {
		n++
	}
	return n
}

// take takes an answer in. One that says nothing of the lease is no answer while its renewal can
// be made again.
func (b *renewalBatch) take(a answer) {
	definite := a.err == nil || errors.Is(a.err, rpctypes.ErrLeaseNotFound)
	switch {
	case b.answered[a.n]:
	case !definite && (b.repeated == nil || !b.repeated[a.n]):
		b.makeAgain(a.n)
	case definite || b.ctx.Err() != nil || b.r.ctx.Err() != nil:
		b.end(a.n, a.ttl, a.err)
	}
}

func (b *renewalBatch) end(i int, ttl int64, err error) {
	b.answered[i] = true
	b.left--
	b.done(i, ttl, err)
}

func (b *renewalBatch) giveUp(err error) {
	for i := range b.answered {
		if !b.answered[i] {
			b.end(i, 0, fmt.Errorf("%w: no answer to a renewal", err))
		}
	}
}

func (b *renewalBatch) repeatUnanswered() {
	for i := range b.answered {
		if !b.answered[i] && (b.repeated == nil || !b.repeated[i]) {
			b.makeAgain(i)
		}
	}
}

// makeAgain has a renewal made by itself. Like every repetition it needs a permit, so that a
// store which is slow as a whole is not made slower.
func (b *renewalBatch) makeAgain(i int) {
	if b.repeated == nil {
		b.repeated, b.repeat = make([]bool, len(b.leases)), make(chan int, len(b.leases))
		for range carefulAtOnce {
			b.repeating.Go(b.repeatQueued)
		}
	}
	b.repeated[i] = true
	b.repeat <- i
}

func (b *renewalBatch) repeatQueued() {
	for i := range b.repeat {
		if b.r.free != nil {
			select {
			case b.r.free <- struct{}{}:
			case <-b.ctx.Done():
				continue // run gives all of them up
			}
		}
		ttl, err := b.r.renew(b.ctx, int64(b.leases[i]))
		if b.r.free != nil {
			<-b.r.free
		}
		b.answers <- answer{i, ttl, err}
	}
}
