package notify

import (
	"cmp"
	"slices"

	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// maxLooked bounds what one question may cost: events that are queued, and subscriptions.
	maxLooked = 200_000
	// maxLost is of how many instances a worker remembers that their last event was lost.
	maxLost = 1000
)

var _ plugins.Telling = (*dispatcher)(nil)

// progress is how a worker is doing, for those who look. It is guarded by the worker's mu.
type progress struct {
	lastAttempt int64 // wall clock
	lastError   string
	lost        map[string]bool // instances whose last event was given up or shed
}

// noteLost notes events that are never delivered, unless newer ones of their instances are.
func (p *progress) noteLost(why stage, events []*message) {
	if why == stageSuperseded {
		return
	}
	for _, m := range events {
		if p.lost == nil {
			p.lost = map[string]bool{}
		}
		if len(p.lost) < maxLost {
			p.lost[m.instance()] = true
		}
	}
}

// noteAttempt notes how an attempt to send some events ended.
func (p *progress) noteAttempt(r result, events []*message, wall int64) {
	if p.lastAttempt, p.lastError = wall, r.outcome.String(); !r.delivered() {
		return
	}
	p.lastError = ""
	for _, m := range events {
		if len(p.lost) == 0 {
			return
		}
		delete(p.lost, m.instance())
	}
}

// standing is how a subscription stands. Of one to which another replica sends progress is not known.
type standing struct {
	progress
	elsewhere bool
	failing   bool
	gone      bool            // the consumer answered 410
	pending   map[string]bool // of the instances asked for, those that have an event queued; true: it is put off
}

// standings are those of all subscriptions, as far as they are known.
type standings struct {
	own    map[*entry]*standing
	others map[string]*remote    // by id
	events map[string][]*message // of the instances asked for, in order; of use for others
	now    plugins.Instant
}

// of is how a subscription stands with an instance; nil: that is not known. d.mu is held.
func (s *standings) of(en *entry, instance string) *standing {
	if own := s.own[en]; own != nil {
		return own
	}
	if f := s.others[en.sub.ID]; f != nil {
		return f.standing(en, instance, s.events[instance], s.now)
	}
	return nil
}

// standings are those with some instances; false: more events are queued than may be looked at.
func (d *dispatcher) standings(asked map[string]bool) (*standings, bool) {
	now, _ := d.now()
	out := &standings{events: map[string][]*message{}, now: now}
	out.others, _, _ = d.elsewhere()
	d.mu.Lock()
	if out.others != nil {
		for _, m := range d.events.list[max(0, len(d.events.list)-maxLooked):] {
			if id := m.instance(); asked[id] && !m.erased {
				out.events[id] = append(out.events[id], m)
			}
		}
	}
	workers := make(map[*entry]*worker, len(d.entries))
	for _, en := range d.entries {
		if en.worker != nil {
			workers[en] = en.worker
		}
	}
	d.mu.Unlock()
	looked := 0
	out.own = make(map[*entry]*standing, len(workers))
	for en, w := range workers {
		w.mu.Lock()
		if looked += len(w.q.head) + len(w.q.pending) + len(w.q.putOff); looked > maxLooked {
			w.mu.Unlock()
			return nil, false
		}
		out.own[en] = w.standing(asked)
		w.mu.Unlock()
	}
	return out, true
}

// standing is how the worker stands; w.mu is held.
func (w *worker) standing(asked map[string]bool) *standing {
	q := w.q
	s := &standing{progress: progress{lastAttempt: w.progress.lastAttempt, lastError: w.progress.lastError}, failing: q.failures > 0,
		gone: q.cursor.Gone || q.cursorDue && q.nextCursor.Gone}
	for _, m := range q.putOff {
		if id := m.instance(); asked[id] {
			s.queued(id, true)
		}
	}
	for _, events := range [][]*message{q.head, q.pending} {
		for _, m := range events {
			if id := m.instance(); asked[id] {
				s.queued(id, false)
			}
		}
	}
	for id := range w.progress.lost {
		if asked[id] {
			if s.lost == nil {
				s.lost = map[string]bool{}
			}
			s.lost[id] = true
		}
	}
	return s
}

// queued notes that an event of an instance is queued.
func (s *standing) queued(instance string, putOff bool) {
	if s.pending == nil {
		s.pending = map[string]bool{}
	}
	s.pending[instance] = putOff
}

// eventOf says whether an event of an instance is queued, and whether it is put off.
func (s *standing) eventOf(instance string) (putOff, queued bool) {
	if s == nil {
		return false, false
	}
	putOff, queued = s.pending[instance]
	return putOff, queued
}

// concerned are the subscriptions that ask for a service and that its last change concerns, with
// how they stand; nil: another replica sends to it, and nothing is known. looked counts the candidates.
func (d *dispatcher) concerned(of *plugins.Changed, all *standings, looked *int, see func(*entry, *standing)) {
	subject, id := plugins.Subject{Service: of.Service}, of.Service.SerInstanceID
	d.mu.Lock()
	defer d.mu.Unlock()
	for en := range d.index.Candidates(subject) {
		if *looked++; *looked > maxLooked {
			return
		}
		s := all.of(en, id)
		if _, queued := s.eventOf(id); (queued || en.sub.Since < of.At) && subject.AskedBy(&en.sub.Asked) {
			see(en, s)
		}
	}
}

// Told implements plugins.Telling.
func (d *dispatcher) Told(of []plugins.Changed) []plugins.Told {
	out := make([]plugins.Told, len(of))
	standings, ok := d.standings(askedFor(of))
	looked := 0
	for i := range of {
		t, id := &out[i], of[i].Service.SerInstanceID
		if ok {
			d.concerned(&of[i], standings, &looked, func(en *entry, s *standing) { count(t, en.sub.ID, id, s) })
		}
		if !ok || looked > maxLooked {
			*t = plugins.Told{Uncounted: true}
		}
		slices.Sort(t.Failing)
	}
	return out
}

// count counts one subscription for a service.
func count(t *plugins.Told, subscription, instance string, s *standing) {
	putOff, queued := s.eventOf(instance)
	switch {
	case s == nil:
		t.Elsewhere++
	case s.gone, s.lost[instance] && !queued:
		t.Lost++
	case !queued:
		t.Told++
	case putOff:
		t.PutOff++
	default:
		if t.Pending++; s.failing && len(t.Failing) < plugins.MaxFailing {
			t.Failing = append(t.Failing, subscription)
		}
	}
}

// Deliveries implements plugins.Telling.
func (d *dispatcher) Deliveries(of []plugins.Changed, most int) [][]plugins.Delivery {
	out := make([][]plugins.Delivery, len(of))
	standings, ok := d.standings(askedFor(of))
	if !ok {
		return out
	}
	looked := 0
	for i := range of {
		if most <= 0 {
			break
		}
		all := d.deliveries(&of[i], standings, &looked)
		if looked > maxLooked {
			break
		}
		out[i] = all[:min(len(all), most)]
		most -= len(out[i])
	}
	return out
}

func (d *dispatcher) deliveries(of *plugins.Changed, standings *standings, looked *int) []plugins.Delivery {
	out := []plugins.Delivery{}
	id := of.Service.SerInstanceID
	d.concerned(of, standings, looked, func(en *entry, s *standing) {
		one := plugins.Delivery{ID: en.sub.ID, Owner: en.sub.Owner, Elsewhere: s == nil || s.elsewhere}
		if s != nil {
			one.PutOff, one.Pending = s.eventOf(id)
			one.Delivered = !one.Pending && !s.gone && !s.lost[id]
			one.LastAttempt, one.LastError = s.lastAttempt, s.lastError
		}
		out = append(out, one)
	})
	slices.SortFunc(out, func(a, b plugins.Delivery) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// askedFor are the instances of some services.
func askedFor(of []plugins.Changed) map[string]bool {
	asked := make(map[string]bool, len(of))
	for i := range of {
		asked[of[i].Service.SerInstanceID] = true
	}
	return asked
}

// Backlog implements plugins.Telling.
func (d *dispatcher) Backlog() (pending, failing int) {
	for _, w := range d.workers() {
		w.mu.Lock()
		pending += len(w.q.head) + len(w.q.pending)
		if w.q.failures > 0 {
			failing++
		}
		w.mu.Unlock()
	}
	_, p, f := d.elsewhere()
	return pending + p, failing + f
}
