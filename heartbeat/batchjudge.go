package heartbeat

import "time"

// judgeAll takes in what becomes of the renewals, and of the records that are to be read.
func (b *batch) judgeAll() {
	for i := range b.parts {
		if p := &b.parts[i]; p.en != nil && p.lease == 0 {
			f := &BeatFlow{step: beatRead, Agent: b.agent, gap: p.gap}
			b.carryOn(i, f, Action{Do: DoRead})
		}
	}
	if b.unjudged == 0 {
		return
	}
	gather := time.NewTicker(gatherTime)
	defer gather.Stop()
	for b.unjudged > 0 && b.ctx.Err() == nil {
		select {
		case <-b.news:
		case <-gather.C: // a slow lease holds nobody else up
		case <-b.ctx.Done():
		}
		b.mu.Lock()
		got := b.renewed
		b.renewed = nil
		b.mu.Unlock()
		b.unjudged -= len(got)
		b.judge(got)
	}
}

// judge has the flows of some heartbeats decide what follows from their renewals. Among
// replicas one read of the store's revision, begun after all of these renewals, serves them all
// (a renewal is verified by a read begun after it: protocol CE5).
func (b *batch) judge(places []int) {
	toVerify := b.decide(places, beatRenew, func(p *batchPart) Result { return Result{Outcome: p.outcome, TTL: p.ttl, Lease: p.lease} })
	if len(toVerify) == 0 {
		return
	}
	e := b.e
	at, err := e.head(b.ctx)
	r := Result{Revision: at, Outcome: e.outcome(b.ctx, DoHead, err)}
	b.awaitWatch(at)
	b.decide(toVerify, beatHead, func(*batchPart) Result { return r })
}

// awaitWatch gives the watch a moment to show what the store had written by then. Otherwise each
// record would be read because the replica is a little behind.
func (b *batch) awaitWatch(at Revision) {
	step := time.NewTicker(gatherTime / 25)
	defer step.Stop()
	for tries := 0; Revision(b.e.watched.Load()) < at && tries < 25; tries++ {
		select {
		case <-step.C:
		case <-b.ctx.Done():
			return
		}
	}
}

// decide has the flows decide that are at one step. It returns the places of those that ask
// for the store's revision.
func (b *batch) decide(places []int, step beatStep, result func(*batchPart) Result) (toVerify []int) {
	e := b.e
	now, wall := e.now()
	in := e.commonInput(now, wall)
	watched := Revision(e.watched.Load())
	f := beatFlows.Get().(*BeatFlow)
	defer func() { beatFlows.Put(f) }()
	for _, i := range places {
		p := &b.parts[i]
		*f = BeatFlow{step: step, Agent: b.agent, gap: p.gap, ttl: p.ttl, attempt: attempt{lease: p.lease}}
		p.en.mu.Lock()
		in.use(p.en, watched)
		a := f.Next(in, result(p))
		p.en.mu.Unlock()
		switch a.Do {
		case DoRespond:
			e.revokeLater(a.Revoke)
			b.finish(i, p.en, a.Response)
		case DoHead:
			toVerify = append(toVerify, i)
		default:
			b.carryOn(i, f, a)
			f = new(BeatFlow)
		}
	}
	return toVerify
}

// carryOn has a flow carried on by a worker that does not only respond.
func (b *batch) carryOn(i int, f *BeatFlow, first Action) {
	b.e.batches.flows.put(&b.flows, func() { b.serve(i, b.parts[i].en, &begunFlow{BeatFlow: f, first: &first}) })
}

// begunFlow is a flow that has named its next action already.
type begunFlow struct {
	*BeatFlow
	first *Action
}

// Next implements Flow.
func (f *begunFlow) Next(in Input, r Result) Action {
	if a := f.first; a != nil {
		f.first = nil
		return *a
	}
	return f.BeatFlow.Next(in, r)
}
