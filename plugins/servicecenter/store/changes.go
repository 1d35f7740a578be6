package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Changes implements heartbeat.Store. What ServiceComb shows of the instances is compared with
// the records as after a list, but only where something was written, and it costs what was
// written, a part at a time. A walk through all keys goes on besides, a few at a time, with each last
// part: if it finds an instance that is not as its record says, although nothing was written since that
// was so, a list is due.
func (s *Store) Changes(ctx context.Context, since heartbeat.Revision, also []heartbeat.ID) ([]heartbeat.Listed, heartbeat.Revision, error) {
	if s.repairs != nil && s.repairs.again.Swap(false) {
		return nil, 0, fmt.Errorf("%w: something was not put right", heartbeat.ErrForgotten)
	}
	if failpoint.On && failpoint.Armed("list.mid-range") {
		return nil, 0, heartbeat.ErrForgotten // so that there are lists
	}
	ctx, held := s.client.Readers.Within(ctx)
	defer held.Done()
	t := newTouched(s)
	for _, id := range also {
		t.ids[id] = struct{}{}
	}
	last, all, err := s.readHistory(ctx, int64(since), t.written)
	if err != nil {
		return nil, 0, err
	}
	t.at = last.of
	walk := s.history.walked()
	if all {
		if err := walk.next(ctx, t); err != nil {
			return nil, 0, err
		}
	}
	l, err := t.judge(ctx)
	if errors.Is(err, heartbeat.ErrForgotten) {
		s.history.walkOn(walk) // the list that is due shows what it led to
	}
	if err != nil {
		return nil, 0, err
	}
	s.client.Lineage.Advance(t.at)
	if err := s.repairs.begin(ctx, s, l); err != nil {
		return nil, 0, err
	}
	s.history.walkOn(walk)
	s.history.follow(last)
	return l.all, heartbeat.Revision(t.at), nil
}

// judge reads what is needed to judge what was touched.
func (t *touched) judge(ctx context.Context) (*listing, error) {
	if err := t.complete(ctx); err != nil {
		return nil, err
	}
	return t.listing()
}

// listing is what was touched, in the form of a list.
func (t *touched) listing() (*listing, error) {
	l := t.newListing(t.view)
	l.at = t.at
	t.view.each(keys.RecordPrefix, l.addRecord)
	for id := range t.ids {
		if _, there := l.index[id]; !there {
			t.renames.gone(id, heartbeat.Revision(t.at))
		}
	}
	t.unreadable.changed(t.log, t.ids, l.bad)
	t.view.each(keys.InstancePrefix, l.addInstance)
	l.judgeAbsent()
	t.unreadable.undescribed(t.log, t.ids, l.opaque)
	shown := map[heartbeat.ID]bool{}
	for i := range l.all {
		shown[l.all[i].ID] = true
		if _, walked := t.walked[l.all[i].ID]; walked && l.all[i].Unlike() {
			return nil, fmt.Errorf("%w: an instance is not as its record says", heartbeat.ErrForgotten)
		}
	}
	for id := range t.ids {
		if !shown[id] {
			l.all = append(l.all, heartbeat.Listed{ID: id})
		}
	}
	return l, nil
}

// getMany reads keys as of the revision, in few calls.
func (t *touched) getMany(ctx context.Context, wanted []string) error {
	for some := range slices.Chunk(wanted, repairBatch) {
		var ops []clientv3.Op
		for _, key := range some {
			ops = append(ops, clientv3.OpGet(key, clientv3.WithRev(t.at)))
		}
		res, err := t.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		for i, key := range some {
			t.view[key] = nil
			if kvs := res.Responses[i].GetResponseRange().Kvs; len(kvs) == 1 {
				t.view[key] = kvs[0]
			}
		}
	}
	return nil
}
