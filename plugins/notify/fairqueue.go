package notify

import "slices"

// turns is who waits, under names in several levels: the hosts of consumers, and under
// each host the applications. Each name of a level has its turn in order, so that whoever
// has many waiting delays others by one at a time.
type turns struct {
	order []string // whose turn comes next
	of    map[string]*turn
}

// turn is what waits under one name: more names, or, at the last level, the waiting.
type turn struct {
	under   turns
	waiting []*waiter
}

func (t *turns) push(w *waiter, names ...string) {
	name, rest := names[0], names[1:]
	one := t.of[name]
	if one == nil {
		if t.of == nil {
			t.of = map[string]*turn{}
		}
		one = &turn{}
		t.of[name] = one
		t.order = append(t.order, name)
	}
	if len(rest) > 0 {
		one.under.push(w, rest...)
	} else {
		one.waiting = append(one.waiting, w)
	}
}

// pop takes out whose turn it is; nil: nobody waits.
func (t *turns) pop() *waiter {
	if len(t.order) == 0 {
		return nil
	}
	name := t.order[0]
	t.order = t.order[1:]
	one := t.of[name]
	w := one.under.pop()
	if w == nil {
		w, one.waiting = one.waiting[0], one.waiting[1:]
	}
	if one.empty() {
		delete(t.of, name)
	} else {
		t.order = append(t.order, name)
	}
	return w
}

// remove takes one out who waits no more; false: it was not there.
func (t *turns) remove(w *waiter, names ...string) bool {
	name, rest := names[0], names[1:]
	one := t.of[name]
	if one == nil {
		return false
	}
	there := false
	if len(rest) > 0 {
		there = one.under.remove(w, rest...)
	} else if i := slices.Index(one.waiting, w); i >= 0 {
		one.waiting, there = slices.Delete(one.waiting, i, i+1), true
	}
	if one.empty() {
		delete(t.of, name)
		t.order = slices.DeleteFunc(t.order, func(n string) bool { return n == name })
	}
	return there
}

func (t *turn) empty() bool { return len(t.waiting) == 0 && len(t.under.order) == 0 }
