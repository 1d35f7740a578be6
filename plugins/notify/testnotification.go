package notify

import (
	"context"
	"encoding/json"
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
	d.observer.tested(s, r)
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

// testLater sends the test notification of a subscription in the background, for its consumer
// may answer nothing before it knows the subscription. It is repeated a few times while the
// subscription is there.
func (d *dispatcher) testLater(s *plugins.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.tests.Go(func() {
		for failures := 1; d.has(s.ID) && !d.test(d.ending, s).delivered() && failures < testAttempts; failures++ {
			t := time.NewTimer(backoff(failures, d.random()))
			select {
			case <-d.ending.Done():
			case <-t.C:
			}
			t.Stop()
		}
	})
}

// has says whether there is a subscription, as far as this replica has seen.
func (d *dispatcher) has(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.entries[id] != nil && !d.closed
}
