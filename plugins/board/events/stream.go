package events

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

const (
	pingEvery = 10 * time.Second
	// mostAtOnce is how many changes are written at a time, before they are flushed.
	mostAtOnce = 64
	// A reader must take what he is sent within stall, and of a reset minRate on average once
	// grace is over; plugins/responses.go has the same rule for other answers.
	stall   = 10 * time.Second
	grace   = 30 * time.Second
	minRate = 32 << 10 // bytes a second
	// endWait is how long a stream that ends may take to say so.
	endWait = 500 * time.Millisecond
	// catchUp is how long it is waited until this replica has seen what another has shown: its
	// watch asks for progress every five seconds.
	catchUp = 6 * time.Second
	// mostHeld is how long a reset is held up at a caller's limit of lists.
	mostHeld = 30 * time.Second
)

// opening is the first that is sent: how long clients wait, in milliseconds, before they connect
// again. By itself each browser would choose another time.
const opening = "retry: 1000\n\n"

// stream is one reader.
type stream struct {
	*service
	w       http.ResponseWriter
	control *http.ResponseController
	request *http.Request
	ctx     context.Context // ends when the reader is gone or may not read any more, or the server stops
	cancel  context.CancelFunc
	filter  mp1.Filter
	may     mp1.RequiredServices
	at      heartbeat.Revision // the id of what was shown last
	cursor  cursor
	*waiter
	goOn     func() bool // when the stream ends: that the server does is no matter any more
	deadline time.Time   // until when a reset must have been read; zero: there is none
	written  int64       // bytes of the reset
	until    time.Time   // when what is being sent must have been read; zero: nothing is

	mu    sync.Mutex // held while a deadline is set
	ended bool       // none is set any more
	over  bool       // the handler returns
}

func newStream(s *service, w http.ResponseWriter, r *http.Request, filter mp1.Filter) *stream {
	st := &stream{service: s, w: w, control: http.NewResponseController(w), request: r, filter: filter, waiter: newWaiter()}
	st.ctx, st.cancel = context.WithCancel(r.Context())
	// The server's own limits are those of a request that ends: what cannot has no connection.
	_ = st.control.SetReadDeadline(time.Time{})
	context.AfterFunc(st.ctx, func() { // a write that hangs must not hold the end up
		st.mu.Lock()
		defer st.mu.Unlock()
		st.ended = true
		if !st.over {
			_ = st.control.SetWriteDeadline(time.Now().Add(endWait))
		}
	})
	st.goOn = context.AfterFunc(s.serving, st.cancel)
	s.metrics.readers.Inc()
	return st
}

// end is called before the handler returns. Behind that nothing of the response may be touched: over
// HTTP/2 it is gone, and a deadline that is set ends the process.
func (st *stream) end() {
	st.mu.Lock()
	st.over = true
	st.mu.Unlock()
	st.cancel()
	st.goOn()
	st.feed.turns.leave(st.waiter)
	st.metrics.readers.Dec()
}

// run shows everything behind an id, if there is one, until the stream ends.
func (st *stream) run(at heartbeat.Revision, given bool) {
	st.may = st.discoverable(st.ctx)
	if !st.send([]byte(opening)) || !st.flush() {
		return
	}
	why := resetNew
	if given && st.resume(at) {
		why = ""
	} else if given {
		why = resetForgotten
	}
	ping, due := time.NewTicker(pingEvery), false
	defer ping.Stop()
	for {
		if why != "" && !st.reset(why) {
			return
		}
		why = ""
		st.feed.await(&st.cursor, st.waiter)
		select {
		case <-st.ctx.Done():
			return
		case <-ping.C:
			due = true
			st.feed.turns.want(st.waiter)
			continue
		case <-st.turn:
		}
		switch st.show(due) {
		case mustReset:
			why = resetChanged
		case mustEnd:
			return
		case goesOn:
			due = false
		}
	}
}

// resume finds where the stream goes on. An id that this replica has not seen is waited for, if the
// store has got there: another replica has shown it.
func (st *stream) resume(at heartbeat.Revision) bool {
	c, ok, later := st.feed.resume(at)
	if later != nil {
		if head, err := st.head(st.ctx); err != nil || at > head {
			return false
		}
		late := time.NewTimer(catchUp)
		defer late.Stop()
		for later != nil {
			select {
			case <-later:
			case <-late.C:
				return false
			case <-st.ctx.Done():
				return false
			}
			c, ok, later = st.feed.resume(at)
		}
	}
	st.cursor, st.at = c, at
	return ok
}

// outcome is what becomes of a stream when it has had its turn.
type outcome int

const (
	goesOn outcome = iota
	mustReset
	mustEnd
)

// show shows what there is, in the stream's turn, and what is left of it in the next one. ping says
// that a ping is due.
func (st *stream) show(ping bool) outcome {
	defer st.feed.turns.done(st.waiter)
	if ping {
		if may := st.discoverable(st.ctx); !may.Equal(st.may) {
			st.may = may
			return mustReset
		}
	}
	some, at, p := st.feed.read(&st.cursor, mostAtOnce)
	switch p {
	case anew:
		return mustReset
	case behind:
		st.metrics.cut.WithLabelValues(cutBehind).Inc()
		return mustEnd
	}
	shown, next := st.write(some)
	if next != goesOn {
		return next
	}
	st.at = at
	if ping && !st.put(frame(at, mp1.PingEvent, encode(mp1.ServicePing{Revision: int64(at), Time: stamp(time.Now())}))) {
		return mustEnd
	}
	if (shown || ping) && !st.flush() || st.ctx.Err() != nil {
		return mustEnd
	}
	return goesOn
}

// write writes those changes that this reader sees.
func (st *stream) write(some []*entry) (shown bool, next outcome) {
	for _, e := range some {
		v, visible, sure := st.sees(e)
		switch {
		case !sure:
			return shown, mustReset
		case visible && !st.put(e.frame(v)):
			return shown, mustEnd
		}
		shown = shown || visible
	}
	return shown, goesOn
}

// sees says how a change looks to this reader, if it does at all. sure is false if that cannot be
// told any more.
func (st *stream) sees(e *entry) (v view, visible, sure bool) {
	before, after := st.selects(e.before), st.selects(e.after)
	switch {
	case e.unsure && !st.seesAll():
		return changed, false, false
	case e.after == nil, e.before == nil, before && after:
		return changed, before || after, true
	case after:
		return entered, true, true
	default:
		return left, before, true
	}
}

// seesAll says whether the reader sees every service, however it is described.
func (st *stream) seesAll() bool { return st.may.All() && st.filter.Query() == "" }

// selects says whether the reader sees a service.
func (st *stream) selects(it *item) bool {
	if it == nil {
		return false
	}
	d := it.description()
	return d != nil && st.may.Allows(d.name) && it.selectedBy(&st.filter, d)
}

// send writes to the reader. It returns false if the stream is over.
func (st *stream) send(p []byte) bool {
	now := time.Now()
	deadline := now.Add(stall)
	if all := st.deadline.Add(time.Duration(st.written) * time.Second / minRate); !st.deadline.IsZero() && all.Before(deadline) {
		deadline = all
	}
	if !st.allow(deadline) {
		return false
	}
	st.written += int64(len(p))
	return st.put(p)
}

// put writes to the reader what is to be flushed with what was written before: all of it has one
// deadline, for to set one costs as much as to write.
func (st *stream) put(p []byte) bool {
	if st.until.IsZero() && !st.allow(time.Now().Add(stall)) {
		return false
	}
	_, err := st.w.Write(p)
	return st.judged(err)
}

// allow gives what is sent next until a deadline, or takes the deadline away, unless the stream ends.
func (st *stream) allow(until time.Time) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.until = until
	if !st.ended {
		_ = st.control.SetWriteDeadline(until)
	}
	return !st.ended
}

// flush sends what was written. While nothing is sent there is no deadline: one that lapses
// resets a stream of HTTP/2, also if nothing waits for it.
func (st *stream) flush() bool {
	return st.judged(st.control.Flush()) && st.allow(time.Time{})
}

// judged says whether a write succeeded, and counts one that took too long. What else it says tells
// nothing: HTTP/1.1 ends the request at any failure, and HTTP/2 resets the stream.
func (st *stream) judged(err error) bool {
	if err != nil && st.serving.Err() == nil && !st.until.IsZero() && !time.Now().Before(st.until) {
		st.metrics.cut.WithLabelValues(cutSlow).Inc()
	}
	return err == nil
}
