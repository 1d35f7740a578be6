package etcd

// reservationQueue is a heap of those that are to be looked at.
type reservationQueue []*reservation

func (q reservationQueue) Len() int           { return len(q) }
func (q reservationQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q reservationQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *reservationQueue) Push(x any) {
	one := x.(*reservation)
	one.place = len(*q)
	*q = append(*q, one)
}

// Pop implements heap.Interface.
func (q *reservationQueue) Pop() any {
	old := *q
	one := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return one
}
