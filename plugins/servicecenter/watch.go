package servicecenter

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
)

const reloadPause = 500 * time.Millisecond

// pace is how often a watch asks for progress, and after how much silence it is
// given up.
type pace struct{ ask, stall time.Duration }

var usualPace = pace{ask: 5 * time.Second, stall: 15 * time.Second}

// Follow loads the engine and shows it every write until ctx ends. Records and
// projections come through one watch over the range that holds both, for two
// watches would have no order between them. Whatever breaks the watch (compaction,
// a closed channel, silence, a store that went back in time) leads to a new list.
// failed is told what did.
func (s *Store) Follow(ctx context.Context, e *heartbeat.Engine, failed func(reason string, err error)) {
	var seen heartbeat.Revision
	for ctx.Err() == nil {
		at, err := e.Load(ctx)
		if err == nil && at < seen {
			e.Restored()
			at, err = e.Load(ctx)
		}
		if err == nil {
			err = s.loadReplicas(ctx, int64(at))
		}
		if err != nil {
			failed("list", err)
		} else {
			seen = at
			e.Sweep()
			err = s.watch(ctx, e, &seen, s.pace)
			failed("watch", err)
		}
		if errors.Is(err, errRestored) {
			e.Restored()
			seen = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadPause):
		}
	}
}

// watch shows the engine what is written from revision at on, and keeps at up to
// date. What was written at it is shown twice, which the engine does not mind.
func (s *Store) watch(ctx context.Context, e *heartbeat.Engine, at *heartbeat.Revision, p pace) error {
	w := watched{name: "engine", from: instancePrefix, end: watchedEnd, broken: s.lineage.broken}
	return s.watchRange(ctx, w, at, p, func(events []*clientv3.Event) {
		s.replicas.see(events)
		s.lineage.reach(int64(*at))
		e.See(s.sights(events), *at)
	})
}

// watched is a range of keys that one reader follows.
type watched struct {
	name      string // of the reader
	from, end string
	broken    <-chan struct{} // ends the watch with errRestored; may be nil
}

// watchRange shows what is written from revision at on, until something breaks the
// watch, and keeps at up to date. It begins at what is known already: etcd answers no
// request for progress of a watch that starts behind the newest revision, so that a
// watch from at+1 would fall silent on an idle store.
func (s *Store) watchRange(ctx context.Context, w watched, at *heartbeat.Revision, p pace, see func([]*clientv3.Event)) error {
	// The extra word makes it a stream of its own: one that others share tells of
	// progress only when none of them lags.
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), "mep-watch", w.name))
	defer cancel()
	events := s.client.Watch(ctx, w.from, clientv3.WithRange(w.end), clientv3.WithRev(int64(*at)))
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
		case <-w.broken:
			return errRestored
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
			*at = max(*at, complete(&res))
			see(res.Events)
		}
	}
}

// complete is the revision up to which nothing is missing. The header of a response
// with events may be far ahead of them: etcd sends a watch that fell behind its
// events in portions, each under the newest revision.
func complete(res *clientv3.WatchResponse) heartbeat.Revision {
	if n := len(res.Events); n > 0 {
		return heartbeat.Revision(res.Events[n-1].Kv.ModRevision)
	}
	if res.IsProgressNotify() {
		return heartbeat.Revision(res.Header.Revision)
	}
	return 0
}

// askProgress has a bound of its own: while the client is connecting anew it takes
// no request, and silence is to be noticed all the same. ctx must be the watch's.
func (s *Store) askProgress(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout/2)
	defer cancel()
	_ = s.client.RequestProgress(ctx)
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
