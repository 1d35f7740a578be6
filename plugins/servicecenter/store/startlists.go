package store

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// mostSharing is how long the lists of a start are shared, if one of them does not come.
const mostSharing = time.Minute

// startLists is what the first lists of the engine, of the history and of the outbox share. They are
// of one revision, and what two of them need is read and decoded once. Without it a start would read
// all records and all events twice. A nil receiver shares nothing.
type startLists struct {
	store *Store
	early *Early // nil: the store is asked for everything
	late  *time.Timer

	mu      sync.Mutex
	over    bool
	at      int64
	reads   *etcd.Reader
	joined  [sharers]bool
	left    int
	records shared[[]heartbeat.Listed]
	events  shared[[]plugins.OutboxWrite]
}

// sharer is one of those who list.
type sharer int

const (
	engineList sharer = iota
	historyList
	outboxList
	sharers
)

// shared is what one reads for two. done is closed once value is there, or err says that it is not.
type shared[T any] struct {
	begun bool
	done  chan struct{}
	value T
	err   error
}

// ShareStart has the first lists be shared. It is called before anybody follows, where engine,
// history and outbox all will be. early, unless it is nil, is what the store was opened with.
func (s *Store) ShareStart(early *Early) {
	st := &startLists{store: s, early: early, left: int(sharers)}
	st.records.done, st.events.done = make(chan struct{}), make(chan struct{})
	s.starting.Store(st)
	st.late = time.AfterFunc(mostSharing, st.end)
}

// joinStart returns what is shared, to each who lists once; leave must follow.
func (s *Store) joinStart(ctx context.Context, who sharer) (*startLists, error) {
	st := s.starting.Load()
	if st == nil {
		return nil, nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over || st.joined[who] {
		return nil, nil
	}
	if st.at == 0 {
		at, err := s.client.Head(ctx)
		if err != nil {
			return nil, err
		}
		st.at, st.reads = int64(at), s.client.Readers.Add(int64(at))
	}
	st.joined[who] = true
	return st, nil
}

// leave says that one has listed, or failed to: he lists by himself from now on.
func (st *startLists) leave() {
	if st == nil {
		return
	}
	st.mu.Lock()
	st.left--
	over := st.left == 0
	st.mu.Unlock()
	if over {
		st.end()
	}
}

// end lets go what is shared.
func (st *startLists) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return
	}
	st.over = true
	st.late.Stop() // which would keep all of it
	st.store.starting.CompareAndSwap(st, nil)
	st.reads.Done()
	if !st.records.begun {
		st.records.begun, st.records.err = true, heartbeat.ErrUnavailable
		close(st.records.done)
	}
}

// revision is that of all shared lists; 0: nothing is shared.
func (st *startLists) revision() int64 {
	if st == nil {
		return 0
	}
	return st.at
}

// offer gives the records that the engine's list has read to the history's.
func (st *startLists) offer(all []heartbeat.Listed, err error) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.records.begun {
		st.records.begun, st.records.value, st.records.err = true, all, err
		close(st.records.done)
	}
}

// listed are the records of the engine's list. An error says that they are to be read.
func (st *startLists) listed(ctx context.Context) ([]heartbeat.Listed, error) {
	select {
	case <-st.records.done:
		return st.records.value, st.records.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// outboxEvents are all events of changes of services, also those that consumers are not told.
func (s *Store) outboxEvents(ctx context.Context, st *startLists, at int64) ([]plugins.OutboxWrite, int64, error) {
	if st == nil {
		return s.readEvents(ctx, nil, at)
	}
	st.mu.Lock()
	first := !st.events.begun
	st.events.begun = true
	st.mu.Unlock()
	if first {
		st.events.value, _, st.events.err = s.readEvents(ctx, st.early, st.at)
		close(st.events.done)
		return st.events.value, st.at, st.events.err
	}
	select {
	case <-st.events.done:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if st.events.err != nil {
		return s.readEvents(ctx, nil, st.at)
	}
	return st.events.value, st.at, nil
}

// found is what was found early; nil: nothing.
func (st *startLists) found() *Early {
	if st == nil {
		return nil
	}
	return st.early
}

// eachEarly is each, for one of the prefixes that may have been found early. If it was, expect is called
// before f with how many there are.
func (s *Store) eachEarly(ctx context.Context, early *Early, prefix string, at int64, expect func(int), f func(*mvccpb.KeyValue)) (int64, error) {
	if early != nil {
		if all, ok := early.List(ctx, s.client, prefix, at); ok {
			expect(len(all))
			etcd.ReaderIn(ctx).Begin(at)
			for _, kv := range all {
				f(kv)
			}
			return at, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err // what was found early may just be decoded
		}
	}
	return s.each(ctx, prefix, at, f)
}

func (s *Store) readEvents(ctx context.Context, early *Early, at int64) (all []plugins.OutboxWrite, _ int64, err error) {
	at, err = s.eachEarly(ctx, early, keys.OutboxPrefix, at, func(n int) { all = make([]plugins.OutboxWrite, 0, n) }, func(kv *mvccpb.KeyValue) {
		e := early.event(kv) // the reader counts what cannot be read
		all = append(all, plugins.OutboxWrite{Kind: plugins.EventWritten, Name: string(kv.Key), At: heartbeat.Revision(kv.ModRevision), Event: e})
	})
	return all, at, err
}
