package etcd

import (
	"context"
	"time"

	"github.com/go-chassis/openlog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// GrantLease grants a lease of that many seconds, or of the store's minimum if that is
// longer.
func (c *Client) GrantLease(ctx context.Context, seconds int) (heartbeat.LeaseID, error) {
	var began time.Duration
	if c.lessor != nil {
		began = c.lessor.now()
	}
	res, _, err := hedged(ctx, c.permits, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return c.Grant(ctx, int64(seconds)) // one that is granted in vain runs out
	})
	if err != nil {
		return 0, Translate(err)
	}
	if c.lessor != nil {
		c.lessor.granted(lease.LeaseID(res.ID), res.TTL, began, c.lessor.now())
	}
	if res.TTL > int64(seconds) {
		c.warnLonger(int64(seconds), res.TTL)
	}
	return heartbeat.LeaseID(res.ID), nil
}

// warnLonger says once for each length that deaths are found late: the start made
// sure of the shortest lease, so the cluster's election timeout was raised since.
func (c *Client) warnLonger(asked, granted int64) {
	if before := c.longest.Load(); granted > before && c.longest.CompareAndSwap(before, granted) {
		c.log.Warn("etcd grants longer leases than asked for: deaths are found late; restart to check the configuration against its election timeout",
			openlog.WithTags(openlog.Tags{"asked": asked, "granted": granted}))
	}
}

// RenewLease renews a lease and returns its time to live in seconds, or
// heartbeat.ErrLeaseGone. In process it is a call of the lessor: no message, no write.
// Over a cluster it goes along shared streams.
func (c *Client) RenewLease(ctx context.Context, l heartbeat.LeaseID) (int, error) {
	if c.lessor != nil {
		ttl, err := c.lessor.renewed(ctx, int64(l))
		return int(ttl), Translate(err)
	}
	ttl, err := c.renewals.renew(ctx, int64(l))
	return int(ttl), Translate(err)
}

// RevokeLease ends a lease and erases what hangs on it.
func (c *Client) RevokeLease(ctx context.Context, l heartbeat.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	_, err := c.Revoke(ctx, clientv3.LeaseID(l))
	return Translate(err)
}

// LeaseLeft says how long a lease of the embedded store may live yet; 0: it has run out for certain, and
// no renewal of it succeeds any more. An error: it is not known here.
func (c *Client) LeaseLeft(l heartbeat.LeaseID) (time.Duration, error) {
	if c.lessor == nil {
		return 0, errNotKnown // a cluster tells whole seconds, and others renew there
	}
	return c.lessor.left(lease.LeaseID(l))
}

// ReserveLease has etcd leave a lease alone that is about to run out: this process ends it, and renews it no
// more once it has run out. It promises nothing: where it fails etcd revokes the lease as any other.
func (c *Client) ReserveLease(ctx context.Context, l heartbeat.LeaseID) {
	if c.lessor != nil {
		c.lessor.reserve(ctx, lease.LeaseID(l))
	}
}

// LeaseEmptied notes that a lease has run out, and that nothing hangs on it any more.
func (c *Client) LeaseEmptied(l heartbeat.LeaseID) {
	if c.lessor != nil {
		c.lessor.emptied(lease.LeaseID(l))
	}
}

// LeaseAge says how long ago a lease was renewed, to a second: etcd tells whole ones that
// are left. An error: it cannot be known.
func (c *Client) LeaseAge(ctx context.Context, l heartbeat.LeaseID) (time.Duration, error) {
	if c.lessor != nil && c.lessor.isReserved(lease.LeaseID(l)) {
		return 0, errExtended
	}
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	res, err := c.TimeToLive(ctx, clientv3.LeaseID(l))
	if err != nil {
		return 0, Translate(err)
	}
	if res.TTL < 0 {
		return 0, heartbeat.ErrLeaseGone
	}
	return c.term.ageOf(res.RaftTerm, time.Duration(res.GrantedTTL)*time.Second, time.Duration(res.TTL)*time.Second, time.Now())
}
