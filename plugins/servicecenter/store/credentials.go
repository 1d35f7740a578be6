package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

var _ plugins.Credentials = (*Store)(nil)

// credential is the value of one credential's key.
type credential struct {
	Schema     int      `json:"schema"`
	Roles      []string `json:"roles"`
	Apps       []string `json:"apps,omitempty"`
	Generation string   `json:"generation"`
	Secrets    []secret `json:"secrets"`
	Created    int64    `json:"created"`
	Rotated    int64    `json:"rotated"`
}

type secret struct {
	Hash []byte `json:"sha256"`
	Ends int64  `json:"ends,omitempty"`
}

// decodeCredential also returns the members that this release does not know.
func decodeCredential(kv *mvccpb.KeyValue) (c plugins.Credential, unknown string, ok bool) {
	var v credential
	id := strings.TrimPrefix(string(kv.Key), keys.CredentialPrefix)
	unknown, err := decode(kv.Value, &v)
	if err != nil || v.Schema != heartbeat.Schema || v.Generation == "" || !mp1.ValidID(id) {
		return plugins.Credential{}, "", false
	}
	c = plugins.Credential{ID: id, Roles: v.Roles, Apps: v.Apps, Generation: v.Generation, Created: v.Created, Rotated: v.Rotated, At: heartbeat.Revision(kv.ModRevision)}
	for _, s := range v.Secrets {
		if len(s.Hash) != sha256.Size {
			return plugins.Credential{}, "", false
		}
		c.Secrets = append(c.Secrets, plugins.Secret{Hash: [sha256.Size]byte(s.Hash), Ends: s.Ends})
	}
	return c, unknown, true
}

func encodeCredential(c plugins.Credential) (string, error) {
	v := credential{Schema: heartbeat.Schema, Roles: c.Roles, Apps: c.Apps, Generation: c.Generation, Created: c.Created, Rotated: c.Rotated}
	for _, s := range c.Secrets {
		v.Secrets = append(v.Secrets, secret{s.Hash[:], s.Ends})
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// SaveCredential implements plugins.Credentials.
func (s *Store) SaveCredential(ctx context.Context, c plugins.Credential) (heartbeat.Revision, error) {
	value, err := encodeCredential(c)
	if err != nil {
		return 0, err
	}
	key, class := keys.CredentialPrefix+c.ID, quota.Grow
	if c.At != 0 {
		class = quota.Change
	}
	return s.put(ctx, class, key, c.At, value)
}

// EraseCredential implements plugins.Credentials.
func (s *Store) EraseCredential(ctx context.Context, id string, at heartbeat.Revision) (heartbeat.Revision, error) {
	key := keys.CredentialPrefix + id
	return s.writeAt(ctx, quota.Free, key, at, clientv3.OpDelete(key))
}

// Credential implements plugins.Credentials. The revision of what cannot be read lets it be
// replaced or erased.
func (s *Store) Credential(ctx context.Context, id string) (plugins.Credential, error) {
	kv, err := s.one(ctx, keys.CredentialPrefix+id)
	if kv == nil || err != nil {
		return plugins.Credential{}, err
	}
	c, ok := s.readCredential(kv)
	if !ok {
		c = plugins.Credential{ID: id, At: heartbeat.Revision(kv.ModRevision)}
	}
	return c, nil
}

// readCredential reads a value that may be written again.
func (s *Store) readCredential(kv *mvccpb.KeyValue) (plugins.Credential, bool) {
	c, unknown, ok := decodeCredential(kv)
	if ok {
		s.unknown.setRead(kv, unknown)
	}
	return c, ok
}

// Credentials lists all of them.
func (s *Store) Credentials(ctx context.Context) (all []plugins.Credential, err error) {
	_, err = s.listCredentials(ctx, func(some []plugins.Credential, _ heartbeat.Revision) { all = some })
	return all, err
}

func (s *Store) listCredentials(ctx context.Context, load func([]plugins.Credential, heartbeat.Revision)) (heartbeat.Revision, error) {
	var all []plugins.Credential
	at, err := s.each(ctx, keys.CredentialPrefix, 0, func(kv *mvccpb.KeyValue) {
		if c, ok := s.readCredential(kv); ok {
			all = append(all, c)
		}
	})
	if err == nil {
		load(all, heartbeat.Revision(at))
	}
	return heartbeat.Revision(at), err
}

// credentialIntervals are shorter than those of other readers: a token must not outlive its
// credential because a watch broke unnoticed.
var credentialIntervals = watchIntervals{ask: 500 * time.Millisecond, stall: 1500 * time.Millisecond}

// FollowCredentials implements plugins.Credentials.
func (s *Store) FollowCredentials(ctx context.Context, load func([]plugins.Credential, heartbeat.Revision),
	see func(plugins.Credential, bool), current func(time.Time), failed func(reason string, err error),
) {
	p := &progress{behind: make(chan struct{}, 1), advanced: make(chan struct{}, 1)}
	var intervals watchIntervals
	if !s.client.Embedded() { // whose only writer is this process
		intervals = credentialIntervals
		var confirms sync.WaitGroup
		defer confirms.Wait()
		confirms.Go(func() { s.confirm(ctx, p, current) })
	}
	s.follow(ctx, watchRange{name: "credentials", from: keys.CredentialPrefix, end: keys.CredentialsEnd, behind: p.behind, intervals: intervals,
		load: func(ctx context.Context) (heartbeat.Revision, error) {
			at, err := s.listCredentials(ctx, load)
			if err == nil {
				p.set(at)
			}
			return at, err
		},
		loaded: func() {}, restored: func() { p.set(0) }, // the reader tells by the list's revision
		see: func(events []*clientv3.Event, at heartbeat.Revision) {
			for _, ev := range events {
				s.showCredential(ev, see)
			}
			p.set(at)
		},
	}, failed)
}

// showCredential shows a write. A credential that cannot be read is one that was erased: the
// one that was there before must not go on.
func (s *Store) showCredential(ev *clientv3.Event, see func(plugins.Credential, bool)) {
	if ev.Type == mvccpb.PUT {
		if c, ok := s.readCredential(ev.Kv); ok {
			see(c, false)
			return
		}
	}
	key := string(ev.Kv.Key)
	s.unknown.set(key, ev.Kv.ModRevision, "")
	see(plugins.Credential{ID: strings.TrimPrefix(key, keys.CredentialPrefix), At: heartbeat.Revision(ev.Kv.ModRevision)}, true)
}

// progress is how far a reader was shown the store.
type progress struct {
	at       atomic.Int64
	behind   chan struct{} // told when the store is ahead of that
	advanced chan struct{} // told when it was shown more
}

func (p *progress) set(at heartbeat.Revision) {
	p.at.Store(int64(at))
	signal(p.advanced)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// confirm calls current with the time of each linearizable read up to whose revision the
// reader was shown everything. A watch alone proves nothing: a member of a cluster that is
// cut off from the others goes on serving it.
func (s *Store) confirm(ctx context.Context, p *progress, current func(asOf time.Time)) {
	pause := time.NewTicker(credentialIntervals.ask)
	defer pause.Stop()
	for ctx.Err() == nil {
		asOf := time.Now()
		if head, err := s.headWithin(ctx, credentialIntervals.stall); err == nil && p.shownUpTo(ctx, int64(head)) {
			current(asOf)
		}
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

// shownUpTo waits until a reader was shown everything up to a revision, for as long as a
// watch may be silent.
func (p *progress) shownUpTo(ctx context.Context, head int64) bool {
	wait := time.NewTimer(credentialIntervals.stall)
	defer wait.Stop()
	for p.at.Load() < head {
		signal(p.behind)
		select {
		case <-p.advanced:
		case <-wait.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *Store) headWithin(ctx context.Context, most time.Duration) (heartbeat.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return s.client.Head(ctx)
}
