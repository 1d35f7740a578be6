package heartbeat

import (
	"context"
	"sync/atomic"
)

// Following is what follows a renewal.
type Following interface {
	// Renewed is called with the time to live as soon as the store has replied that the lease is
	// renewed, and does not block. next is called when what it begins has ended.
	Renewed(ttl int, next func())
}

// verifying is a renewal of a heartbeat, and the read of the revision behind it (a renewal is verified:
// protocol CE5). The read begins when the renewal is answered, by whoever hears that, so that the request
// wakes up once, when it has both.
type verifying struct {
	e     *Engine
	en    *entry
	lease LeaseID
	mine  bool
	began Mono
	ended atomic.Bool // what concerns the renewal alone is done
	read  *pendingRead[Revision]
}

// renewThenHead renews a lease and reads the revision.
func (e *Engine) renewThenHead(ctx context.Context, en *entry, l LeaseID, mine bool, began Mono) Result {
	v := &verifying{e: e, en: en, lease: l, mine: mine, began: began}
	ttl, err := e.Store.RenewThen(e.ctx, l, ctx.Done(), v)
	if err != nil && ctx.Err() != nil { // who asked has gone away, while it was read
		v.end(Result{Outcome: Unavailable, Lease: l})
		return Result{Outcome: Unavailable}
	}
	r := Result{Outcome: e.outcome(e.ctx, DoRenew, err), TTL: ttl, Lease: l}
	if err == nil {
		r.head = v.read
	}
	v.end(r)
	return r
}

// Renewed implements Following.
func (v *verifying) Renewed(ttl int, next func()) {
	head := v.e.headReads.join(v.e, &v.e.headSharers, v.e.Store.Head, next, &v.read)
	v.end(Result{TTL: ttl, Lease: v.lease, head: head})
}

// end ends the renewal for those who joined it, who share the read too: none of them joins a renewal that
// was answered.
func (v *verifying) end(r Result) {
	if !v.ended.CompareAndSwap(false, true) {
		return
	}
	v.e.noteRenewalTime(v.began)
	if v.mine {
		v.en.endRenewal(r)
	}
}
