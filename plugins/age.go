package plugins

import (
	"hash/maphash"
	"math"
	"time"
)

const (
	// OutboxAge is how long an event is kept at least, even if it is pending for nobody.
	OutboxAge = time.Minute
	// maxObserved bounds for how long this process must have observed something itself
	// before it may expire.
	maxObserved = time.Hour
	// LongestAge is what more than that counts as, a century and a half, so that no sum overflows.
	LongestAge = time.Duration(math.MaxInt64 / 2)
)

// Age is how old something is that the store keeps. A wall clock that is wrong, or is set,
// would make it expire at once. So the wall clock is read once, when this process first
// sees it, and only for the time before that; from then on the monotonic clock counts.
type Age struct {
	Since  Instant       // when this process saw it first
	Before time.Duration // how old it was then, at least 0
}

// AgeOf is the age of what this process sees now for the first time. made is when it was
// made, by the wall clock of whoever made it, in Unix nanoseconds. since is the last moment
// at which this process had seen everything that there was: it was made later, whatever
// made says. 0: there was no such moment.
func AgeOf(now Instant, wall, made int64, since Instant) Age {
	before := LongestAge
	if since != 0 {
		before = max(now-since, 0)
	}
	if wall <= made {
		before = 0
	} else if age := time.Duration(wall - made); age > 0 { // else it overflowed: centuries
		before = min(before, age)
	}
	return Age{Since: now, Before: before}
}

// At is how old it is at now.
func (a Age) At(now Instant) time.Duration { return a.Before + now - a.Since }

// Remaining is how long it is until it expires: until it is as old as most, and this process
// has observed it for most, or for an hour if that is less. Once it has, it is 0 or less.
func (a Age) Remaining(now Instant, most time.Duration) time.Duration {
	observed := now - a.Since
	return max(min(most, maxObserved)-observed, most-a.Before-observed)
}

// Expired says whether Remaining is 0 or less.
func (a Age) Expired(now Instant, most time.Duration) bool {
	return a.Remaining(now, most) <= 0
}

// GivenUp says whether the sender of an event gives it up. An event is lost if its age alone
// decides, so it must have expired and this sender must have attempted it.
func GivenUp(a Age, now Instant, giveUp time.Duration, attempted bool) bool {
	return attempted && a.Expired(now, giveUp)
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
func Erasable(p Pending, a Age, now Instant, giveUp time.Duration) bool {
	switch p {
	case NotPending:
		return a.Expired(now, OutboxAge)
	case MaybePending:
		return a.Expired(now, min(giveUp, LongestAge)+OutboxAge)
	default:
		return false
	}
}

// Ages remembers, from one complete list to the next, when this process saw each of the
// listed first. The zero value has seen nothing. It is not safe for concurrent use.
type Ages struct {
	seed   maphash.Seed
	byName map[uint64]Age // by sums of the names, which are long: two of one sum are no more likely than a fault of the memory
	listed Instant        // when the last list began; 0: there was none
}

// Listed takes in a complete list that began at now: for the name of each of the listed,
// when it was made. It returns their ages and forgets what is listed no more.
func (s *Ages) Listed(now Instant, wall int64, made map[string]int64) map[string]Age {
	if s.byName == nil {
		s.seed = maphash.MakeSeed()
	}
	ages, byName := make(map[string]Age, len(made)), make(map[uint64]Age, len(made))
	for name, at := range made {
		sum := maphash.String(s.seed, name)
		a, seen := s.byName[sum]
		if !seen {
			a = AgeOf(now, wall, at, s.listed)
		}
		ages[name], byName[sum] = a, a
	}
	s.byName, s.listed = byName, now
	return ages
}
