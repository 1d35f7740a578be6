package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// ErrNoBatches says that the platform takes no heartbeats of many services at once: send each by
// Beat. It is also returned, without asking, for BatchRetry after the platform has said so.
var ErrNoBatches = errors.New("mp1 client: the platform takes heartbeats one by one only")

// BatchRetry is how long a platform is not asked again that takes no heartbeats of many services
// at once. It may have been updated meanwhile.
const BatchRetry = 10 * time.Minute

// maxResult is what is read of an answer for each heartbeat, in bytes: an id and the detail of a
// refusal, with the reason of a drain, may be escaped.
const maxResult = 4 << 10

// BeatResult is what the platform answered to one of many heartbeats.
type BeatResult struct {
	BeatAnswer
	// Err is nil or the *Problem that Beat would have returned.
	Err error
}

// Heartbeats sends up to mp1.MaxHeartbeats heartbeats in one request, and returns the result of
// each, in their order. It is an extension of this platform: ErrNoBatches is the error of others.
// After another error the heartbeats may have been taken or not.
func (c *Client) Heartbeats(ctx context.Context, beats []mp1.HeartbeatOf) ([]BeatResult, error) {
	if !c.TakesBatches() {
		return nil, ErrNoBatches
	}
	var answer mp1.HeartbeatResults
	err := c.call(ctx, request{method: http.MethodPost, path: c.heartbeats, body: mp1.Heartbeats{Heartbeats: beats}, status: http.StatusOK,
		maxBytes: int64(len(beats)) * maxResult, repeatable: true}, &answer)
	switch {
	case refusesBatches(err), err == nil && !answers(answer.Results, beats): // something else stands there
		until := time.Now().Add(BatchRetry)
		c.noBatches.Store(&until)
		return nil, ErrNoBatches
	case err != nil:
		return nil, err
	}
	out := make([]BeatResult, len(beats))
	for i, one := range answer.Results {
		out[i] = beatResult(one)
	}
	return out, nil
}

// TakesBatches reports whether Heartbeats would ask the platform.
func (c *Client) TakesBatches() bool {
	until := c.noBatches.Load()
	return until == nil || !time.Now().Before(*until)
}

// answers reports whether there is a result for each heartbeat, in order. Nobody must register a
// service anew because another one is not known.
func answers(results []mp1.HeartbeatResult, beats []mp1.HeartbeatOf) bool {
	return slices.EqualFunc(results, beats, func(r mp1.HeartbeatResult, b mp1.HeartbeatOf) bool { return r.SerInstanceID == b.SerInstanceID })
}

func beatResult(one mp1.HeartbeatResult) BeatResult {
	switch one.Status {
	case http.StatusOK, http.StatusNoContent:
		return BeatResult{BeatAnswer: BeatAnswer{NewInterval: max(one.Interval, 0)}}
	}
	return BeatResult{Err: &Problem{Status: one.Status, Detail: printable(one.Detail), drained: one.Type == mp1.DrainedType}}
}

// refusesBatches reports whether an answer says that there is no such resource, or that something
// between does not let it through. A PATCH will show what else is wrong.
func refusesBatches(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return errors.Is(err, errUnreadable)
	}
	switch p.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return p.Status < http.StatusInternalServerError || p.Status == http.StatusNotImplemented
}
