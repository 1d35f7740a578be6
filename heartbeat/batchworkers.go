package heartbeat

// What is at work for batches at once: in one of them, and in all together. Lookups have few of
// their own, so that whoever names instances that do not exist keeps nobody from coming back.
const (
	batchFlows, allBatchFlows     = 16, 256
	batchLookups, allBatchLookups = 4, 2 * maxLookups
	batchQueue                    = 64
)

// batchSlots bound the workers of all batches together.
type batchSlots struct{ flows, lookups workerSlots }

// workerSlots is a semaphore of workers, of which one batch may have some.
type workerSlots struct {
	all chan struct{}
	one int
}

func newBatchSlots() batchSlots {
	return batchSlots{workerSlots{make(chan struct{}, allBatchFlows), batchFlows}, workerSlots{make(chan struct{}, allBatchLookups), batchLookups}}
}

// batchWorkers carry on the heartbeats of one batch that need more than a renewal. The zero
// value has none.
type batchWorkers struct {
	queue   chan func()
	workers int
}

// put queues a piece of work; if the batch is over before there is room, nobody does it.
func (w *batchWorkers) put(b *batch, s *workerSlots, work func()) {
	if w.queue == nil {
		w.queue = make(chan func(), batchQueue)
	}
	slot := s.all
	if w.workers == s.one {
		slot = nil
	}
	if w.workers > 0 {
		select {
		case slot <- struct{}{}:
			w.start(b, s)
		default:
		}
	} else {
		select {
		case slot <- struct{}{}:
			w.start(b, s)
		case <-b.ctx.Done():
			return
		}
	}
	select {
	case w.queue <- work:
	case <-b.ctx.Done():
	}
}

// start starts a worker, which has its slot. It ends with the queue; what is left then of a batch
// that is over is not done.
func (w *batchWorkers) start(b *batch, s *workerSlots) {
	queue := w.queue
	begun := b.e.spawn(func() {
		defer func() { <-s.all }()
		for work := range queue {
			if b.ctx.Err() == nil {
				work()
			}
		}
	})
	if !begun { // the engine has stopped
		<-s.all
		return
	}
	w.workers++
}

func (w *batchWorkers) close() {
	if w.queue != nil {
		close(w.queue)
	}
}
