package heartbeat

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// exploration is what a breadth-first search over the worlds found.
type exploration struct {
	states, steps, judged int
	depth                 int
	complete              bool
	bad                   string
	trace                 string
}

func (e *exploration) String() string {
	how := "complete"
	if !e.complete {
		how = "capped"
	}
	return fmt.Sprintf("%d states, %d steps, depth %d, %s; %d states continued fairly", e.states, e.steps, e.depth, how, e.judged)
}

// explore visits every world that is reachable, breadth first, up to a number of
// states; it stops at the first invariant that breaks. Visited worlds are kept as
// 64-bit hashes: with a million states the odds that two share one, so that one is
// skipped, are below 1 in 10 million.
func explore[W comparable](m machine[W], limit int) exploration {
	type origin struct {
		parent int32
		action modelAction
	}
	type place struct {
		w  W
		id int32
	}
	var (
		out     exploration
		seed    = maphash.MakeSeed()
		visited = map[uint64]struct{}{}
		origins []origin
		now     []place
		then    []place
	)
	enter := func(w *W, parent int32, d modelAction) {
		h := maphash.Comparable(seed, *w)
		if _, ok := visited[h]; ok {
			return
		}
		visited[h] = struct{}{}
		then = append(then, place{*w, int32(len(origins))})
		origins = append(origins, origin{parent, d})
	}
	trace := func(id int32, last ...modelAction) string {
		path := last
		for ; id > 0; id = origins[id].parent {
			path = append([]modelAction{origins[id].action}, path...)
		}
		return replay(m, path)
	}
	begin := m.begin()
	enter(&begin, -1, modelAction{})
	for len(then) > 0 && out.bad == "" {
		now, then = then, now[:0]
		out.depth++
		for i := range now {
			p := &now[i]
			if limit > 0 && len(origins) >= limit {
				out.states = len(origins)
				return out
			}
			if int(p.id)%sample == 0 {
				out.judged++
				if m.checkFair(&p.w); m.broken() != "" {
					out.bad = m.broken()
					out.trace = trace(p.id)
					break
				}
			}
			m.actions(&p.w, func(d modelAction) {
				if out.bad != "" {
					return
				}
				out.steps++
				w := m.do(p.w, d)
				if m.broken() != "" {
					out.bad = m.broken()
					out.trace = trace(p.id, d)
					return
				}
				enter(&w, p.id, d)
			})
			if out.bad != "" {
				break
			}
		}
	}
	out.states, out.complete = len(origins), out.bad == ""
	return out
}

// replay walks a path again and says what happened.
func replay[W comparable](m machine[W], path []modelAction) string {
	var b strings.Builder
	w := m.begin()
	m.forgive()
	fmt.Fprintf(&b, "  at first: %s\n", m.brief(&w))
	for i, d := range path {
		before := m.brief(&w)
		fmt.Fprintf(&b, "%3d %s", i+1, m.describe(&w, d))
		w = m.do(w, d)
		if now := m.brief(&w); now != before {
			fmt.Fprintf(&b, "\n      %s", now)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// machine is a model that can be explored: worlds, and the actions that lead from one to
// the next.
type machine[W comparable] interface {
	begin() W
	actions(w *W, yield func(modelAction))
	do(w W, d modelAction) W
	checkFair(w *W)
	broken() string // the invariant that broke; "" if none did
	forgive()       // forgets it
	describe(w *W, d modelAction) string
	brief(w *W) string
}

func (m *model) broken() string        { return m.bad }
func (m *model) forgive()              { m.bad = "" }
func (m *model) brief(w *world) string { return brief(&w.store.Snapshot) }
