package store

import (
	"context"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// Grant implements heartbeat.Store.
func (s *Store) Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	if failpoint.On {
		failpoint.Write()
	}
	l, err := s.client.GrantLease(ctx, seconds)
	if failpoint.On && err == nil {
		_ = failpoint.Hit(fmt.Sprintf("grant-%ds.after", seconds)) // not whatever is granted first
	}
	return l, err
}

// Renew implements heartbeat.Store. Its failpoints mean heartbeats: a replica renews
// leases of its own, too.
func (s *Store) Renew(ctx context.Context, l heartbeat.LeaseID) (int, error) {
	if failpoint.On && !s.client.Embedded() {
		_ = failpoint.Hit("renew.before")
	}
	ttl, err := s.client.RenewLease(ctx, l)
	if failpoint.On && !s.client.Embedded() && err == nil {
		err = etcd.Translate(failpoint.Hit("renew.before-reply"))
	}
	return ttl, err
}

// RenewAll implements heartbeat.Store.
func (s *Store) RenewAll(ctx context.Context, leases []heartbeat.LeaseID, done func(i, ttl int, err error)) {
	if failpoint.On && !s.client.Embedded() {
		_ = failpoint.Hit("renew.before")
		answered := done
		done = func(i, ttl int, err error) {
			if err == nil {
				err = etcd.Translate(failpoint.Hit("renew.before-reply"))
			}
			answered(i, ttl, err)
		}
	}
	s.client.RenewLeases(ctx, leases, done)
}

// Revoke implements heartbeat.Store.
func (s *Store) Revoke(ctx context.Context, l heartbeat.LeaseID) error {
	if failpoint.On {
		_ = failpoint.Hit("revoke.before")
	}
	return s.client.RevokeLease(ctx, l)
}

// Reserve implements heartbeat.Store.
func (s *Store) Reserve(ctx context.Context, l heartbeat.LeaseID) { s.client.ReserveLease(ctx, l) }

// End implements heartbeat.Store. The empty lease is revoked later: each revocation is a commit of etcd's
// database, synced, and what is written meanwhile waits for it.
func (s *Store) End(ctx context.Context, l heartbeat.LeaseID, t *heartbeat.Txn) (left time.Duration, at heartbeat.Revision, err error) {
	if left, err = s.client.LeaseLeft(l); err != nil || left > 0 {
		return left, 0, err
	}
	if at, err = s.Commit(ctx, t); err == nil {
		s.client.LeaseEmptied(l)
	}
	return 0, at, err
}

// Age implements heartbeat.Store, to a second: etcd tells whole ones that are left.
func (s *Store) Age(ctx context.Context, l heartbeat.LeaseID) (plugins.Instant, error) {
	return s.client.LeaseAge(ctx, l)
}
