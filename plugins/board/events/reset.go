package events

import (
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// reset shows all services.
func (st *stream) reset(why string) bool {
	if !st.admitted() {
		return false
	}
	st.feed.settle(st.ctx)
	st.feed.turns.want(st.waiter)
	select {
	case <-st.turn:
	case <-st.ctx.Done():
		return false
	}
	defer st.feed.turns.done(st.waiter)
	st.metrics.resets.WithLabelValues(why).Inc()
	snapshot := st.feed.begins()
	st.written, st.deadline = 0, time.Now().Add(grace)
	text := begin(nil, snapshot.at, mp1.ResetEvent)
	text = append(text, `{"revision":`...)
	text = append(text, encode(int64(snapshot.at))...)
	if !st.send(append(text, `,"services":[`...)) {
		return false
	}
	first := true
	for _, it := range snapshot.items {
		if !st.selects(it) {
			continue
		}
		if !first && !st.send([]byte{','}) || !st.send(it.json()) {
			return false
		}
		first = false
	}
	if !st.send([]byte("]}\n\n")) || !st.flush() {
		return false
	}
	st.deadline = time.Time{}
	if st.limits != nil {
		st.limits.Listed(st.ctx, st.request.RemoteAddr, st.written)
	}
	st.cursor, st.at = snapshot.from, snapshot.at
	return true
}

// admitted waits until the caller's limit of lists lets him have one. A refusal would end the
// streams of browsers for good.
func (st *stream) admitted() bool {
	if st.limits == nil {
		return true
	}
	for held := time.Duration(0); held < mostHeld; {
		wait := st.limits.List(st.ctx, st.request.RemoteAddr)
		if wait <= 0 {
			return true
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-st.ctx.Done():
			t.Stop()
			return false
		}
		held += wait
	}
	return false
}
