package keys

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTime  = 5 * time.Second  // that one fetch may take
	firstRetry = time.Second      // after a failed fetch as long as no keys are known: no token can be verified until then
	fruitless  = 10 * time.Second // between fetches that tokens with unknown keys cause and that bring nothing
)

// errHangs is what follows a fetch that was given up and has not returned.
var errHangs = errors.New("the attempt before has not ended yet")

// Source is where the keys of an issuer come from, and the keys that were had last: a source
// that is down keeps them. It is safe for concurrent use.
type Source struct {
	// Changed is called when fetches begin to fail, with why, and when they succeed again,
	// with nil. Counted is called after each fetch. Both may be nil, and must not block.
	Changed func(err error)
	Counted func(ok bool)

	fetch        func(context.Context) (*Set, error)
	every, retry time.Duration // from a fetch to the next: after a good one, after a bad one

	current   atomic.Pointer[Set]
	confirmed atomic.Int64 // wall clock in nanoseconds: when a fetch succeeded last; 0: never
	reading   atomic.Bool  // a fetch has not returned yet, be it that nobody waits for it any more

	mu      sync.Mutex
	flight  chan struct{} // closed when the fetch under way has ended; nil: there is none
	failing bool
	rest    time.Time // until then, unknown keys cause no fetch
}

// Current are the keys that were had last; nil: there were none yet.
func (s *Source) Current() *Set { return s.current.Load() }

// Age is how long ago the source said last which keys there are; false: it never did.
func (s *Source) Age(now time.Time) (age time.Duration, ever bool) {
	at := s.confirmed.Load()
	return now.Sub(time.Unix(0, at)), at != 0
}

// Run fetches keys until ctx ends.
func (s *Source) Run(ctx context.Context) {
	for {
		wait := s.retry
		switch ok := s.load(ctx); {
		case ok:
			wait = s.every
		case s.Current() == nil:
			wait = min(wait, firstRetry)
		}
		t := time.NewTimer(wait - rand.N(wait/10+1)) // replicas do not ask at the same time
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// Load fetches the keys, once.
func (s *Source) Load(ctx context.Context) { s.load(ctx) }

// Renew is asked by a token whose key is not in known, which Current returned. It returns
// newer keys, or nil if there are none. Callers wait for one fetch together. After one that
// brought nothing new there is none for a while: tokens with made-up keys must not make this
// server attack the issuer.
func (s *Source) Renew(ctx context.Context, known *Set) *Set {
	if now := s.Current(); now != known {
		return now
	}
	s.mu.Lock()
	flight := s.flight
	if flight == nil {
		if time.Now().Before(s.rest) {
			s.mu.Unlock()
			return nil
		}
		flight = s.begin()
		go s.end(context.WithoutCancel(ctx), flight, true)
	}
	s.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
	}
	if now := s.Current(); now != known {
		return now
	}
	return nil
}

// load fetches, or waits for the fetch under way.
func (s *Source) load(ctx context.Context) (ok bool) {
	s.mu.Lock()
	flight := s.flight
	if flight != nil {
		s.mu.Unlock()
		<-flight
	} else {
		flight = s.begin()
		s.mu.Unlock()
		s.end(ctx, flight, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.failing
}

// begin notes that a fetch is under way. The caller has locked, and calls end.
func (s *Source) begin() chan struct{} {
	s.flight = make(chan struct{})
	return s.flight
}

// end fetches. asked says that a token with an unknown key caused it.
func (s *Source) end(ctx context.Context, flight chan struct{}, asked bool) {
	defer close(flight)
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	known := s.Current()
	set, err := s.fetchWithin(ctx)
	if err == nil && set.Same(known) {
		set = known // what was verified with these keys stays so
	}
	now := time.Now()
	s.mu.Lock()
	if err == nil {
		s.current.Store(set)
		s.confirmed.Store(now.UnixNano())
	}
	if asked && (err != nil || set == known) {
		s.rest = now.Add(fruitless)
	}
	changed := s.failing != (err != nil)
	s.failing = err != nil
	s.flight = nil
	s.mu.Unlock()
	if s.Counted != nil {
		s.Counted(err == nil)
	}
	if changed && s.Changed != nil {
		s.Changed(err)
	}
}

// fetchWithin ends with ctx also when the fetch does not: a file on a disk that is gone is
// read for ever. Until that read returns there is no other, or each second would leave one
// more behind.
func (s *Source) fetchWithin(ctx context.Context) (*Set, error) {
	if !s.reading.CompareAndSwap(false, true) {
		return nil, errHangs
	}
	type answer struct {
		set *Set
		err error
	}
	got := make(chan answer, 1)
	go func() {
		set, err := s.fetch(ctx)
		s.reading.Store(false)
		got <- answer{set, err}
	}()
	select {
	case a := <-got:
		return a.set, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
