package notify

import "slices"

// fairQueue is a round-robin queue over names in several levels: the hosts of consumers,
// and under each host the applications. The names of a level are served one after the
// other, so that a name with many waiters delays the others by one at a time.
type fairQueue struct {
	order  []string // of the names, the next one first
	byName map[string]*fairQueueEntry
}

// fairQueueEntry is what waits under one name: more names or, at the last level, waiters.
type fairQueueEntry struct {
	under   fairQueue
	waiting []*waiter
}

// push adds a waiter under its names, from the first level to the last.
func (q *fairQueue) push(w *waiter, names ...string) {
	name, rest := names[0], names[1:]
	one := q.byName[name]
	if one == nil {
		if q.byName == nil {
			q.byName = map[string]*fairQueueEntry{}
		}
		one = &fairQueueEntry{}
		q.byName[name] = one
		q.order = append(q.order, name)
	}
	if len(rest) > 0 {
		one.under.push(w, rest...)
	} else {
		one.waiting = append(one.waiting, w)
	}
}

// pop takes the next waiter out; nil: nobody waits.
func (q *fairQueue) pop() *waiter {
	if len(q.order) == 0 {
		return nil
	}
	name := q.order[0]
	q.order = q.order[1:]
	one := q.byName[name]
	w := one.under.pop()
	if w == nil {
		w, one.waiting = one.waiting[0], one.waiting[1:]
	}
	if one.empty() {
		delete(q.byName, name)
	} else {
		q.order = append(q.order, name)
	}
	return w
}

// remove takes out a waiter that waits no longer; false: it was not there.
func (q *fairQueue) remove(w *waiter, names ...string) bool {
	name, rest := names[0], names[1:]
	one := q.byName[name]
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
		delete(q.byName, name)
		q.order = slices.DeleteFunc(q.order, func(n string) bool { return n == name })
	}
	return there
}

func (e *fairQueueEntry) empty() bool { return len(e.waiting) == 0 && len(e.under.order) == 0 }
