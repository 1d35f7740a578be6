package notify

import "time"

// waits are the times between attempts; the last one goes on.
var retryWaits = [...]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}

const (
	retrySpread = 0.2 // of a wait, up and down, so that subscribers do not come back all at once
	// maxRetryAfter bounds what a subscriber may ask for: our own longest wait.
	maxRetryAfter = time.Hour
)

// backoff is the wait after so many failures in a row; random is from [0, 1).
func backoff(failures int, random float64) time.Duration {
	wait := retryWaits[min(failures, len(retryWaits))-1]
	return time.Duration(float64(wait) * (1 - retrySpread + 2*retrySpread*random))
}
