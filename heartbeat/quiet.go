package heartbeat

import (
	"context"
	"sync"
	"time"
)

// The engine's part of silences: who is looked at when, and how long this replica ran.

const (
	// keepGap is the least time between two silences that are kept: a mass of them must
	// leave the store room for heartbeats. Among replicas each costs a read besides.
	keepGap      = time.Millisecond
	keepGapAmong = 5 * time.Millisecond
	// ranEvery is how often the run time is kept; what is lost of it counts for nothing.
	ranEvery = time.Second
)

// pacer spreads work.
type pacer struct {
	mu   sync.Mutex
	next Instant // monotonic
}

// turn says whether there may be another piece now. A tick's worth is saved up at most.
func (p *pacer) turn(now, gap Instant) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = max(p.next, now-Tick)
	if p.next > now {
		return false
	}
	p.next += gap
	return true
}

// watchSilence has a living instance looked at when its silence may matter; en.mu is held.
func (e *Engine) watchSilence(en *entry) {
	e.schedule.put(&e.schedule.silences, en, int64(en.lookAt(&e.Policy, e.gate.Load())))
}

// attendLiving looks at the silence of an instance whose lease lives; en.mu is held.
func (e *Engine) attendLiving(en *entry, now Instant) {
	g := e.gate.Load()
	at, expires := en.local.expireAt(&e.Policy, g, &en.view.Snapshot)
	switch {
	case en.mending:
	case expires && g.Credited >= at:
		e.beginMending(en, &ExpireFlow{})
	default:
		e.keepSilence(en, now, g)
	}
	e.watchSilence(en)
}

// keepSilence has the record keep a silence that has lasted; en.mu is held. A replica of
// the release before would not end it with a heartbeat: beside one, nothing is kept.
func (e *Engine) keepSilence(en *entry, now Instant, g *Gate) {
	gap := keepGap
	if !e.Alone {
		gap = keepGapAmong
	}
	if en.mending || !en.local.keepDue(g, &en.view.Record) || !e.Alone && !e.others.keep() || !e.keeps.turn(now, gap) {
		return
	}
	e.beginMending(en, &SilenceFlow{})
}

// tellRunTime tells how long the platform has run, over all its starts, until ctx ends.
// Nothing waits for it: a disk may hang.
func (e *Engine) tellRunTime(ctx context.Context) {
	if e.SaveRunTime == nil {
		return
	}
	t := time.NewTicker(ranEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if g := e.gate.Load(); g.Loaded {
			e.SaveRunTime(g.RanBefore + g.Credited)
		}
	}
}
