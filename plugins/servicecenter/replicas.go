package servicecenter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	presenceTTL   = 5 * time.Second
	presenceEvery = presenceTTL / 4
)

// replicas knows who else lives: each replica keeps a key on a short lease. All are
// equal; the order of their names only spreads their claims.
type replicas struct {
	self string
	mu   sync.RWMutex
	ids  map[string]bool
}

func newReplicas() *replicas {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &replicas{self: hex.EncodeToString(b[:]), ids: map[string]bool{}}
}

// Rank is how many go first when something must be claimed that this replica did not
// hear last: the one that did, whose refutation must not be overtaken, and the living
// replicas before it. One that does not see itself (it has just started, or the store
// is full) goes last. Alone, it waits for nobody.
func (r *replicas) Rank() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	self := r.ids[r.self]
	if len(r.ids) == 0 || self && len(r.ids) == 1 {
		return 0
	}
	rank := 1
	for id := range r.ids {
		if !self || id < r.self {
			rank++
		}
	}
	return rank
}

// Replicas says how many live, as far as this one knows.
func (r *replicas) Replicas() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return max(len(r.ids), 1) // whoever asks lives
}

// relist replaces what is known by a list.
func (r *replicas) relist(ids map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = ids
}

// see follows the watch.
func (r *replicas) see(events []*clientv3.Event) {
	for _, ev := range events {
		id, ok := replicaID(ev.Kv)
		if !ok {
			continue
		}
		r.mu.Lock()
		if ev.Type == mvccpb.PUT {
			if ev.Kv.Lease != 0 {
				r.ids[id] = true
			}
		} else {
			delete(r.ids, id)
		}
		r.mu.Unlock()
	}
}

// replicaID reads the name out of a key; without a lease the key is none of a replica.
func replicaID(kv *mvccpb.KeyValue) (string, bool) {
	id, ok := strings.CutPrefix(string(kv.Key), replicaPrefix)
	return id, ok && len(id) == 16 && strings.Trim(id, "0123456789abcdef") == ""
}

// loadReplicas lists the living replicas as of a revision.
func (s *Store) loadReplicas(ctx context.Context, at int64) error {
	ids := map[string]bool{}
	_, err := s.each(ctx, replicaPrefix, at, func(kv *mvccpb.KeyValue) {
		if id, ok := replicaID(kv); ok && kv.Lease != 0 {
			ids[id] = true
		}
	})
	if err == nil {
		s.replicas.relist(ids)
	}
	return err
}

// attend keeps this replica's key until ctx ends, then takes it away. say is its
// value, for an operator who looks.
func (s *Store) attend(ctx context.Context, say any) {
	value, err := json.Marshal(say)
	if err != nil {
		value = []byte("{}")
	}
	t := time.NewTicker(presenceEvery)
	defer t.Stop()
	var l heartbeat.LeaseID
	for {
		if l != 0 {
			if _, err := s.Renew(ctx, l); errors.Is(err, heartbeat.ErrLeaseGone) {
				l = 0
			}
		}
		if l == 0 {
			l = s.appear(ctx, string(value))
		}
		select {
		case <-ctx.Done():
			if l != 0 {
				_ = s.Revoke(context.WithoutCancel(ctx), l) // else it runs out
			}
			return
		case <-t.C:
		}
	}
}

// appear puts the key on a lease of its own; 0: it is tried again. A stop waits for it,
// so that it knows what to take away.
func (s *Store) appear(ctx context.Context, value string) heartbeat.LeaseID {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	l, err := s.client.Grant(ctx, max(int64(presenceTTL/time.Second), int64(s.least)))
	if err != nil {
		return 0
	}
	if _, err := s.client.Put(ctx, replicaPrefix+s.replicas.self, value, clientv3.WithLease(l.ID)); err != nil {
		return 0 // perhaps it was put: the lease is left to run out
	}
	return heartbeat.LeaseID(l.ID)
}
