package heartbeat

import (
	"context"
	"sync"
	"time"
)

// calling is where every call of the store waits while it is silent, or held back.
func (l *lab) calling(ctx context.Context, what string) error {
	for {
		l.mu.Lock()
		wait := l.silent
		if wait == nil {
			wait = l.held[what]
		}
		failing := l.failing && what == "pulse"
		l.mu.Unlock()
		if failing {
			return errSilent
		}
		if wait == nil {
			return ctx.Err()
		}
		patience := 2 * time.Second
		if what == "watch" {
			patience = time.Hour
		}
		deadline := time.NewTimer(patience)
		select {
		case <-wait:
			deadline.Stop()
		case <-deadline.C:
			return errSilent
		case <-ctx.Done():
			deadline.Stop()
			return ctx.Err()
		}
	}
}

// hold keeps calls of one sort waiting; the function returned lets them go.
func (l *lab) hold(what string) (release func()) {
	c := make(chan struct{})
	l.mu.Lock()
	l.held[what] = c
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		delete(l.held, what)
		l.mu.Unlock()
		close(c)
	}
}

func (l *lab) setSilent(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on {
		l.silent = make(chan struct{})
	} else {
		close(l.silent)
		l.silent = nil
	}
}

// setFailing has pulses fail at once, as where nobody listens any more.
func (l *lab) setFailing(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = on
}

func (l *lab) setFull(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = on
}

func (l *lab) Read(ctx context.Context, id ID) (Snapshot, error) {
	l.mu.Lock()
	l.reads++
	l.reading++
	l.mostReading = max(l.mostReading, l.reading)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.reading--
		l.mu.Unlock()
	}()
	if err := l.calling(ctx, "read"); err != nil {
		return Snapshot{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.snapshot(id), nil
}

func (l *lab) snapshot(id ID) Snapshot {
	s := l.records[id]
	s.Projection = l.projections[id]
	s.Projection.Differs = false
	return s
}

func (l *lab) Commit(ctx context.Context, t *Txn) (Revision, error) {
	if err := l.calling(ctx, "commit"); err != nil {
		return 0, err
	}
	if err := l.write(ctx); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return 0, ErrFull
	}
	id := t.Record.ID
	s := l.snapshot(id)
	if t.RecordRevision != s.At || t.Presence == NoProjection && s.Projection.Present() ||
		t.Presence == ProjectionAt && t.ProjectionRevision != s.Projection.Revision {
		return 0, ErrConflict
	}
	if t.ProjectionOp == Put && t.Record.Lease != 0 && l.leases[t.Record.Lease] == nil {
		return 0, ErrLeaseGone
	}
	l.rev++
	switch t.RecordOp {
	case Put:
		l.records[id] = Snapshot{Record: t.Record, At: l.rev}
	case Erase:
		delete(l.records, id)
	}
	switch t.ProjectionOp {
	case Put:
		l.projections[id] = Projection{Revision: l.rev, Lease: t.Record.Lease}
	case Erase:
		delete(l.projections, id)
	}
	l.commits = append(l.commits, t.Kind)
	if t.Change != NoChange {
		l.outbox = append(l.outbox, *t)
	}
	l.show(t.Observations(l.rev)...)
	return l.rev, nil
}

func (l *lab) show(observations ...Observation) {
	rev := l.rev
	for _, s := range l.replicas {
		s.queue <- func() { s.Observe(observations, rev) }
	}
}

func (l *lab) Grant(ctx context.Context, seconds int) (LeaseID, error) {
	if err := l.calling(ctx, "grant"); err != nil {
		return 0, err
	}
	if err := l.write(ctx); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return 0, ErrFull
	}
	l.lastLease++
	id, ttl := l.lastLease, time.Duration(seconds)*time.Second
	l.leases[id] = &labLease{ttl: ttl, until: time.Now().Add(ttl), timer: time.AfterFunc(ttl+l.late, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.expire(id)
	})}
	return id, nil
}

// expire ends a lease and what hangs on it; l.mu is held.
func (l *lab) expire(id LeaseID) {
	le := l.leases[id]
	if le == nil {
		return
	}
	le.timer.Stop()
	delete(l.leases, id)
	for name, p := range l.projections {
		if p.Lease == id {
			l.erase(name)
		}
	}
}

// erase takes a projection away, as its lease's end or a foreign hand does; l.mu is
// held.
func (l *lab) erase(id ID) {
	l.rev++
	delete(l.projections, id)
	l.show(Observation{ID: id, Revision: l.rev, Projected: true})
}

// revoke ends the lease of an instance falsely.
func (l *lab) revoke(id ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(l.projections[id].Lease)
}

// pauseLeases has no lease end before extend: the store is down.
func (l *lab) pauseLeases() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, le := range l.leases {
		le.timer.Stop()
	}
}

// extend is what a new leader of etcd does at its start: every lease begins anew.
func (l *lab) extend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, le := range l.leases {
		le.until, le.extended = time.Now().Add(le.ttl), true
		le.timer.Reset(le.ttl + l.late)
	}
}

func (l *lab) Renew(ctx context.Context, id LeaseID) (int, error) {
	l.mu.Lock()
	l.renewals[id]++
	l.mu.Unlock()
	if err := l.calling(ctx, "renew"); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.leases[id]
	if le == nil || l.ending == id || l.late > 0 && !time.Now().Before(le.until) {
		return 0, ErrLeaseGone
	}
	le.until, le.extended = time.Now().Add(le.ttl), false
	le.timer.Reset(le.ttl + l.late)
	return int(le.ttl / time.Second), nil
}

func (l *lab) RenewAll(ctx context.Context, leases []LeaseID, done func(i, ttl int, err error)) {
	var work sync.WaitGroup
	var mu sync.Mutex
	for i, id := range leases {
		work.Go(func() {
			ttl, err := l.Renew(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			done(i, ttl, err)
		})
	}
	work.Wait()
}

func (l *lab) Revoke(ctx context.Context, id LeaseID) error {
	if err := l.calling(ctx, "revoke"); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(id)
	return nil
}

// Reserve has the lease end as one that is never ended here, and later than any other.
func (l *lab) Reserve(ctx context.Context, id LeaseID) {
	if l.calling(ctx, "reserve") != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved = append(l.reserved, id)
	if le := l.leases[id]; le != nil && l.late > 0 {
		le.timer.Reset(time.Until(le.until) + l.late + 2*time.Second)
	}
}

func (l *lab) End(ctx context.Context, id LeaseID, t *Txn) (time.Duration, Revision, error) {
	if err := l.calling(ctx, "end"); err != nil {
		return 0, 0, err
	}
	l.mu.Lock()
	l.asked++
	le := l.leases[id]
	switch {
	case le == nil:
		l.mu.Unlock()
		return 0, 0, ErrConflict
	case le.extended:
		l.mu.Unlock()
		return 0, 0, errSilent
	case time.Now().Before(le.until):
		defer l.mu.Unlock()
		return time.Until(le.until), 0, nil
	}
	l.mu.Unlock()
	at, err := l.Commit(ctx, t)
	return 0, at, err
}

func (l *lab) Age(_ context.Context, id LeaseID) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.agesAsked++
	le := l.leases[id]
	if le == nil {
		return 0, ErrLeaseGone
	}
	if le.extended {
		return 0, errSilent
	}
	return le.ttl - time.Until(le.until), nil
}

// ages is how often the age of a lease was asked.
func (l *lab) ages() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agesAsked
}

// Changes knows nothing unless a test says what there is to know.
func (l *lab) Changes(ctx context.Context, since Revision, also []ID) ([]Listed, Revision, error) {
	if err := l.calling(ctx, "list"); err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes == nil {
		return nil, 0, ErrForgotten
	}
	return l.changes(since, also)
}

func (l *lab) List(ctx context.Context) ([]Listed, Revision, error) {
	if err := l.calling(ctx, "list"); err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists++
	var out []Listed
	for id := range l.records {
		s := l.snapshot(id)
		s.Projection.Differs = l.projections[id].Differs
		out = append(out, Listed{ID: id, Snapshot: s})
	}
	for id, p := range l.projections {
		if s := l.records[id]; !s.Exists() {
			out = append(out, Listed{ID: id, Snapshot: Snapshot{Projection: p}})
		}
	}
	return out, l.rev, nil
}

func (l *lab) Head(ctx context.Context) (Revision, error) {
	l.mu.Lock()
	l.heads++
	l.mu.Unlock()
	if err := l.calling(ctx, "head"); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rev, nil
}

func (l *lab) Publish(context.Context, PeerStatus) error {
	panic("a replica publishes by itself")
}

func (l *lab) Pulse(ctx context.Context) (bool, error) {
	if err := l.calling(ctx, "pulse"); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full, nil
}
