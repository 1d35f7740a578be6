package identity

import "time"

// rate is how fast a bucket fills, and how much it holds. One that does not fill does
// not limit.
type rate struct{ perSecond, burst float64 }

func (r rate) off() bool { return r.perSecond <= 0 }

// times is the rate of so many callers together.
func (r rate) times(n float64) rate { return rate{r.perSecond * n, r.burst * n} }

// bucket is a token bucket. It is full when it is made.
type bucket struct {
	spent float64       // below the burst; never negative
	at    time.Duration // when spent was right
}

// fill lets the bucket fill up to now.
func (b *bucket) fill(r rate, now time.Duration) {
	if now > b.at {
		b.spent = max(0, b.spent-r.perSecond*(now-b.at).Seconds())
		b.at = now
	}
}

// wait is how long it takes until n can be taken; 0: they can be taken now. More than
// the bucket ever holds counts as all that it holds.
func (b *bucket) wait(r rate, n float64) time.Duration {
	if r.off() || n <= 0 {
		return 0
	}
	lacking := b.spent + min(n, r.burst) - r.burst
	if lacking <= tolerance {
		return 0
	}
	return time.Duration(lacking / r.perSecond * float64(time.Second))
}

// tolerance absorbs the rounding of times to nanoseconds and of tokens to floats: who
// waits as long as it was told is not refused for a millionth of a token.
const tolerance = 1e-6

// take takes n, which may be more than there is: then others wait until the debt is
// paid.
func (b *bucket) take(r rate, n float64) {
	if !r.off() {
		b.spent += min(n, r.burst)
	}
}
