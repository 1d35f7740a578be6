package rules

import "github.com/mec-liveness/mepserver/plugins"

// task is an application of which the driver is to be told something.
type task struct {
	app      string
	due      plugins.Instant
	place    int // in the heap; -1: it is in none
	failures int
	since    plugins.Instant // since when the driver fails for it; 0: it does not
	verify   bool            // what is settled is said again, too
	running  bool
	queued   bool // it is among the fresh ones
	again    bool // something changed while it ran
}

// tasks are a heap by due.
type tasks []*task

func (h tasks) Len() int           { return len(h) }
func (h tasks) Less(i, j int) bool { return h[i].due < h[j].due }
func (h tasks) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *tasks) Push(x any) {
	t := x.(*task)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *tasks) Pop() any {
	t := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	t.place = -1
	return t
}
