package agent

import (
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"time"
)

// jitter is a source of numbers in [0, 1), which part agents and services that would
// otherwise send at the same moments.
type jitter func() float64

var randomJitter jitter = rand.Float64

// shorten takes up to a tenth off an interval. It never adds: a heartbeat must not be
// later than the platform told.
func (j jitter) shorten(interval time.Duration) time.Duration {
	return interval - time.Duration(j()*float64(interval)/10)
}

// firstInterval is the wait after a heartbeat that was sent at once: from a tenth of the
// interval to the whole, always the same for one id. Services that were registered or woken
// together would go on sending together otherwise.
func firstInterval(id string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	share := float64(scramble(h.Sum64())>>11) / (1 << 53)
	return time.Duration((0.1 + 0.9*share) * float64(interval))
}

// scramble spreads hashes over all 64 bits (MurmurHash3's finaliser). FNV leaves ids that
// differ in their last characters close together.
func scramble(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// backoff is the wait after the n-th failure in a row, n from 1: least, doubled with each
// failure up to most, and up to a quarter taken off.
func (j jitter) backoff(n int, least, most time.Duration) time.Duration {
	wait := least
	for range n - 1 {
		if wait >= most {
			break
		}
		wait *= 2
	}
	wait = min(wait, most)
	return wait - time.Duration(j()*float64(wait)/4)
}

const (
	minRetry           = 100 * time.Millisecond // whatever the platform says
	minRequestBackoff  = 500 * time.Millisecond
	maxRequestBackoff  = 30 * time.Second
	maxReregisterDelay = 5 * time.Second
	maxLongWait        = 5 * time.Minute // whatever the platform says, but for heartbeats
)

// heartbeatBackoff is the wait after the n-th failed heartbeat in a row: a sixteenth to a
// third of the interval, so that several tries fit into it.
func (j jitter) heartbeatBackoff(n int, interval time.Duration) time.Duration {
	least := max(interval/16, minRetry)
	return j.backoff(n, least, max(interval/3, least))
}

// requestBackoff is the wait after the n-th failure in a row of any other request.
func (j jitter) requestBackoff(n int) time.Duration {
	return j.backoff(n, minRequestBackoff, maxRequestBackoff)
}

// reregisterDelay is the wait before a service is registered again that the platform
// forgot. It may have forgotten all of them, who must not come back at one moment. From the
// second loss in a row on the wait grows.
func (j jitter) reregisterDelay(losses int, interval time.Duration) time.Duration {
	wait := time.Duration(j() * float64(min(interval/2, maxReregisterDelay)))
	if losses > 1 {
		wait += j.requestBackoff(losses - 1)
	}
	return wait
}

// retryDelay is the wait after an error: the Retry-After of the answer if it has one (429,
// 503, 507), else wait. Who asks for more than five minutes is asked again after five: a
// gateway that is being maintained must not silence an agent for the rest of the day.
func retryDelay(wait time.Duration, err error) time.Duration {
	if told := retryAfter(err); told > 0 {
		return min(max(told, minRetry), maxLongWait)
	}
	return wait
}

// registerDelay is the wait after the n-th POST in a row that failed. What is refused for good
// is tried again rarely, for only somebody else can change that. A platform that limits
// changes answers 429 and tells every service the same wait, after which all would come at
// once: what is refused again and again waits longer than it is told.
func (j jitter) registerDelay(n int, err error) time.Duration {
	wait := j.requestBackoff(n)
	switch {
	case permanent(err):
		return retryDelay(j.backoff(n, minRequestBackoff, maxLongWait), err)
	case statusOf(err) == http.StatusTooManyRequests:
		return max(wait, retryDelay(wait, err))
	}
	return retryDelay(wait, err)
}

// heartbeatDelay is the wait after the n-th heartbeat in a row that failed. silent is how long
// the platform has taken none. Its Retry-After is obeyed no longer than the window allows,
// which is two intervals at least; what is over its window is tried once an interval.
func (j jitter) heartbeatDelay(n int, interval, silent time.Duration, err error) time.Duration {
	wait := j.heartbeatBackoff(n, interval)
	told := retryDelay(wait, err)
	if left := interval*15/8 - silent; left >= wait {
		return min(told, left)
	}
	return min(told, max(interval, wait))
}

// maxInterval keeps the arithmetic of intervals from overflowing, whatever a platform tells.
// An agent sends a heartbeat a day at least.
const maxInterval = 24 * time.Hour

// secondsOf is a number of seconds that a platform told.
func secondsOf(n int) time.Duration {
	return time.Duration(min(max(n, 0), int(maxInterval/time.Second))) * time.Second
}
