package store

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

const (
	presenceTTL   = 5 * time.Second
	presenceEvery = presenceTTL / 4
	leaveTime     = time.Second // for what a replica writes while it stops
)

// presence is this replica's own key: it shows the others that the replica lives and what it
// has settled.
type presence struct {
	mu      sync.Mutex           // held while the key is written
	joined  bool                 // the key is to be kept; a store that nobody shares has none
	details map[string]any       // for operators who look at the key
	status  heartbeat.PeerStatus // what was published last; not Publishes: nothing yet

	stateMu sync.Mutex
	lease   heartbeat.LeaseID
	at      int64 // revision of the last write of the key
}

func (p *presence) state() (heartbeat.LeaseID, int64) {
	p.stateMu.Lock()
	defer p.stateMu.Unlock()
	return p.lease, p.at
}

func (p *presence) set(l heartbeat.LeaseID, at int64) {
	p.stateMu.Lock()
	defer p.stateMu.Unlock()
	p.lease, p.at = l, at
}

// join has the key kept from now on; details is what an operator finds in it besides.
func (p *presence) join(details any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined, p.details = true, map[string]any{}
	if b, err := json.Marshal(details); err == nil {
		_ = json.Unmarshal(b, &p.details) // what is no object is left out
	}
}

// value is what the key holds; p.mu is held.
func (p *presence) value(w heartbeat.PeerStatus, leaving bool) string {
	all := map[string]any{}
	for name, what := range p.details {
		all[name] = what
	}
	all["settled"], all["wanted"], all["keeps"] = w.Settled, w.Wanted, w.EndsSilences
	if leaving {
		all["leaving"] = true
	}
	b, _ := json.Marshal(all) // plain values
	return string(b)
}

// Publish implements heartbeat.Store. What is settled in one history of the store must not be
// published in another: the compare fails there, for the key is not as it was written last.
func (s *Store) Publish(ctx context.Context, w heartbeat.PeerStatus) error {
	p := &s.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.joined {
		p.status = w
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	l, at := p.state()
	if l == 0 {
		return s.createKey(ctx, w)
	}
	done, err := s.updateKey(ctx, w, false, l, at)
	if err == nil && done || err != nil && !errors.Is(err, heartbeat.ErrLeaseGone) {
		return err
	}
	return s.createKey(ctx, w)
}

// updateKey writes the key by compare-and-set: done is false if it is not as it was written
// last. p.mu is held.
func (s *Store) updateKey(ctx context.Context, w heartbeat.PeerStatus, leaving bool, l heartbeat.LeaseID, at int64) (done bool, err error) {
	if failpoint.On {
		failpoint.Write()
	}
	key := keys.ReplicaPrefix + s.replicas.self
	res, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", at)).
		Then(clientv3.OpPut(key, s.presence.value(w, leaving), clientv3.WithLease(clientv3.LeaseID(l)))).Commit()
	switch {
	case err != nil:
		return false, etcd.Translate(err)
	case !res.Succeeded:
		return false, nil
	}
	s.presence.status = w
	s.presence.set(l, res.Header.Revision)
	return true, nil
}

// createKey puts the key, on a new lease. What was settled in another history of the store must
// not be published in this one, so it reads the store's head first. p.mu is held.
func (s *Store) createKey(ctx context.Context, w heartbeat.PeerStatus) error {
	if _, err := s.Head(ctx); err != nil {
		return err
	}
	if failpoint.On {
		failpoint.Write()
		failpoint.Write() // it is two
	}
	l, err := s.client.Grant(ctx, max(int64(presenceTTL/time.Second), int64(s.client.MinLease())))
	if err != nil {
		return etcd.Translate(err)
	}
	res, err := s.client.Put(ctx, keys.ReplicaPrefix+s.replicas.self, s.presence.value(w, false), clientv3.WithLease(l.ID))
	if err != nil {
		return etcd.Translate(err) // perhaps it was put: the lease is left to run out
	}
	s.presence.status = w
	s.presence.set(heartbeat.LeaseID(l.ID), res.Header.Revision)
	return nil
}

// Join has this replica's key kept from the first Publish on, with details for an operator
// who looks at it. A store that nobody shares has no such keys.
func (s *Store) Join(details any) { s.presence.join(details) }

// KeepPresence keeps this replica's key until ctx ends, then deletes it. A key that is lost is
// put back at once, for the others soon take the replica for dead; that of a replica which
// is stuck is deleted, so that the others do not wait for it.
func (s *Store) KeepPresence(ctx context.Context, details any) {
	s.presence.join(details)
	select {
	case <-s.replicas.lost: // a list before this showed that it was not there yet
	default:
	}
	t := time.NewTicker(presenceEvery)
	defer t.Stop()
	for {
		s.refresh(ctx)
		select {
		case <-ctx.Done():
			s.leave(ctx)
			return
		case <-s.replicas.lost:
			s.presence.set(0, 0)
		case <-t.C:
		}
	}
}

// refresh renews the key's lease, or puts the key back.
func (s *Store) refresh(ctx context.Context) {
	l, _ := s.presence.state()
	if e := s.engine.Load(); e != nil && e.Stuck() {
		if l != 0 {
			s.presence.set(0, 0)
			_ = s.Revoke(ctx, l)
		}
		return
	}
	if l != 0 {
		if _, err := s.client.RenewLease(ctx, l); !errors.Is(err, heartbeat.ErrLeaseGone) {
			return
		}
	}
	p := &s.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if now, _ := p.state(); now != l || !p.status.Publishes {
		return // a watermark was published meanwhile, or never one
	}
	// A stop waits for it, so that it knows what to take away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), etcd.CallTimeout)
	defer cancel()
	p.set(0, 0)
	_ = s.createKey(ctx, p.status) // it is tried again
}

// leave takes the key away. If nothing is unsettled here, it publishes first that nobody
// needs to wait for this replica.
func (s *Store) leave(ctx context.Context) {
	p := &s.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	l, at := p.state()
	if l == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if e := s.engine.Load(); e == nil || e.SettleEnds() {
		_, _ = s.updateKey(ctx, p.status, true, l, at)
	}
	p.set(0, 0)
	_ = s.Revoke(ctx, l) // else it runs out
}

// reset drops what was published in another history of the store.
func (p *presence) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Settled, p.status.Wanted = 0, 0
	p.set(0, 0)
}
