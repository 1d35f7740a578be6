package heartbeat

import (
	"context"
	"sync"
	"time"
)

const (
	pulseEvery = time.Second // at most; a quarter of the hold if that is shorter
	// runTimeEvery is how often the run time is saved; what is lost of it counts for nothing.
	runTimeEvery = time.Second
)

// Run drives the engine until ctx ends, and returns when all its work has ended.
func (e *Engine) Run(ctx context.Context) {
	defer e.stopWork()
	go e.saveRunTime(ctx)
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){e.ticks, e.pulses, e.sweeps, e.noteDisturbances} {
		loops.Go(func() { loop(ctx) })
	}
	loops.Wait()
}

// updateHealth replaces the health by a changed copy.
func (e *Engine) updateHealth(change func(*Health)) {
	e.healthMu.Lock()
	defer e.healthMu.Unlock()
	h := *e.health.Load()
	full := h.Full
	change(&h)
	if h.Full && !full {
		_, wall := e.now()
		e.fullSince.Store(wall)
	}
	e.health.Store(&h)
}

func (e *Engine) disturb(reason string) {
	e.updateHealth((*Health).Disturb)
	e.disturbed(reason)
}

// disturbed follows a disturbance.
func (e *Engine) disturbed(reason string) {
	e.noteDoubt(reason)
	e.queueNotice(func() { e.Hooks.Disturbed(reason) })
	select {
	case e.disturbances <- struct{}{}:
	default:
	}
}

// noteDisturbances has every absence that waits take notice of a disturbance.
func (e *Engine) noteDisturbances(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.disturbances:
		}
		for _, en := range e.schedule.absences() {
			en.mu.Lock()
			if en.status == absent {
				en.local.noteDisturbance(e.health.Load())
			}
			en.mu.Unlock()
		}
	}
}

// disturbOnce is a disturbance that many may notice at once; once a second is enough.
func (e *Engine) disturbOnce(reason string) {
	if h := e.health.Load(); !h.Disturbed || h.Credited.Sub(h.DisturbedAt) >= maxSilence {
		e.disturb(reason)
	}
}

// every calls f in intervals of d until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// ticks ticks until ctx ends: ten times a second, and when something is due of which the moment counts.
func (e *Engine) ticks(ctx context.Context) {
	last, _ := e.now()
	steady, early := time.NewTicker(Tick), time.NewTimer(Tick)
	defer steady.Stop()
	defer early.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.schedule.wake: // it is due before early
		case <-steady.C:
			last = e.tick(last)
			if e.ready.Load() {
				e.publishIfDue(last)
			}
		case <-early.C:
			last = e.tick(last)
		}
		early.Reset(e.nextTick(last))
	}
}

// nextTick is when a tick is to come before the next of the steady ones.
func (e *Engine) nextTick(last Mono) time.Duration {
	due := Credit(e.schedule.next()).Sub(e.health.Load().Credited)
	if due >= Tick || !e.ready.Load() {
		return time.Hour // none
	}
	now, _ := e.now()
	return max(due, shortTick) - now.Sub(last)
}

// tick credits the running time since the last one and hands what is due to the workers.
func (e *Engine) tick(last Mono) Mono {
	now, wall := e.now()
	if e.Receiving() {
		e.updateHealth(func(h *Health) { h.AddTime(now.Sub(last)) })
	}
	if now.Sub(last) > maxSilence {
		e.disturbed("pause")
	}
	e.meter.tick(now, e.beats.Load())
	if began := e.pulseBegan.Load(); began != 0 && now.Sub(Mono(began)) > maxSilence {
		e.disturb("store")
		e.pulseBegan.CompareAndSwap(began, int64(now)) // once per second without a reply, unless it just came
	}
	if e.ready.Load() {
		e.handleAllDue(now, wall)
	}
	return now
}

// pulses asks the store again and again whether it replies and takes writes.
func (e *Engine) pulses(ctx context.Context) {
	every(ctx, min(pulseEvery, max(e.Policy.Hold/4, Tick)), func() {
		began, _ := e.now()
		e.pulseBegan.Store(int64(began))
		full, err := e.Store.Pulse(ctx)
		e.pulseBegan.Store(0)
		now, _ := e.now()
		if ctx.Err() != nil {
			return
		}
		if err != nil || now.Sub(began) > maxSilence {
			e.disturb("store")
		}
		if err == nil {
			e.answered.Store(int64(now))
		}
		if err == nil && (full || e.health.Load().Full) {
			e.updateHealth(func(h *Health) { h.SetFull(full) })
		}
		if h := e.health.Load(); !h.Full {
			e.schedule.release(&e.schedule.awaitingSpace, h.Credited)
		}
	})
}

// saveRunTime has it saved how long the platform has run, over all its starts, until ctx
// ends. A disk may hang, so nothing waits for it.
func (e *Engine) saveRunTime(ctx context.Context) {
	if e.SaveRunTime == nil {
		return
	}
	every(ctx, runTimeEvery, func() {
		if h := e.health.Load(); h.Loaded {
			e.SaveRunTime(h.RunTimeBefore + time.Duration(h.Credited))
		}
	})
}
