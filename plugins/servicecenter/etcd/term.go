package etcd

import (
	"errors"
	"sync"
	"time"
)

// The age of a lease must not be taken for the time since its last renewal after a change of
// leader: a leader that takes over extends every lease as if it had just been renewed, and
// spreads their ends. So an age counts only within a raft term that was known before the
// renewal.

// termSlack is how long after a term was first seen here its leader may still be taking
// over: another member may have answered.
const termSlack = 2 * time.Second

// errExtended says that the lease may have been extended by a new leader since it was renewed.
var errExtended = errors.New("the lease may have been extended by a new leader")

// term is since when this replica knows the raft term that the store answers in.
type term struct {
	mu    sync.Mutex
	of    uint64
	since time.Time
}

// seen takes in the term of an answer, and says since when it is known; ok is false if it
// is over by now.
func (t *term) seen(of uint64, now time.Time) (since time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of > t.of {
		t.of, t.since = of, now
	}
	return t.since, of == t.of
}

// ageOf is how long ago a lease was renewed, if it was since the term is known.
func (t *term) ageOf(of uint64, granted, left time.Duration, now time.Time) (time.Duration, error) {
	since, ok := t.seen(of, now)
	age := granted - left
	if !ok || age < 0 || now.Sub(since) < age+termSlack {
		return 0, errExtended
	}
	return age, nil
}
