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
		credit := Instant(0)
		if r.status == paused {
			r.nap = min(r.nap+1, 3)
			m.keyAges(w, x)
		} else {
			credit = time.Second
			if w.store.keys[x].present {
				w.store.keys[x].left = massKeyLife
			} else {
				r.gone++
			}
		}
		for y := range r.peers {
			if r.peers[y].probes > 0 {
				r.peers[y].since = max(r.peers[y].since-credit, -peerGrace)
			}
		}
		for i := range m.instances {
			w.change(x, i, func(p *massPlace) {
				for range int(credit / Tick) {
					p.gate.AddTime(Tick)
				}
				for l := range p.lanes {
					if p.lanes[l].phase != laneIdle {
						p.lanes[l].age = m.one.age(p.lanes[l].age)
					}
				}
				p.acked = m.one.age(p.acked)
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
				w.change(x, i, func(p *massPlace) { p.acked = never })
			}
		}
	}
}

// wake lets a paused replica go on.
func (m *massModel) wake(w *massWorld, x int) {
	r := &w.rep[x]
	for i := range m.instances {
		w.change(x, i, func(p *massPlace) {
			if r.nap > 0 {
				p.gate.AddTime(Instant(r.nap)*time.Second + Tick)
			}
			m.one.rebase(&p.modelReplica, 0)
		})
	}
	r.status, r.nap = running, 0
}
