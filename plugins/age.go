package plugins

import (
	"math"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	// OutboxAge is how long an event is kept at least, also if nobody waits for it.
	OutboxAge = time.Minute
	// maxObserved is for how long this process must at most have known something itself
	// before it ends for its age.
	maxObserved = time.Hour
)

// Age is how old something is that the store keeps. A wall clock that is wrong, or set,
// would end it at once; so the wall clock is asked once, when this process comes to know
// it, and only for the time before. From then on the monotonic clock counts.
type Age struct {
	Known  heartbeat.Instant // since when this process knows it
	Before time.Duration     // how old it was then, at least 0
}

// AgeOf is the age of what this process comes to know now. made is when it was made, by
// the wall clock of whoever made it, in Unix nanoseconds. since is a moment at which
// everything was known that there was, so that it was made later; 0: there was none.
func AgeOf(now heartbeat.Instant, wall, made int64, since heartbeat.Instant) Age {
	before := time.Duration(math.MaxInt64 / 2) // so that no sum overflows
	if since != 0 {
		before = max(now-since, 0)
	}
	if wall <= made {
		before = 0
	} else if age := time.Duration(wall - made); age > 0 { // else it overflowed: centuries
		before = min(before, age)
	}
	return Age{Known: now, Before: before}
}

// At is how old it is.
func (a Age) At(now heartbeat.Instant) time.Duration { return a.Before + now - a.Known }

// Left is how long it is until it is over: until it is as old as most, and until this
// process has known it for most, or for an hour if that is less.
func (a Age) Left(now heartbeat.Instant, most time.Duration) time.Duration {
	observed := now - a.Known
	return max(min(most, maxObserved)-observed, most-a.Before-observed)
}

// Over says whether nothing is left.
func (a Age) Over(now heartbeat.Instant, most time.Duration) bool { return a.Left(now, most) <= 0 }

// GivenUp says whether a consumer is not told of an event any more: it is over, and it
// was attempted at least once by whoever gives it up. How old it is never is enough.
func GivenUp(a Age, now heartbeat.Instant, giveUp time.Duration, attempted bool) bool {
	return attempted && a.Over(now, giveUp)
}

// Pending says whether an event of the outbox is still to be sent to a subscription, as far
// as the replica that erases events can tell.
type Pending uint8

// The values of Pending.

const (
	// NotPending means that every subscription that it concerns has its cursor at or past it.
	NotPending Pending = iota
	// MaybePending means that a subscription, or a cursor, cannot be read.
	MaybePending
	// StillPending means that the cursor of a subscription that it concerns is before it.
	StillPending
)

// Erasable says whether an event may be erased from the outbox. One that is still pending
// never is, however old: whoever erases cannot know whether it was attempted. Its sender
// gives it up once it has attempted it, and moves the cursor past it.
func Erasable(p Pending, a Age, now heartbeat.Instant, giveUp time.Duration) bool {
	switch p {
	case NotPending:
		return a.Over(now, OutboxAge)
	case MaybePending:
		return a.Over(now, giveUp+OutboxAge)
	default:
		return false
	}
}

// Ages remembers, from one complete list to the next, since when this process knows each
// of the listed. The zero value knows nothing. It is not safe for concurrent use.
type Ages struct {
	of     map[string]Age
	listed heartbeat.Instant // when the last list began; 0: there was none
}

// Listed takes in a complete list that began at now: when each of the listed was made, by
// its name. It returns their ages and forgets what is listed no more.
func (s *Ages) Listed(now heartbeat.Instant, wall int64, made map[string]int64) map[string]Age {
	of := make(map[string]Age, len(made))
	for name, at := range made {
		a, known := s.of[name]
		if !known {
			a = AgeOf(now, wall, at, s.listed)
		}
		of[name] = a
	}
	s.of, s.listed = of, now
	return of
}
