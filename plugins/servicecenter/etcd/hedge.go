package etcd

import (
	"context"
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	// hedgeCallAfter: a call without an answer is sent once more, most likely to
	// another member. A member that was paused keeps its connections for the 13 s
	// until a ping fails, and without this every third call would wait for it: a
	// refutation that waits for longer than the hold comes too late.
	hedgeCallAfter = 200 * time.Millisecond
	maxAttempts    = 6 // within CallTimeout; each meets a silent member of three by a chance of a third
	// maxHedges bounds the calls that are sent again, so that a store which is slow
	// as a whole is not made slower.
	maxHedges = 64
)

// hedgePermits are the permits for sending again, of calls and renewals together; nil:
// never (embedded, or one endpoint).
type hedgePermits chan struct{}

// Hedged makes a call whose repetition does no harm; while there is no answer it makes the
// call again beside the first, to another member of a cluster most likely. resent says
// that it was made more than once. The answers that come too late are cancelled and dropped.
func Hedged[T any](ctx context.Context, c *Client, call func(context.Context) (T, error)) (out T, resent bool, err error) {
	return hedged(ctx, c.permits, call)
}

func hedged[T any](ctx context.Context, free hedgePermits, call func(context.Context) (T, error)) (out T, resent bool, err error) {
	if free == nil {
		out, err = call(ctx)
		return out, false, err
	}
	type result struct {
		out T
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, maxAttempts)
	attempt := func() {
		out, err := call(ctx)
		results <- result{out, err}
	}
	go attempt()
	flying, made := 1, 1
	later := time.NewTimer(hedgeCallAfter)
	defer later.Stop()
	for {
		select {
		case r := <-results:
			if flying--; definite(r.err) || flying == 0 {
				return r.out, made > 1, r.err
			}
		case <-later.C:
			if made == maxAttempts {
				continue
			}
			later.Reset(hedgeCallAfter)
			select {
			case free <- struct{}{}:
				flying, made = flying+1, made+1
				go func() {
					defer func() { <-free }()
					attempt()
				}()
			default:
			}
		}
	}
}

// definite says whether an error is an answer of the store: one that says no, and not that
// nothing was heard.
func definite(err error) bool {
	err = Translate(err)
	return err == nil || errors.Is(err, heartbeat.ErrLeaseGone) || errors.Is(err, heartbeat.ErrFull)
}
