package servicecenter

import (
	"context"
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

const (
	// askAgainAfter: a call without an answer is sent once more, most likely to
	// another member. A member that was paused keeps its connections for the 13 s
	// until a ping fails, and without this every third call would wait for it: a
	// refutation that waits for longer than the hold comes too late.
	askAgainAfter = 200 * time.Millisecond
	mostAttempts  = 6 // within callTimeout; each meets a silent member of three by a chance of a third
	// mostSpares bounds the calls that are sent again, so that a store which is slow
	// as a whole is not made slower.
	mostSpares = 64
)

// errUnsure: the transaction was sent twice and one of them found its compares
// failed, which the other may have caused.
var errUnsure = errors.New("the store did not say whether the transaction was carried out")

// spares are the permits for sending again, of calls and renewals together; nil:
// never (embedded, or one endpoint).
type spares chan struct{}

// hedged makes a call whose repetition does no harm, and makes it again beside the
// first while there is no answer. again says that it was made more than once. The
// answers that come too late are cancelled and dropped.
func hedged[T any](ctx context.Context, free spares, call func(context.Context) (T, error)) (out T, again bool, err error) {
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
	results := make(chan result, mostAttempts)
	attempt := func() {
		out, err := call(ctx)
		results <- result{out, err}
	}
	go attempt()
	flying, made := 1, 1
	later := time.NewTimer(askAgainAfter)
	defer later.Stop()
	for {
		select {
		case r := <-results:
			if flying--; definite(r.err) || flying == 0 {
				return r.out, made > 1, r.err
			}
		case <-later.C:
			if made == mostAttempts {
				continue
			}
			later.Reset(askAgainAfter)
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

// definite tells an answer of the store from the lack of one.
func definite(err error) bool {
	err = translate(err)
	return err == nil || errors.Is(err, heartbeat.ErrLeaseGone) || errors.Is(err, heartbeat.ErrFull)
}
