package heartbeat

import (
	"context"
	"sync"
	"time"
)

// What another replica hears, only the store can tell here: when the lease was renewed. That is
// asked for those who look, and for as long as they do; no decision rests on it.

const (
	// lookAgain is how long the age of a lease is not asked again. When a heartbeat is due, it is asked
	// for everybody who looks; when the instance would be late, it is believed for looksTrue.
	lookAgain = time.Second
	looksTrue = 3 * time.Second
	// lookFailed is how long nothing is asked of a lease whose age nobody can tell, as for a while after
	// a change of etcd's leader.
	lookFailed = 3 * time.Second
	// What one look costs at most: leases that are asked, at once, and time.
	mostLooks   = 500
	looksAtOnce = 32
	lookTime    = 250 * time.Millisecond
	// lookBlur is by how much the age of a lease may be too high: etcd tells whole seconds that are
	// left.
	lookBlur = time.Second
)

// lookedAt is what the store said of a lease.
type lookedAt struct {
	lease   LeaseID
	known   bool
	renewed Mono // not later than that, and at most lookBlur and a call earlier
	asked   Mono
}

// Look asks the store for the age of leases that others renew, as far as it is not known: Vitals and
// Survey tell of it. It returns in bounded time, and need not have asked for all.
func (e *Engine) Look(ctx context.Context) {
	if e.Alone || !e.looking.TryLock() {
		return
	}
	defer e.looking.Unlock()
	now, _ := e.now()
	var lateOnes, others []*entry // those that are late come first
	for _, en := range e.entriesBut(nil) {
		en.mu.Lock()
		due, late := en.lookDue(now)
		en.mu.Unlock()
		switch {
		case due && late && len(lateOnes) < mostLooks:
			lateOnes = append(lateOnes, en)
		case due && !late && len(others) < mostLooks:
			others = append(others, en)
		}
	}
	all := append(lateOnes, others...)
	e.lookAt(ctx, all[:min(len(all), mostLooks)]...)
}

// LookAt does the same for one instance.
func (e *Engine) LookAt(ctx context.Context, id ID) {
	en := e.entry(id)
	if en == nil || e.Alone {
		return
	}
	now, _ := e.now()
	en.mu.Lock()
	due, _ := en.lookDue(now)
	en.mu.Unlock()
	if due {
		e.lookAt(ctx, en)
	}
}

func (e *Engine) lookAt(ctx context.Context, entries ...*entry) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	work := make(chan *entry, len(entries))
	for _, en := range entries {
		work <- en
	}
	close(work)
	var workers sync.WaitGroup
	for range min(len(entries), looksAtOnce) {
		workers.Go(func() {
			for en := range work {
				if ctx.Err() != nil {
					return
				}
				e.lookAtOne(ctx, en)
			}
		})
	}
	workers.Wait()
}

func (e *Engine) lookAtOne(ctx context.Context, en *entry) {
	en.mu.Lock()
	l := en.view.Record.Lease
	en.mu.Unlock()
	before, _ := e.now() // the reply says how old the lease was later
	age, err := e.Store.Age(ctx, l)
	if err != nil && ctx.Err() != nil {
		return
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	en.trace.looked = &lookedAt{lease: l, known: err == nil, renewed: before - Mono(age), asked: before}
}

// heardElsewhere says whether the instance lives, and nobody here can tell how long it has been
// silent; en.mu is held.
func (en *entry) heardElsewhere(now Mono) bool {
	r, l := &en.view.Record, &en.local
	return en.view.Exists() && r.Expires() && en.view.Projection.Present() && (!l.hasEvidence || isLate(now.Sub(l.EvidenceAt), r))
}

// lookDue says whether the store is to be asked for the age of the lease, and whether the instance is
// late by what was said last; en.mu is held.
func (en *entry) lookDue(now Mono) (due, late bool) {
	if !en.heardElsewhere(now) {
		return false, false
	}
	k, r := en.trace.looked, &en.view.Record
	switch {
	case k == nil || k.lease != r.Lease:
		return true, false
	case !k.known:
		return now.Sub(k.asked) >= lookFailed, false
	}
	age := now.Sub(k.renewed)
	return age >= r.interval() && now.Sub(k.asked) >= lookAgain, isLate(age, r)
}

// look adds to v what the store said of the lease; en.mu is held.
func (en *entry) look(v *Vitals, h *Health, now Mono, wall int64) {
	k, r := en.trace.looked, &en.view.Record
	if k == nil || k.lease != r.Lease || !k.known || !en.heardElsewhere(now) {
		return
	}
	age := now.Sub(k.renewed)
	if isLate(age, r) && now.Sub(k.asked) >= looksTrue {
		return // it may have been renewed since
	}
	silence := max(age-lookBlur, 0)
	v.Watched, v.Estimated, v.Missed, v.Late = true, true, int(silence/r.interval()), isLate(silence, r)
	v.Left, v.Deadline = r.window()-age, wall+int64(r.window()-age)
	if h.Credited.Sub(en.local.leasedAt) >= age+moverSlack { // only a heartbeat can have renewed it then
		v.LastBeat = max(v.LastBeat, wall-int64(age))
	}
}
