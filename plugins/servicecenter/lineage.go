package servicecenter

import (
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// lineage tells whether the store still speaks of the history that it spoke of
// before. A cluster that was restored from a snapshot answers as if nothing had
// happened, at an older revision or under another cluster id, and a watch of it
// simply stays silent.
type lineage struct {
	mu     sync.Mutex
	last   mark
	broken chan struct{} // closed, and replaced, when the history ends
	over   bool          // it ended, and the engine has not been told yet
}

// mark is a point in a history.
type mark struct {
	history  int // how many ended before it
	cluster  uint64
	revision int64
}

func newLineage() *lineage { return &lineage{broken: make(chan struct{})} }

// ends tells everybody who took it of the end of the history that goes on now.
func (l *lineage) ends() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// now is the latest point known. A linearizable read that begins after it must not
// answer with an earlier one.
func (l *lineage) now() mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// reach notes what the watch or a list showed.
func (l *lineage) reach(revision int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.revision = max(l.last.revision, revision)
}

// end: somebody else saw that the history ended.
func (l *lineage) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breaks()
}

// breaks tells everybody; l.mu is held.
func (l *lineage) breaks() {
	close(l.broken)
	l.broken = make(chan struct{})
	l.last, l.over = mark{history: l.last.history + 1}, true
}

// told: the engine knows that the history ended.
func (l *lineage) told() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = false
}

// answered takes in the header of a linearizable read that began after before, and
// says whether it is of the history that the engine knows.
func (l *lineage) answered(before mark, h *pb.ResponseHeader) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before.history != l.last.history {
		return false // it may be of the one that ended, and says nothing of the other
	}
	if before.cluster != 0 && h.ClusterId != before.cluster || h.Revision < before.revision {
		l.breaks()
	}
	l.last.cluster, l.last.revision = h.ClusterId, max(h.Revision, l.last.revision)
	return !l.over
}
