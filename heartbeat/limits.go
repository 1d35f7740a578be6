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
	runTimeEvery = time.Second
)

// pacer spreads work.
type pacer struct {
	mu   sync.Mutex
	next Mono
}

// turn says whether there may be another piece now. A tick's worth is saved up at most.
func (p *pacer) turn(now Mono, gap time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = max(p.next, now-Mono(Tick))
	if p.next > now {
		return false
	}
	p.next += Mono(gap)
	return true
}

// watchSilence has a living instance looked at when its silence may matter; en.mu is held.
func (e *Engine) scheduleSilence(en *entry) {
	e.schedule.put(&e.schedule.silences, en, int64(en.nextSilenceCheck(&e.Policy, e.health.Load())))
}

// attendLiving looks at the silence of an instance whose lease lives; en.mu is held.
func (e *Engine) handleLiving(en *entry, now Mono) {
	g := e.health.Load()
	at, expires := en.local.expireAt(&e.Policy, g, &en.view.Snapshot)
	switch {
	case en.repairing:
	case expires && g.Credited >= at:
		e.startRepair(en, &ExpireFlow{})
	default:
		e.keepSilence(en, now, g)
	}
	e.scheduleSilence(en)
}

// keepSilence has the record keep a silence that has lasted; en.mu is held. A replica of
// the release before would not end it with a heartbeat: beside one, nothing is kept.
func (e *Engine) keepSilence(en *entry, now Mono, g *Health) {
	gap := keepGap
	if !e.Alone {
		gap = keepGapAmong
	}
	if en.repairing || !en.local.keepDue(g, &en.view.Record) || !e.Alone && !e.peers.allEndSilences() || !e.silenceLimit.turn(now, gap) {
		return
	}
	e.startRepair(en, &SilenceFlow{})
}

// tellRunTime tells how long the platform has run, over all its starts, until ctx ends.
// Nothing waits for it: a disk may hang.
func (e *Engine) saveRunTime(ctx context.Context) {
	if e.SaveRunTime == nil {
		return
	}
	t := time.NewTicker(runTimeEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if g := e.health.Load(); g.Loaded {
			e.SaveRunTime(g.RunTimeBefore + time.Duration(g.Credited))
		}
	}
}
