package notify

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// testAttempts is how often a test notification is sent to a consumer that does not take it.
// MEC 009 v3.1.1 §6.12a.1 has it repeated and leaves open how often.
const testAttempts = 3

// chooseDelivery decides between callback and WebSocket if both are asked for: the callback, if
// it takes a test notification. §6.12a.3 has the answer to the subscription name one of them,
// so the test comes before the subscription is made, and its link leads nowhere until then.
func (r *registry) chooseDelivery(ctx context.Context, s *plugins.Subscription) {
	if !s.Asked.ByWebSocket() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if s.Asked.RequestTestNotification && !r.policy.refuses(s.Asked.CallbackReference) && r.test(ctx, s).delivered() {
		s.Asked.WebsockNotifConfig = nil
		return
	}
	s.Asked.CallbackReference, s.Asked.RequestTestNotification = "", false
}

// test sends a test notification to a callback and waits for its answer, or for as long as a
// notification may take in all.
func (d *dispatcher) test(ctx context.Context, s *plugins.Subscription) result {
	granted, ctx := d.acquirePermit(ctx, ctx.Done(), prompt, hostOf(s), s.Owner)
	if granted == nil {
		return result{outcome: timedOut}
	}
	defer granted.release()
	_, wall := d.now()
	r := d.post(ctx, composeTest(s), wall)
	d.tested(s, r)
	return r
}

// composeTest makes the test notification of a subscription.
func composeTest(s *plugins.Subscription) delivery {
	n := mp1.TestNotification{NotificationType: mp1.TestNotificationType, Subscription: hrefOf(s)}
	n.Links.Subscription.Href = n.Subscription
	body, err := json.Marshal(n)
	if err != nil { // plain data: cannot happen
		body = []byte("{}")
	}
	return delivery{id: s.ID + "-test", url: s.Asked.CallbackReference, body: body}
}

// testLater has the worker of a subscription send its test notification, for its consumer may
// answer nothing before it knows the subscription. It is the worker's, and no loop of its own,
// so that it ends with the subscription as all POSTs do: at whatever replica the subscription
// is deleted, the answer waits for the lock, which is given back when the worker has stopped.
func (d *dispatcher) testLater(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	en := d.entries[id]
	if en == nil || d.closed {
		return
	}
	en.testsLeft.Store(testAttempts)
	if en.worker != nil {
		en.worker.test(&en.testsLeft)
	}
}

// test sends the test notification in the background, so that nothing else waits for it. Not
// more often than left says, which is counted down; a worker after this one goes on with it.
func (w *worker) test(left *atomic.Int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.halted || left.Load() <= 0 {
		return
	}
	w.testing.Go(func() {
		for failures := 1; left.Load() > 0; failures++ {
			if w.attemptTest(left) {
				left.Store(0)
				return
			}
			t := time.NewTimer(backoff(failures, 0.5))
			select {
			case <-w.halting:
				t.Stop()
				return
			case <-t.C:
			}
		}
	})
}

// attemptTest sends the test notification once, and says whether the consumer took it. The wait
// for the permit may be long: what it may not outlive is asked after it.
func (w *worker) attemptTest(left *atomic.Int32) bool {
	granted, ctx := w.deps.acquirePermit(w.ctx, w.halting, prompt, w.host, w.sub.Owner)
	if granted == nil {
		return false
	}
	defer granted.release()
	now, wall := w.deps.clock()
	w.mu.Lock()
	halted := w.halted
	w.mu.Unlock()
	if halted || !w.deps.trustsLease(now) {
		return false
	}
	left.Add(-1)
	r := w.deps.post(ctx, composeTest(w.sub), wall)
	if w.ctx.Err() == nil { // else it was cut off, which says nothing about the consumer
		w.deps.tested(w.sub, r)
	}
	return r.delivered()
}
