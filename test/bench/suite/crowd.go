package suite

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
)

// crowd is services that each keep the interval that they were told last, whatever the answers
// take: the next heartbeat is due an interval after the last one was.
type crowd struct {
	l    *lab
	srv  *server
	dial load.Dialer
	took *load.Hist // from when each was due
	late *load.Hist // how long after it was due a heartbeat was sent

	began time.Time
	used  time.Duration // processor time of this process until then
	wake  chan struct{}
	work  chan *member

	mu      sync.Mutex
	members map[*member]struct{}
	queue   dueQueue
	sent    []int // by the second in which they were due
	most    time.Duration
	told    int // answers with an interval
	again   int // with one that the service kept already
	failed  int
	lost    int // registrations and deregistrations that may have failed: some are there, and send nothing
	err     error
}

// member is one service.
type member struct {
	id, path string
	interval time.Duration
	due      time.Time
	gone     bool
}

func newCrowd(l *lab, srv *server, conns int) *crowd {
	return &crowd{l: l, srv: srv, dial: srv.wire, took: load.NewHist(), late: load.NewHist(), began: time.Now(), used: load.OwnCPU(),
		wake: make(chan struct{}, 1), work: make(chan *member, conns), members: map[*member]struct{}{}}
}

// run sends what is due until ctx ends; the channel is closed when nobody sends any more.
func (c *crowd) run(ctx context.Context) (ended <-chan struct{}) {
	var wg sync.WaitGroup
	for range cap(c.work) {
		wg.Go(func() {
			conn := c.dial()
			defer conn.Close()
			for m := range c.work {
				c.send(ctx, conn, m)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.handOut(ctx)
		close(c.work)
		wg.Wait()
	}()
	return done
}

// handOut gives members to the connections as they are due.
func (c *crowd) handOut(ctx context.Context) {
	for ctx.Err() == nil {
		m, wait := c.next()
		if m == nil {
			select {
			case <-ctx.Done():
			case <-c.wake:
			case <-time.After(wait):
			}
			continue
		}
		select {
		case c.work <- m:
		case <-ctx.Done():
		}
	}
}

// next is the member that is due; nil: none is for a while.
func (c *crowd) next() (*member, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 {
		m := c.queue[0]
		if wait := time.Until(m.due); wait > 0 && !m.gone {
			return nil, wait
		}
		heap.Pop(&c.queue)
		if !m.gone {
			return m, 0
		}
	}
	return nil, time.Second
}

// send sends a heartbeat and has its member come again.
func (c *crowd) send(ctx context.Context, conn load.Conn, m *member) {
	began := time.Now()
	told, err := m.beat(ctx, conn)
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil || m.gone {
		return
	}
	c.late.Add(began.Sub(m.due))
	c.took.Add(now.Sub(m.due))
	second := int(m.due.Sub(c.began) / time.Second) // however late it was sent
	for len(c.sent) <= second {
		c.sent = append(c.sent, 0)
	}
	c.sent[second]++
	if err != nil {
		if c.failed++; c.err == nil {
			c.err = err
		}
	}
	if told > 0 {
		c.told++
		if told == m.interval {
			c.again++
		}
		m.interval = told
		c.most = max(c.most, told)
	}
	m.due = m.due.Add(m.interval - time.Duration(c.l.rnd.Float64()*float64(m.interval)/20))
	heap.Push(&c.queue, m)
}

// join has services take part, each from some moment of its interval on.
func (c *crowd) join(all []*service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range all {
		m := &member{id: v.id, path: v.beat, interval: v.interval}
		m.due = time.Now().Add(time.Duration(c.l.rnd.Float64() * float64(m.interval)))
		c.most = max(c.most, m.interval)
		c.members[m] = struct{}{}
		heap.Push(&c.queue, m)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// leave has services send nothing any more.
func (c *crowd) leave(all []*service) {
	ids := make(map[string]bool, len(all))
	for _, v := range all {
		ids[v.id] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for m := range c.members {
		if ids[m.id] {
			m.gone = true
			delete(c.members, m)
		}
	}
}

// String says how far it is.
func (c *crowd) String() string {
	all := c.intervals()
	c.mu.Lock()
	defer c.mu.Unlock()
	last := 0
	if n := len(c.sent); n > 1 {
		last = c.sent[n-2]
	}
	return fmt.Sprintf("%d services, %d heartbeats a second, intervals %v, %d changes told", len(c.members), last, all, c.told)
}

// dueQueue is members by when they are due, the first first.
type dueQueue []*member

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, k int) bool { return q[i].due.Before(q[k].due) }
func (q dueQueue) Swap(i, k int)      { q[i], q[k] = q[k], q[i] }

// Push is heap's.
func (q *dueQueue) Push(x any) { *q = append(*q, x.(*member)) }

// Pop is heap's.
func (q *dueQueue) Pop() any {
	old := *q
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return m
}
