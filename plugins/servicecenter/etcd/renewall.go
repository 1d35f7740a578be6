package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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
			return answer{n: careful[n], err: err}
		}
		ttl, err := l.renewed(ctx, int64(leases[careful[n]]))
		return answer{n: careful[n], ttl: ttl, err: err}
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
	b := renewalBatch{r: r, ctx: ctx, leases: leases, done: done, ended: make([]bool, len(leases)), left: len(leases), news: make(chan struct{}, 1)}
	b.run()
	cancel()
	b.repeating.Wait()
}

// renewalBatch is one call of renewAll.
type renewalBatch struct {
	r      *renewer
	ctx    context.Context
	leases []heartbeat.LeaseID
	done   func(i int, ttl int64, err error)
	ended  []bool
	left   int
	news   chan struct{} // gets an element when there is much to take in

	mu     sync.Mutex
	heard  []answer // to be taken in
	flying int      // sent, without an answer

	repeat    chan int // places of those to be made again
	repeated  []bool
	repeating sync.WaitGroup
}

func (b *renewalBatch) run() {
	defer func() {
		if b.repeat != nil {
			close(b.repeat)
		}
	}()
	look := time.NewTicker(roomPause)
	defer look.Stop()
	var heard []answer
	for sent := 0; b.left > 0; {
		if sent < len(b.leases) {
			sent += b.send(sent)
		}
		select {
		case <-b.news:
		case <-look.C: // what comes alone waits no longer for others, and there may be room again
		case <-b.ctx.Done():
			b.giveUp(b.ctx.Err())
		case <-b.r.ctx.Done():
			b.giveUp(b.r.ctx.Err())
		}
		b.mu.Lock()
		heard, b.heard = b.heard, heard[:0]
		b.mu.Unlock()
		for i := range heard {
			b.take(&heard[i])
		}
	}
}

// hear implements renewing.
func (b *renewalBatch) hear(a answer) {
	b.mu.Lock()
	b.heard = append(b.heard, a)
	if !a.late {
		b.flying--
	}
	much := b.flying <= 0 || len(b.heard) >= perStream
	b.mu.Unlock()
	if much {
		select {
		case b.news <- struct{}{}:
		default:
		}
	}
}

// send sends renewals from one place on, as long as there is room, and returns how many.
func (b *renewalBatch) send(from int) (n int) {
	for from+n < len(b.leases) {
		some := b.leases[from+n : min(from+n+perStream, len(b.leases))]
		b.expect(len(some))
		taken := b.r.streams[b.r.pick(time.Now())].sendAll(some, from+n, b)
		if n += taken; taken < len(some) {
			b.expect(taken - len(some))
			break
		}
	}
	return n
}

// expect counts answers that are to come.
func (b *renewalBatch) expect(more int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying += more
}

// take takes an answer in. One that says nothing of the lease is no answer while its renewal can
// be made again.
func (b *renewalBatch) take(a *answer) {
	again := b.repeated == nil || !b.repeated[a.n]
	switch {
	case b.ended[a.n]:
	case a.definite():
		b.end(a.n, a.ttl, a.err)
	case a.late && (!again || b.r.free == nil):
	case again:
		b.makeAgain(a.n)
	case b.ctx.Err() != nil || b.r.ctx.Err() != nil:
		b.end(a.n, 0, errors.Join(b.ctx.Err(), a.err)) // the stream may have been given up at the same moment
	}
}

func (b *renewalBatch) end(i int, ttl int64, err error) {
	b.ended[i] = true
	b.left--
	b.done(i, ttl, err)
}

func (b *renewalBatch) giveUp(err error) {
	for i := range b.ended {
		if !b.ended[i] {
			b.end(i, 0, fmt.Errorf("%w: no answer to a renewal", err))
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
		b.expect(1)
		b.hear(answer{n: i, ttl: ttl, err: err})
	}
}
