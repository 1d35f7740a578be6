package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Run describes requests to send. Next gives the i-th of them, from any goroutine. Done, if it is
// not nil, judges an answer, and is told when its request was sent: an error counts as failed. A
// nil Done wants a status below 300.
type Run struct {
	Dial  Dialer
	Conns int
	For   time.Duration // how long; 0: until Count
	Count int           // how many; 0: until For
	Next  func(i int) Request
	Done  func(i int, sent time.Time, a Answer) error
	warm  []Conn // that Warm has made
}

// Warm is r with Conns that have sent a request each, which is not judged: in a short run it would be
// measured what it costs to connect. It is for one run.
func (r Run) Warm(ctx context.Context) Run {
	r.warm = r.conns()
	var wg sync.WaitGroup
	for i, c := range r.warm {
		wg.Go(func() { _, _ = c.Do(ctx, r.Next(i)) }) // what is wrong is seen at the next request
	}
	wg.Wait()
	return r
}

// conns are those of a run.
func (r Run) conns() []Conn {
	if r.warm != nil {
		return r.warm
	}
	out := make([]Conn, r.Conns)
	for i := range out {
		out[i] = r.Dial()
	}
	return out
}

// Result is what came of a Run.
type Result struct {
	N, Failed int // answered as wanted, and not
	Err       error
	Took      time.Duration
	Latency   *Hist         // of those answered as wanted; at a rate, from when each was due
	Late      *Hist         // at a rate: how long after it was due a request was handed out
	CPU       time.Duration // that this process used
}

// PerSecond is how many were answered as wanted in a second.
func (r Result) PerSecond() float64 { return float64(r.N) / r.Took.Seconds() }

// Check is an error if any request failed, or none was answered.
func (r Result) Check() error {
	if r.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed, the first with: %w", r.Failed, r.N+r.Failed, r.Err)
	}
	if r.N == 0 {
		return errors.New("no request was answered")
	}
	return nil
}

// Mostly is Check that one request in a hundred may fail.
func (r Result) Mostly() error {
	if r.Failed*100 <= r.N && r.N > 0 {
		return nil
	}
	return r.Check()
}

// Faults says how many failed, and how the first did; "": none.
func (r Result) Faults() string {
	if r.Failed == 0 {
		return ""
	}
	return fmt.Sprintf("**%d of %d failed**, the first: %v; ", r.Failed, r.N+r.Failed, r.Err)
}

// Saturate sends each Conn's next request when the one before is answered. It says how many a
// server can answer; what it says of times holds for these numbers of connections only.
func (r Run) Saturate(ctx context.Context) Result {
	var next atomic.Int64
	end := time.Now().Add(r.For)
	return r.each(ctx, func() (i int, due time.Time, ok bool) {
		now := time.Now()
		i = int(next.Add(1)) - 1
		return i, now, (r.For == 0 || now.Before(end)) && (r.Count == 0 || i < r.Count)
	})
}

// queued is how many requests that are due may wait for a Conn; if there are more, time does not
// go on for them, and their own due times still count.
const queued = 1 << 16

// Pace sends perSecond requests a second, whatever the answers take. Each counts from the moment
// when it was due: a server, or a connection, that is late is seen to be late.
func (r Run) Pace(ctx context.Context, perSecond float64) Result {
	type item struct {
		i   int
		due time.Time
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	due, late := make(chan item, queued), NewHist()
	go func() {
		defer close(due)
		runtime.LockOSThread() // it sleeps by itself: timers of Go are up to a millisecond late
		defer runtime.UnlockOSThread()
		began := time.Now()
		for i := 0; (r.Count == 0 || i < r.Count) && ctx.Err() == nil; i++ {
			after := time.Duration(float64(i) / perSecond * float64(time.Second))
			if r.For > 0 && after >= r.For {
				return
			}
			at := began.Add(after)
			sleepUntil(at)
			late.Add(time.Since(at))
			select {
			case due <- item{i, at}:
			case <-ctx.Done():
			}
		}
	}()
	out := r.each(ctx, func() (int, time.Time, bool) {
		select {
		case d, ok := <-due:
			return d.i, d.due, ok
		case <-ctx.Done():
			return 0, time.Time{}, false
		}
	})
	out.Late = late
	return out
}

// sleepUntil blocks the thread.
func sleepUntil(at time.Time) {
	for {
		left := time.Until(at)
		if left <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(min(left, 100*time.Millisecond).Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil) // a signal may end it early
	}
}

// each has every Conn send what take gives, until that gives no more.
func (r Run) each(ctx context.Context, take func() (i int, due time.Time, ok bool)) Result {
	var wg sync.WaitGroup
	var mu sync.Mutex
	out := Result{Latency: NewHist()}
	began, used := time.Now(), OwnCPU()
	conns := r.conns()
	for _, c := range conns {
		wg.Go(func() {
			n, failed := 0, 0
			var first error
			for ctx.Err() == nil {
				i, due, ok := take()
				if !ok {
					break
				}
				sent := time.Now()
				a, err := c.Do(ctx, r.Next(i))
				took := time.Since(due)
				if err == nil {
					err = r.judge(i, sent, a)
				}
				if err != nil {
					if ctx.Err() == nil {
						failed++
						if first == nil {
							first = err
						}
					}
					continue
				}
				n++
				out.Latency.Add(took)
			}
			mu.Lock()
			defer mu.Unlock()
			out.N, out.Failed = out.N+n, out.Failed+failed
			if out.Err == nil {
				out.Err = first
			}
		})
	}
	wg.Wait()
	for _, c := range conns { // not before the last answer: some share connections
		c.Close()
	}
	out.Took, out.CPU = time.Since(began), OwnCPU()-used
	return out
}

func (r Run) judge(i int, sent time.Time, a Answer) error {
	if r.Done != nil {
		return r.Done(i, sent, a)
	}
	if a.Status >= 300 {
		return fmt.Errorf("answered %d", a.Status)
	}
	return nil
}

// OwnCPU is the processor time that this process has used.
func OwnCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
