package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

const (
	reloadPause    = 500 * time.Millisecond
	minAskInterval = 100 * time.Millisecond // between two questions for progress because heartbeats wait for it
)

// watchIntervals is how often a watch asks for progress, and after how much silence it is
// given up.
type watchIntervals struct{ ask, stall time.Duration }

var defaultIntervals = watchIntervals{ask: 5 * time.Second, stall: 15 * time.Second}

// Follow loads the engine and shows it every write until ctx ends. Records and
// projections come through one watch over the range that holds both, for two
// watches would have no order between them. failed is told why there is a new list.
func (s *Store) Follow(ctx context.Context, e *heartbeat.Engine, failed func(reason string, err error)) {
	s.engine.Store(e)
	s.follow(ctx, s.engineRange(e), failed)
}

// Reload implements plugins.Base.
func (s *Store) Reload() { s.client.Lineage.Break() }

func (s *Store) engineRange(e *heartbeat.Engine) watchRange {
	return watchRange{name: "engine", from: keys.InstancePrefix, end: keys.WatchedEnd, behind: s.behind,
		load: func(ctx context.Context) (heartbeat.Revision, error) {
			at, err := e.Load(ctx)
			if err == nil {
				err = s.loadReplicas(ctx, int64(at), e)
			}
			return at, err
		},
		loaded: e.Sweep,
		see: func(events []*clientv3.Event, at heartbeat.Revision) {
			s.replicas.observe(events, e)
			s.client.Lineage.Advance(int64(at))
			s.shown.Store(int64(at))
			e.Observe(s.observations(events), at)
		},
		restored: func() {
			s.renames.restored()
			e.Restored()
			s.presence.reset()
			s.shown.Store(0)
			s.client.Lineage.Acknowledge()
		},
	}
}

// follow loads the reader and shows it every write until ctx ends. Whatever breaks
// the watch (compaction, a closed channel, silence, a store that went back in time)
// leads to a new list.
func (s *Store) follow(ctx context.Context, w watchRange, failed func(reason string, err error)) {
	var seen heartbeat.Revision
	ends := s.client.Lineage.Broken() // kept until its end was handled, whenever that came
	for ctx.Err() == nil {
		keeping, held := s.client.Readers.Within(ctx)
		at, err := w.load(keeping)
		if err == nil && at < seen {
			w.restored()
			at, err = w.load(keeping)
		}
		if err != nil {
			failed("list", err)
		} else {
			seen = at
			w.loaded()
			err = s.watch(keeping, w, ends, &seen, cmp.Or(w.intervals, s.intervals))
			failed("watch", err)
		}
		held.Done()
		if errors.Is(err, etcd.ErrRestored) {
			ends = s.client.Lineage.Broken() // before the next list: that may be of either history
			w.restored()
			seen = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadPause):
		}
	}
}

// watchRange is a range of keys that one reader follows.
type watchRange struct {
	name      string // of the reader
	from, end string
	load      func(context.Context) (heartbeat.Revision, error)
	loaded    func() // after the list that the watch goes on from
	see       func(events []*clientv3.Event, at heartbeat.Revision)
	restored  func()          // what is loaded next is of an older or another history
	behind    <-chan struct{} // told when the store is ahead of what was shown; may be nil
	intervals watchIntervals  // the store's, if it is zero
}

// watch shows what is written from revision at on, until something breaks the watch,
// and keeps at up to date. It begins at what is known already, which is shown twice:
// etcd answers no request for progress of a watch that starts behind the newest
// revision, so that a watch from at+1 would fall silent on an idle store. ends ends
// it with etcd.ErrRestored.
func (s *Store) watch(ctx context.Context, w watchRange, ends <-chan struct{}, at *heartbeat.Revision, p watchIntervals) error {
	// The extra word makes it a stream of its own: one that others share tells of
	// progress only when none of them lags.
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), "mep-watch", w.name))
	defer cancel()
	reads := s.client.Readers.Add(int64(*at))
	defer reads.Done()
	etcd.ReaderIn(ctx).Done()                 // its list's
	silent := time.AfterFunc(p.stall, cancel) // Watch returns when the server has answered
	events := s.client.Watch(ctx, w.from, clientv3.WithRange(w.end), clientv3.WithRev(int64(*at)))
	if !silent.Stop() {
		return errStalled
	}
	var asked time.Time
	ask := time.NewTicker(p.ask)
	defer ask.Stop()
	stall := time.NewTimer(p.stall)
	defer stall.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
			s.askProgress(ctx)
		case <-w.behind:
			if now := time.Now(); now.Sub(asked) > minAskInterval {
				asked = now
				s.askProgress(ctx)
			}
		case <-ends:
			return etcd.ErrRestored
		case <-stall.C:
			return errStalled
		case res, ok := <-events:
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case !ok:
				return cmp.Or(ctx.Err(), errClosed)
			case res.Err() != nil:
				return res.Err()
			}
			stall.Reset(p.stall)
			*at = max(*at, etcd.CompleteUpTo(&res))
			reads.Advance(int64(*at))
			w.see(res.Events, *at)
		}
	}
}

// askProgress has a bound of its own: while the client is connecting anew it takes
// no request, and silence is to be noticed all the same. ctx must be the watch's.
func (s *Store) askProgress(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout/2)
	defer cancel()
	_ = s.client.RequestProgress(ctx)
}

// observations turns events into the engine's words; what is not ours is left out. A
// transaction's record comes before its projections, so that it is known by then
// whether the instance was renamed.
func (s *Store) observations(events []*clientv3.Event) []heartbeat.Observation {
	n := 0
	for _, ev := range events {
		if bytes.HasPrefix(ev.Kv.Key, []byte(keys.RecordPrefix)) || bytes.HasPrefix(ev.Kv.Key, []byte(keys.InstancePrefix)) {
			n++
		}
	}
	out := make([]heartbeat.Observation, 0, n) // each is large
	for _, ev := range events {
		key := string(ev.Kv.Key)
		one := heartbeat.Observation{Revision: heartbeat.Revision(ev.Kv.ModRevision), Present: ev.Type == mvccpb.PUT}
		switch {
		case strings.HasPrefix(key, keys.RecordPrefix):
			one.ID = heartbeat.ID(strings.TrimPrefix(key, keys.RecordPrefix))
			if _, _, ok := keys.Split(one.ID); !ok {
				continue
			}
			if one.Present {
				r, err := decodeRecord(ev.Kv)
				if one.Unusable = err != nil; !one.Unusable {
					one.Record = r
					s.renames.follow(&r, one.Revision)
				}
			}
		case strings.HasPrefix(key, keys.InstancePrefix):
			at, ok := keys.ParseInstance(key)
			if !ok {
				continue
			}
			id, ok := s.renames.idAt(at)
			if !ok {
				continue // it belongs to another microservice now
			}
			one.ID, one.Projected, one.Lease = id, true, heartbeat.LeaseID(ev.Kv.Lease)
			if one.Present && !bytes.Contains(ev.Kv.Value, []byte(ownerProperty)) {
				one.Present, one.Unusable = false, true // a ServiceComb client's own, or ours overwritten
			}
		default:
			continue
		}
		out = append(out, one)
	}
	return out
}
