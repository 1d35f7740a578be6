package heartbeat

import "time"

// tick lets a second pass.
func (m *massModel) tick(w *massWorld) {
	for x := range m.replicas {
		r := &w.rep[x]
		if r.status == crashed {
			m.keyAges(w, x)
			continue
		}
		credit := Credit(0)
		if r.status == paused {
			r.asleep = min(r.asleep+1, 3)
			m.keyAges(w, x)
		} else {
			credit = Credit(time.Second)
			if w.store.keys[x].present {
				w.store.keys[x].left = massKeyLife
			} else {
				r.gone++
			}
		}
		for y := range r.peers {
			if r.peers[y].probes > 0 {
				r.peers[y].since = max(r.peers[y].since-credit, Credit(-peerGrace))
			}
		}
		for i := range m.instances {
			w.change(x, i, func(p *massView) {
				for range int(time.Duration(credit) / Tick) {
					p.health.AddTime(Tick)
				}
				for l := range p.slots {
					if p.slots[l].phase != slotIdle {
						p.slots[l].age = m.one.age(p.slots[l].age)
					}
				}
				p.answeredAge = m.one.age(p.answeredAge)
				m.one.rebase(&p.modelReplica, time.Second)
				p.closeIfSettled(0, p.underway(m.one))
			})
		}
	}
	leases := w.store.leases
	for i := range leases {
		if l := w.store.lease(leases[i].id); l != nil {
			if l.left--; l.left <= 0 {
				m.end(w, l.id)
			}
		}
	}
}

// keyAges: nobody renews the key of a replica that is away.
func (m *massModel) keyAges(w *massWorld, x int) {
	k := &w.store.keys[x]
	if !k.present {
		return
	}
	if k.left--; k.left <= 0 {
		m.setKey(w, x, false, PeerStatus{})
		if w.rep[x].status == paused { // the others go on without it
			for i := range m.instances {
				w.change(x, i, func(p *massView) { p.answeredAge = never })
			}
		}
	}
}

// wake lets a paused replica go on.
func (m *massModel) wake(w *massWorld, x int) {
	r := &w.rep[x]
	for i := range m.instances {
		w.change(x, i, func(p *massView) {
			if r.asleep > 0 {
				p.health.AddTime(time.Duration(r.asleep)*time.Second + Tick)
			}
			m.one.rebase(&p.modelReplica, 0)
		})
	}
	r.status, r.asleep = running, 0
}
