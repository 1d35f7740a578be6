package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// replicas knows who else lives: each replica keeps a key on a short lease. All are
// equal; the order of their names only spreads their claims.
type replicas struct {
	self string
	lost chan struct{} // told when this replica's own key is gone
	mu   sync.RWMutex
	ids  map[string]bool
	old  map[string]bool // those of a release that projects in another form
	// unlisted: nobody knows yet whether there are any
	unlisted bool
}

// ProjectionForm names the form in which this release encodes projections, in the key of
// every replica. Two releases with different forms would overwrite each other's projections
// endlessly: so the newer one leaves the older form as it is while a replica lives that
// writes it.
const ProjectionForm = "3"

// older says whether replicas of the previous release may live.
func (r *replicas) older() bool {
	if r == nil {
		return false // a store that nobody follows
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.unlisted || len(r.old) > 0
}

func newReplicas() *replicas {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &replicas{self: hex.EncodeToString(b[:]), lost: make(chan struct{}, 1), ids: map[string]bool{}, old: map[string]bool{}}
}

// Rank is how many replicas go first when a silence is to be claimed that this one did not
// hear last: the one that did hear, whose refutation a claim must not overtake, and the
// living ones before this one. A replica that does not see its own key (it has just
// started, or the store is full) goes last. One that is alone waits for nobody.
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

// relist replaces the known replicas by those of a list.
func (r *replicas) relist(ids, old map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids, r.old, r.unlisted = ids, old, false
}

// observe takes in the writes of a watch, and hands the engine what the other replicas publish.
func (r *replicas) observe(events []*clientv3.Event, e *heartbeat.Engine) {
	for _, ev := range events {
		id, ok := replicaID(ev.Kv)
		if !ok || ev.Type == mvccpb.PUT && ev.Kv.Lease == 0 {
			continue
		}
		value, leaves := replicaValue{}, false
		if ev.Type == mvccpb.PUT {
			value = decodeReplica(ev.Kv.Value)
			leaves = value.Leaving
		}
		there := ev.Type == mvccpb.PUT && !leaves
		r.mu.Lock()
		delete(r.old, id)
		if there {
			r.ids[id] = true
			if value.Projection != ProjectionForm {
				r.old[id] = true
			}
		} else {
			delete(r.ids, id)
		}
		r.mu.Unlock()
		switch {
		case id == r.self:
			if !there {
				r.lose()
			}
		case there:
			e.UpdatePeer(id, value.status())
		default:
			e.LosePeer(id, leaves)
		}
	}
}

// Name implements plugins.Base.
func (s *Store) Name() string { return s.replicas.self }

// Rank implements plugins.Base.
func (s *Store) Rank() int { return s.replicas.Rank() }

// Replicas implements plugins.Base.
func (s *Store) Replicas() int { return s.replicas.Replicas() }

// lose has KeepPresence put this replica's key back.
func (r *replicas) lose() {
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// replicaValue is the value of a replica's key. A release that publishes no watermark has
// no settled; what a later release adds is of no concern here.
type replicaValue struct {
	Settled *int64 `json:"settled"`
	Wanted  int64  `json:"wanted"`
	Leaving bool   `json:"leaving"`
	// Projection is ProjectionForm; a release that knew only one form has none.
	Projection string `json:"projection"`
	Keeps      bool   `json:"keeps"`
}

// decodeReplica reads a value; one that cannot be read counts as empty.
func decodeReplica(value []byte) (w replicaValue) {
	if json.Unmarshal(value, &w) != nil {
		return replicaValue{}
	}
	return w
}

func (w *replicaValue) status() heartbeat.PeerStatus {
	if w.Settled == nil || *w.Settled < 0 {
		return heartbeat.PeerStatus{}
	}
	return heartbeat.PeerStatus{Publishes: true, EndsSilences: w.Keeps, Settled: heartbeat.Revision(*w.Settled), Wanted: heartbeat.Revision(max(w.Wanted, 0))}
}

// replicaID reads the name out of a key; without a lease the key is none of a replica.
func replicaID(kv *mvccpb.KeyValue) (string, bool) {
	id, ok := strings.CutPrefix(string(kv.Key), keys.ReplicaPrefix)
	return id, ok && len(id) == 16 && strings.Trim(id, "0123456789abcdef") == ""
}

// loadReplicas lists the living replicas as of a revision, for the engine too.
func (s *Store) loadReplicas(ctx context.Context, at int64, e *heartbeat.Engine) error {
	ids, old, statuses := map[string]bool{}, map[string]bool{}, map[string]heartbeat.PeerStatus{}
	_, err := s.each(ctx, keys.ReplicaPrefix, at, func(kv *mvccpb.KeyValue) {
		id, ok := replicaID(kv)
		if !ok || kv.Lease == 0 {
			return
		}
		if w := decodeReplica(kv.Value); !w.Leaving {
			ids[id] = true
			statuses[id] = w.status()
			if w.Projection != ProjectionForm && id != s.replicas.self {
				old[id] = true
			}
		}
	})
	if err != nil {
		return err
	}
	if delete(statuses, s.replicas.self); !ids[s.replicas.self] {
		s.replicas.lose()
	}
	s.replicas.relist(ids, old)
	e.SetPeers(statuses)
	return nil
}
