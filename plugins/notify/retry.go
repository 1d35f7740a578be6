package notify

import "time"

// retryWaits are the times between attempts; the last one repeats.
var retryWaits = [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}

const (
	retrySpread = 0.2 // part by which a wait is longer or shorter, so that attempts spread
	// maxRetryAfter bounds what a consumer may ask for by Retry-After: our own longest wait.
	maxRetryAfter = time.Hour
)

// backoff is the wait after so many failures in a row, at least one; random is from [0, 1).
func backoff(failures int, random float64) time.Duration {
	wait := retryWaits[min(failures, len(retryWaits))-1]
	return time.Duration(float64(wait) * (1 - retrySpread + 2*retrySpread*random))
}
