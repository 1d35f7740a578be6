package center

import (
	"slices"
	"sync"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
)

// maxRecent is how many keys that were written last are remembered of each type.
const maxRecent = 512

// recentKeys are the keys that the watch has shown last: of an event that follows, service-center
// asks for the same microservice several times.
type recentKeys struct {
	mu    sync.Mutex
	known map[string]*sd.KeyValue
	order [maxRecent]string
	next  int
}

func (r *recentKeys) get(key string) *sd.KeyValue {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[key]
}

func (r *recentKeys) put(one *sd.KeyValue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]*sd.KeyValue{}
	}
	key := string(one.Key)
	if _, known := r.known[key]; !known {
		delete(r.known, r.order[r.next])
		r.order[r.next] = key
		r.next = (r.next + 1) % maxRecent
	}
	r.known[key] = one
}

func (r *recentKeys) remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key) // its place in order goes by itself
}

func (r *recentKeys) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = nil
}

// What is remembered of answers: so many, of so few keys each.
const (
	maxAnswers   = 512
	maxAnswerKvs = 16
)

// answers are the last ones of one type, until something of that type is written: a find asks the
// same again and again.
type answers struct {
	mu      sync.Mutex
	changes uint64 // that the watch has shown
	of      map[question]*sd.Response
}

// question is what an answer depends on.
type question struct {
	key                      string
	prefix, countOnly, names bool
	order                    client.SortOrder
	by                       client.SortTarget
}

// get answers, by asking if need be. The slice is the caller's own, the values are shared.
func (a *answers) get(q question, ask func() (*sd.Response, error)) (*sd.Response, error) {
	a.mu.Lock()
	known, at := a.of[q], a.changes
	a.mu.Unlock()
	if known == nil {
		var err error
		if known, err = ask(); err != nil {
			return nil, err
		}
		if len(known.Kvs) <= maxAnswerKvs {
			a.put(q, at, known)
		}
	}
	return &sd.Response{Count: known.Count, Kvs: slices.Clone(known.Kvs)}, nil
}

// put remembers an answer, unless something was written since it was asked for.
func (a *answers) put(q question, at uint64, known *sd.Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at != a.changes {
		return
	}
	if a.of == nil || len(a.of) >= maxAnswers {
		a.of = map[question]*sd.Response{}
	}
	a.of[q] = known
}

// changed forgets all.
func (a *answers) changed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changes++
	a.of = nil
}
