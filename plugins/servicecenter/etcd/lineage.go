package etcd

import (
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Lineage knows whether the store still answers from the same history. A cluster that was
// restored from a snapshot answers as if nothing had happened, at an older revision or
// under another cluster id, and a watch of it stays silent: the engine would serve what is
// no longer stored.
type Lineage struct {
	mu             sync.Mutex
	last           position
	broken         chan struct{} // closed, and replaced, when the history ends
	unacknowledged bool          // it ended, and the engine has not been told yet
}

// position is a point in a history.
type position struct {
	history  int // how many ended before it
	cluster  uint64
	revision int64
}

func newLineage() *Lineage { return &Lineage{broken: make(chan struct{})} }

// Broken is closed when the history that goes on now ends.
func (l *Lineage) Broken() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// now is the latest point known. A linearizable read that begins after it must not
// answer with an earlier one.
func (l *Lineage) now() position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Advance takes in a revision that a watch or a list has shown.
func (l *Lineage) Advance(revision int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.revision = max(l.last.revision, revision)
}

// Break ends the history: somebody else saw that the store was restored.
func (l *Lineage) Break() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breakLocked()
}

// breakLocked closes Broken and begins another history; l.mu is held.
func (l *Lineage) breakLocked() {
	close(l.broken)
	l.broken = make(chan struct{})
	l.last, l.unacknowledged = position{history: l.last.history + 1}, true
}

// Acknowledge says that the engine knows that the history ended. Until then no read is of
// the history that it knows.
func (l *Lineage) Acknowledge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unacknowledged = false
}

// answered takes in the header of a linearizable read that began after before, and
// says whether it is of the history that the engine knows.
func (l *Lineage) answered(before position, h *pb.ResponseHeader) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before.history != l.last.history {
		return false // it may be of the one that ended, and says nothing of the other
	}
	if before.cluster != 0 && h.ClusterId != before.cluster || h.Revision < before.revision {
		l.breakLocked()
	}
	l.last.cluster, l.last.revision = h.ClusterId, max(h.Revision, l.last.revision)
	return !l.unacknowledged
}
