package heartbeat

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	sweepEvery = 30 * time.Second // ± 20 %
	pulseEvery = time.Second      // at most; a quarter of the hold if that is shorter
)

// Run drives the engine until ctx ends, and returns when all its work has ended.
func (e *Engine) Run(ctx context.Context) {
	defer e.stop()
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){e.tick, e.pulses, e.sweeps} {
		loops.Go(func() { loop(ctx) })
	}
	loops.Wait()
}

// changeGate replaces the gate by a changed copy.
func (e *Engine) changeGate(change func(*Gate)) {
	e.gateMu.Lock()
	defer e.gateMu.Unlock()
	g := *e.gate.Load()
	change(&g)
	e.gate.Store(&g)
}

func (e *Engine) disturb(reason string) {
	e.changeGate((*Gate).Disturb)
	e.Hooks.Disturbed(reason)
}

// doubt is a disturbance that many may notice at once; once a second is enough.
func (e *Engine) doubt(reason string) {
	if g := e.gate.Load(); !g.Suspected || g.Credited-g.SuspectAt >= maxSilence {
		e.disturb(reason)
	}
}

// tick credits running time and moves every absence on.
func (e *Engine) tick(ctx context.Context) {
	t := time.NewTicker(Tick)
	defer t.Stop()
	last, _ := e.Clock()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now, wall := e.Clock()
		e.changeGate(func(g *Gate) { g.Pass(now - last) })
		if now-last > maxSilence {
			e.Hooks.Disturbed("pause")
		}
		last = now
		if began := e.pulse.Load(); began != 0 && now-Instant(began) > maxSilence {
			e.disturb("store")
			e.pulse.CompareAndSwap(began, int64(now)) // once per second of silence, unless it just ended
		}
		if !e.ready.Load() {
			continue
		}
		e.chase(now, wall)
		if n%10 == 0 {
			e.retain(now, wall)
		}
	}
}

// chase refutes or claims the absent.
func (e *Engine) chase(now Instant, wall int64) {
	for _, en := range e.members(e.absent) {
		en.mu.Lock()
		switch en.attend(now, &e.Policy, en.underway) {
		case refuting:
			e.refute(en, now)
		case claiming:
			e.pursue(en, e.input(en, now, wall))
		}
		en.mu.Unlock()
	}
}

// retain removes what has been SUSPENDED for too long, but not amid a mass of ends.
func (e *Engine) retain(now Instant, wall int64) {
	if e.Policy.DeregisterAfter <= 0 || e.massive() {
		return
	}
	for _, en := range e.members(e.suspended) {
		en.mu.Lock()
		due := e.Policy.due(e.input(en, now, wall), &en.view.Record)
		en.mu.Unlock()
		if due {
			e.mend(en, &RetentionFlow{})
		}
	}
}

func (e *Engine) members(set map[ID]*entry) []*entry {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(set) == 0 {
		return nil
	}
	out := make([]*entry, 0, len(set))
	for _, en := range set {
		out = append(out, en)
	}
	return out
}

// pulses asks the store whether it answers and takes writes.
func (e *Engine) pulses(ctx context.Context) {
	t := time.NewTicker(min(pulseEvery, max(e.Policy.Hold/4, Tick)))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		began, _ := e.Clock()
		e.pulse.Store(int64(began))
		full, err := e.Store.Pulse(ctx)
		e.pulse.Store(0)
		now, _ := e.Clock()
		if ctx.Err() != nil {
			return
		}
		if err != nil || now-began > maxSilence {
			e.disturb("store")
		}
		if err == nil && (full || e.gate.Load().Full) {
			e.changeGate(func(g *Gate) { g.SetFull(full) })
		}
	}
}

// Sweep asks for a sweep now.
func (e *Engine) Sweep() {
	select {
	case e.sweep <- struct{}{}:
	default:
	}
}

// sweeps compares all records with all projections now and then, so that nothing
// the watch missed is lost.
func (e *Engine) sweeps(ctx context.Context) {
	for {
		spread := rand.Int64N(int64(sweepEvery) * 2 / 5)
		t := time.NewTimer(sweepEvery*4/5 + time.Duration(spread))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-e.sweep:
			t.Stop()
		case <-t.C:
		}
		if !e.ready.Load() {
			continue
		}
		all, _, err := e.list(ctx, func() {})
		if err != nil {
			continue // the pulse tells of a silent store; the next sweep looks again
		}
		for i := range all {
			e.inspect(&all[i])
		}
		e.purge()
	}
}

// inspect repairs what the sweep found unlike its record.
func (e *Engine) inspect(l *Listed) {
	rec, p := &l.Record, l.Projection
	absent := !p.Present()
	switch {
	case absent && rec.Expires(): // a silence: refuted or claimed, not repaired
	case !l.Exists(), absent, p.Differs, p.Lease != rec.Lease:
		e.mend(e.enter(l.ID), &RepairFlow{ID: l.ID, Differs: p.Revision})
	}
}
