package servicecenter

import (
	"context"
	"fmt"
	"time"

	"github.com/go-chassis/openlog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
)

// Grant implements heartbeat.Store.
func (s *Store) Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if failpoint.On {
		failpoint.Write()
	}
	res, _, err := hedged(ctx, s.spares, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return s.client.Grant(ctx, int64(seconds)) // one that is granted in vain runs out
	})
	if err != nil {
		return 0, translate(err)
	}
	if failpoint.On {
		_ = failpoint.Hit(fmt.Sprintf("grant-%ds.after", seconds)) // not whatever is granted first
	}
	if res.TTL > int64(seconds) {
		s.tellLonger(int64(seconds), res.TTL)
	}
	return heartbeat.LeaseID(res.ID), nil
}

// tellLonger says once for each length that deaths are found late: the start made
// sure of the shortest lease, so the cluster's election timeout was raised since.
func (s *Store) tellLonger(asked, granted int64) {
	if before := s.longer.Load(); granted > before && s.longer.CompareAndSwap(before, granted) {
		s.log.Warn("etcd grants longer leases than asked for: deaths are found late; restart to check the configuration against its election timeout",
			openlog.WithTags(openlog.Tags{"asked": asked, "granted": granted}))
	}
}

// Renew implements heartbeat.Store.
func (s *Store) Renew(ctx context.Context, l heartbeat.LeaseID) (int, error) {
	if failpoint.On && s.lessor == nil {
		_ = failpoint.Hit("renew.before")
	}
	ttl, err := s.renew(ctx, l)
	if failpoint.On && s.lessor == nil && err == nil {
		err = translate(failpoint.Hit("renew.before-reply"))
	}
	return ttl, err
}

// renew is Renew without its failpoints, which mean heartbeats: a replica renews leases of
// its own, too. In process it is a call of the lessor: no message, no write. Over a cluster
// it goes along shared streams.
func (s *Store) renew(ctx context.Context, l heartbeat.LeaseID) (int, error) {
	if s.lessor != nil {
		ttl, err := s.lessor.renewed(ctx, int64(l))
		return int(ttl), translate(err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ttl, err := s.renewals.renew(ctx, int64(l))
	return int(ttl), translate(err)
}

// Revoke implements heartbeat.Store.
func (s *Store) Revoke(ctx context.Context, l heartbeat.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if failpoint.On {
		_ = failpoint.Hit("revoke.before")
	}
	_, err := s.client.Revoke(ctx, clientv3.LeaseID(l))
	return translate(err)
}

// Age implements heartbeat.Store, to a second: etcd tells whole ones that are left.
func (s *Store) Age(ctx context.Context, l heartbeat.LeaseID) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := s.client.TimeToLive(ctx, clientv3.LeaseID(l))
	if err != nil {
		return 0, translate(err)
	}
	if res.TTL < 0 {
		return 0, heartbeat.ErrLeaseGone
	}
	return s.term.ageOf(res.RaftTerm, time.Duration(res.GrantedTTL)*time.Second, time.Duration(res.TTL)*time.Second, time.Now())
}
