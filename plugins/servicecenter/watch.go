package servicecenter

import (
	"bytes"
	"cmp"
	"context"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const reloadPause = 500 * time.Millisecond

// pace is how often a watch asks for progress, and after how much silence it is
// given up.
type pace struct{ ask, stall time.Duration }

var usualPace = pace{ask: 5 * time.Second, stall: 15 * time.Second}

// Follow loads the engine and shows it every write until ctx ends. Records and
// projections come through one watch over the range that holds both, for two
// watches would have no order between them. Whatever breaks the watch (compaction,
// a closed channel, silence) leads to a new list. failed is told what did.
func (s *Store) Follow(ctx context.Context, e *heartbeat.Engine, failed func(reason string, err error)) {
	for ctx.Err() == nil {
		at, err := e.Load(ctx)
		if err == nil {
			err = s.loadReplicas(ctx, int64(at))
		}
		if err != nil {
			failed("list", err)
		} else {
			e.Sweep()
			failed("watch", s.watch(ctx, e, int64(at), usualPace))
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadPause):
		}
	}
}

// watch shows the engine what is written from revision at on. What was written at
// it is shown twice, which the engine does not mind.
func (s *Store) watch(ctx context.Context, e *heartbeat.Engine, at int64, p pace) error {
	return s.watchRange(ctx, instancePrefix, watchedEnd, at, p, func(res clientv3.WatchResponse) {
		s.replicas.see(res.Events)
		e.See(s.sights(res.Events), heartbeat.Revision(res.Header.Revision))
	})
}

// watchRange shows what is written from revision at on, until something breaks the
// watch. It begins at what is known already, for etcd answers no request for progress
// of a watch that starts behind the newest revision, so that a watch from at+1 would
// fall silent on an idle store.
func (s *Store) watchRange(ctx context.Context, from, end string, at int64, p pace, see func(clientv3.WatchResponse)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := s.client.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(at))
	ask := time.NewTicker(p.ask)
	defer ask.Stop()
	stall := time.NewTimer(p.stall)
	defer stall.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
			if err := s.client.RequestProgress(ctx); err != nil {
				return err
			}
		case <-stall.C:
			return errStalled
		case res, ok := <-events:
			switch {
			case !ok:
				return cmp.Or(ctx.Err(), errClosed)
			case res.Err() != nil:
				return res.Err()
			}
			stall.Reset(p.stall)
			see(res)
		}
	}
}

// sights turns events into the engine's words; what is not ours is left out. A
// transaction's record comes before its projections, so that it is known by then
// whether the instance has moved.
func (s *Store) sights(events []*clientv3.Event) []heartbeat.Sight {
	var out []heartbeat.Sight
	for _, ev := range events {
		key := string(ev.Kv.Key)
		one := heartbeat.Sight{Revision: heartbeat.Revision(ev.Kv.ModRevision), Present: ev.Type == mvccpb.PUT}
		switch {
		case strings.HasPrefix(key, recordPrefix):
			one.ID = heartbeat.ID(strings.TrimPrefix(key, recordPrefix))
			if _, _, ok := split(one.ID); !ok {
				continue
			}
			if one.Present {
				r, err := decodeRecord(ev.Kv)
				if err != nil {
					continue // the list leaves it out too
				}
				one.Record = r
				s.moved.note(&r, one.Revision)
			}
		case strings.HasPrefix(key, instancePrefix):
			at, ok := seatIn(key)
			if !ok || one.Present && !bytes.Contains(ev.Kv.Value, []byte(ownerProperty)) {
				continue // a ServiceComb client's own
			}
			id, ok := s.moved.sits(at)
			if !ok {
				continue // it stands elsewhere now
			}
			one.ID, one.Projected, one.Lease = id, true, heartbeat.LeaseID(ev.Kv.Lease)
		default:
			continue
		}
		out = append(out, one)
	}
	return out
}
