package identity

import "time"

// rate is how fast a token bucket fills, and how much it holds. A bucket that does not fill
// does not limit.
type rate struct{ perSecond, burst float64 }

func (r rate) off() bool { return r.perSecond <= 0 }

// times is the rate of so many callers together.
func (r rate) times(n float64) rate { return rate{r.perSecond * n, r.burst * n} }

// bucket is a token bucket. It is full when it is made.
type bucket struct {
	owed float64       // below the burst; never negative
	at   time.Duration // when spent was right
}

// fill lets the bucket fill up to now.
func (b *bucket) fill(r rate, now time.Duration) {
	if now > b.at {
		b.owed = max(0, b.owed-r.perSecond*(now-b.at).Seconds())
		b.at = now
	}
}

// wait is how long it takes until n can be taken; 0: they can be taken now. More than
// the bucket ever holds counts as all that it holds.
func (b *bucket) wait(r rate, n float64) time.Duration {
	if r.off() || n <= 0 {
		return 0
	}
	lacking := b.owed + min(n, r.burst) - r.burst
	if lacking <= tolerance {
		return 0
	}
	return time.Duration(lacking / r.perSecond * float64(time.Second))
}

// tolerance absorbs the rounding of times to nanoseconds and of tokens to floats. Without it,
// a caller that waited as long as it was told could be refused for a millionth of a token.
const tolerance = 1e-6

// take takes n, which may be more than there is: then the next one waits until the bucket has
// filled that much.
func (b *bucket) take(r rate, n float64) {
	if !r.off() {
		b.owed += min(n, r.burst)
	}
}
