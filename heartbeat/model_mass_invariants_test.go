package heartbeat

import (
	"fmt"
	"strings"
	"time"
)

// checkHidden: who sees all that the store holds leaves nobody out of discovery whom
// another living replica heard within the window.
func (m *massModel) checkHidden(w *massWorld) {
	for x := range m.replicas {
		if w.rep[x].status != running || w.rep[x].queue[0] != nil || m.old != [massReplicas]bool{} {
			continue
		}
		for i := range m.instances {
			p := w.view(x, i)
			if !p.local.missing || !p.local.hidden(m.input(w, x, &p), &p.view.Record) {
				continue
			}
			for y := range m.replicas {
				if q := w.view(y, i); w.rep[y].status != crashed && int(q.answeredAge) < p.view.Record.Window {
					m.breaks("HIDE %c hides %s although %c lives and answered a heartbeat %d s ago; the window is %d s", 'A'+x, massID(i), 'A'+y, q.answeredAge, p.view.Record.Window)
				}
			}
		}
	}
}

// checkCommit looks at a transaction that is about to be carried out: I2, at any speed of the
// store and of the watch, as long as the replica that heard the instance keeps its key.
func (m *massModel) checkCommit(w *massWorld, x, i int, t *Txn) {
	old := w.store.at(i)
	if t.Record.State != Suspended || old.Record.State != Active {
		return
	}
	for y := range m.replicas {
		if p := w.view(y, i); w.rep[y].status != crashed && int(p.answeredAge) < old.Record.Window {
			m.breaks("I2 %c suspends %s although %c lives and answered a heartbeat %d s ago; the window is %d s", 'A'+x, massID(i), 'A'+y, p.answeredAge, old.Record.Window)
		}
	}
}

// quiesceAll lets everything that is under way end well.
func (m *massModel) quiesceAll(w *massWorld) {
	for range 200 {
		did := false
		for x := range m.replicas {
			if w.rep[x].status != running {
				continue
			}
			for w.rep[x].queue[0] != nil {
				m.deliver(w, x)
				did = true
			}
			var all []modelAction
			m.actionsOf(w, x, func(d modelAction) {
				if d.kind != doAct || d.how == answered {
					all = append(all, d)
				}
			})
			if len(all) > 0 {
				*w, did = m.do(*w, all[0]), true
			}
		}
		if !did {
			return
		}
	}
	m.breaks("I1 the platform never comes to rest")
}

// checkFair is I1: when nothing goes wrong any more, every dead instance is SUSPENDED in
// bounded time, and all living replicas know it.
func (m *massModel) checkFair(w *massWorld) {
	c := *w
	c.left = massBudget{}
	up := false
	for x := range m.replicas {
		if c.rep[x].status == paused {
			m.wake(&c, x)
		}
		up = up || c.rep[x].status == running
	}
	if !up {
		return
	}
	for range massKeyLife + int((peerGrace-time.Duration(m.one.floorNow))/time.Second) + 6 {
		m.quiesceAll(&c)
		m.tick(&c)
	}
	m.quiesceAll(&c)
	for i := range m.instances {
		s := c.store.at(i)
		if s.Exists() && s.Record.State != Suspended {
			m.breaks("I1 a dead instance stays %s: %s (in a fair continuation)", s.Record.State, m.brief(&c))
		}
		for x := range m.replicas {
			if p := c.view(x, i); c.rep[x].status == running && p.view.Snapshot != s {
				m.breaks("VIEW %c knows %s of %s, the store holds %s (in a fair continuation)", 'A'+x, brief(&p.view.Snapshot), massID(i), brief(&s))
			}
		}
	}
}

func (m *massModel) brief(w *massWorld) string {
	var b strings.Builder
	for i := range m.instances {
		s := w.store.at(i)
		fmt.Fprintf(&b, "%s %s@%d on %d, projection@%d; ", massID(i), s.Record.State, s.At, s.Record.Lease, s.Projection.Revision)
	}
	for x := range m.replicas {
		if k := w.store.keys[x]; k.present {
			fmt.Fprintf(&b, "%c settled %d wants %d; ", 'A'+x, k.word.Settled, k.word.Wanted)
		} else {
			fmt.Fprintf(&b, "%c no key; ", 'A'+x)
		}
	}
	return b.String()
}
