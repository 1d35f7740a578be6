package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1/client"
)

// statusOf is the status code of the answer that err is, 0 if it is none.
func statusOf(err error) int {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// retryAfter is the wait that the answer asks for, 0 if it asks for none.
func retryAfter(err error) time.Duration {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.RetryAfter
	}
	return 0
}

// shorterWait is the one of two errors that asks for the shorter wait, or that asks for
// one at all. a may be nil.
func shorterWait(a, b error) error {
	wa, wb := retryAfter(a), retryAfter(b)
	if a == nil || wb > 0 && (wa == 0 || wb < wa) {
		return b
	}
	return a
}

// failsOver reports whether another endpoint may answer better. A token that is missing or
// refused will be so there, too.
func failsOver(err error) bool {
	switch statusOf(err) {
	case 0:
		return !errors.Is(err, ErrToken)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// notSent reports whether the request certainly reached nobody, so that even a POST may be
// sent to another endpoint.
func notSent(err error) bool {
	var op *net.OpError
	return statusOf(err) == 0 && errors.As(err, &op) && op.Op == "dial"
}

// mayHaveSucceeded reports whether a POST that failed may have been carried out.
func mayHaveSucceeded(err error) bool {
	s := statusOf(err)
	return !notSent(err) && !errors.Is(err, ErrToken) && (s == 0 || s >= http.StatusInternalServerError)
}

// permanent reports whether the same request would be refused again: a 4xx that speaks of
// neither time, load, tokens nor a change that somebody else has made meanwhile.
func permanent(err error) bool {
	switch s := statusOf(err); s {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusPreconditionFailed, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return s >= 400 && s < 500
	}
}

// outcomeText is an outcome as Status shows it: good if there is no error, else the status
// code and detail of the answer, or why there was none.
func outcomeText(err error, good string) string {
	var p *client.Problem
	switch {
	case err == nil:
		return good
	case errors.As(err, &p):
		text := strconv.Itoa(p.Status)
		if p.Detail != "" {
			text += ", " + p.Detail
		}
		return text
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return printable(strings.TrimPrefix(withoutURL(err).Error(), "mp1 client: "))
}

// withoutURL takes the URL out of an error of net/http. A secret in it would be logged.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
