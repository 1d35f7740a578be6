package identity

import (
	"sync"
	"time"
)

const (
	// sumPeriod is how long refusals of one kind are counted together.
	sumPeriod = time.Minute
	// singly is how many refusals of one kind have a line of their own in a period.
	singly = 100
	// maxSums bounds the kinds that are told apart; those beyond count as one.
	maxSums = 1024
)

// sums has what is refused or fails again and again written as one line: it costs its caller
// nothing, and could otherwise fill the disk, or push the lines of others out of the queue. What
// changes something always has a line of its own; limits bound how much that is.
type sums struct {
	write func(auditLine)

	mu    sync.Mutex
	began time.Time
	kinds map[refusalKind]*refusals
}

// refusalKind is what refusals that are summed up have in common.
type refusalKind struct {
	caller, method, route string
	status                int
}

type refusals struct {
	n    int       // in this period
	last auditLine // of those that have no line of their own
}

// add writes the line, or counts it.
func (s *sums) add(now time.Time, l auditLine) {
	l.Time = auditTime(now)
	if l.Outcome == outcomeDone {
		s.write(l)
		return
	}
	kind := refusalKind{"id " + l.Identity, l.Method, l.Route, l.Status}
	if l.Identity == "" {
		kind.caller = "address " + l.Address
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endPeriod(now, false)
	k := s.kinds[kind]
	if k == nil && len(s.kinds) >= maxSums {
		kind = refusalKind{}
		k = s.kinds[kind]
	}
	if k == nil {
		k = &refusals{}
		s.kinds[kind] = k
	}
	if k.n++; k.n <= singly {
		s.write(l)
		return
	}
	k.last = l
}

// flush writes what was only counted so far, if its period is over or at the end of all.
func (s *sums) flush(now time.Time, atOnce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endPeriod(now, atOnce)
}

// endPeriod begins another period if it is time. s.mu is held.
func (s *sums) endPeriod(now time.Time, atOnce bool) {
	if s.kinds != nil && !atOnce && now.Sub(s.began) < sumPeriod {
		return
	}
	for _, k := range s.kinds {
		if k.n > singly {
			k.last.Repeated = k.n - singly
			s.write(k.last)
		}
	}
	s.began, s.kinds = now, map[refusalKind]*refusals{}
}
