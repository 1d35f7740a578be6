package notify

import (
	"sync/atomic"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// entry is what this replica knows of a subscription.
type entry struct {
	sub    *plugins.Subscription
	held   bool               // a replica has its lock
	lease  heartbeat.LeaseID  // on which the lock is
	lockAt heartbeat.Revision // of the last write of the lock that was seen
	tryAt  plugins.Instant    // when this replica tries to lock it, if no other has
	trying bool
	worker *worker

	stream     stream             // that the consumer has open here; nil: none
	newest     heartbeat.Revision // at which the lock was taken for the newest connection of all that is known here
	claimed    heartbeat.Revision // how many connections were claimed, where there are no locks
	connecting int                // connections that are being opened here

	testsLeft atomic.Int32 // how often its test notification may still be sent from here
}

// addSubscription takes a subscription in; d.mu is held. It returns nil for one that was
// deleted here.
func (d *dispatcher) addSubscription(s *plugins.Subscription) *entry {
	if en := d.entries[s.ID]; en != nil || d.deleted[s.ID] {
		return en
	}
	en := &entry{sub: s, tryAt: d.jittered(newJitter)}
	if s.Asked.RequestTestNotification && !d.alone {
		en.tryAt += handover // the replica that was asked for the test is to have the lock
	}
	d.entries[s.ID] = en
	d.index.Add(&s.Asked, en)
	of := ownerOf(s)
	if d.byOwner[of] == nil {
		d.byOwner[of] = map[string]*entry{}
	}
	d.byOwner[of][s.ID] = en
	d.lease.wakeUp()
	return en
}

// removeSubscription forgets a subscription and stops its worker; d.mu is held.
func (d *dispatcher) removeSubscription(id string) {
	en := d.entries[id]
	if en == nil {
		return
	}
	delete(d.entries, id)
	d.index.Remove(&en.sub.Asked, en)
	of := ownerOf(en.sub)
	if delete(d.byOwner[of], id); len(d.byOwner[of]) == 0 {
		delete(d.byOwner, of)
	}
	if en.worker == nil && d.stopping[id] == nil && d.hasLock(en) {
		go d.unlock(id) // of a connection that is being opened
	}
	d.stopWorker(id, en)
	d.endStream(en, mp1.CloseSubscriptionGone, "the subscription was deleted")
}
