package center

import (
	"slices"
	"sync"
	"sync/atomic"

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

// answers are the last ones of one type, until the watch of any type shows a write: one transaction
// writes keys of several, and who is told of an instance must not be answered as before its microservice
// was. So a find that asks the same again and again costs nothing.
type answers struct {
	changes *atomic.Uint64 // that the watches have shown, of all types
	mu      sync.Mutex
	watched bool // a watch shows what is written
	of      map[question]answer
}

// answer is one, and after how many changes it was asked for.
type answer struct {
	at  uint64
	res *sd.Response
}

// question is what an answer depends on.
type question struct {
	key                      string
	prefix, countOnly, names bool
	order                    client.SortOrder
	by                       client.SortTarget
}

// get answers, by asking if need be: also, unless memory is enough, where it is known that there
// was nothing, for who asked has perhaps written it since. The slice is the caller's own, the
// values are shared.
func (a *answers) get(q question, memory bool, ask func() (*sd.Response, error)) (*sd.Response, error) {
	at := a.changes.Load()
	a.mu.Lock()
	known := a.of[q]
	a.mu.Unlock()
	if known.res == nil || known.at != at || known.res.Count == 0 && !memory {
		res, err := ask()
		if err != nil {
			return nil, err
		}
		known = answer{at, res}
		if len(res.Kvs) <= maxAnswerKvs {
			a.put(q, known)
		}
	}
	return &sd.Response{Count: known.res.Count, Kvs: slices.Clone(known.res.Kvs)}, nil
}

// put remembers an answer. If something was written meanwhile it is not asked for again.
func (a *answers) put(q question, known answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.watched {
		return
	}
	if a.of == nil || len(a.of) >= maxAnswers {
		a.of = map[question]answer{}
	}
	a.of[q] = known
}

// watch says whether a watch shows what is written from now on. Without one nothing is remembered.
func (a *answers) watch(yes bool) {
	a.changed()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watched = yes
}

// changed makes all answers untrue, of all types.
func (a *answers) changed() { a.changes.Add(1) }
