package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/mp1/retryafter"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

const (
	connectTimeout = 2 * time.Second
	tlsTimeout     = 3 * time.Second
	// restTimeout is how long the rest of a response may take after its header. A consumer
	// that needs longer would hold its permit although its status is known; it is cut off.
	restTimeout = 100 * time.Millisecond
	maxAnswer   = 4 << 10
	maxHeader   = 16 << 10
)

// outcome says how an attempt ended; it is a label of metrics.
type outcome uint8

const (
	delivered  outcome = iota // any 2xx
	gone                      // 410
	redirected                // any 3xx: not followed
	refused                   // any other 4xx
	failed                    // any 5xx, and what is no status of HTTP
	timedOut
	forbidden // by our policy of addresses
	unreachable
	untrusted    // its certificate is signed by nobody that we trust, or is not its own
	cutShort     // it took longer than preemptAfter while others waited for its permit
	disconnected // its WebSocket ended meanwhile; no attempt was made that says anything of the consumer
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"delivered", "gone", "redirect", "client_error", "server_error", "timeout", "forbidden", "unreachable", "untrusted", "cut_short", "disconnected"}[o]
}

// result is how an attempt ended.
type result struct {
	outcome    outcome
	retryAfter time.Duration // 0: not said
	unfinished bool          // the status came, but the rest of the response did not end in time
}

func (r result) delivered() bool { return r.outcome == delivered }
func (r result) gone() bool      { return r.outcome == gone }

// hung says whether we ended the attempt, whatever the status was.
func (r result) hung() bool {
	return r.outcome == timedOut || r.outcome == cutShort || r.unfinished
}

// webhook sends POSTs to consumers, which it does not trust.
type webhook struct {
	client    *http.Client
	timeout   time.Duration
	userAgent string
	signer    signer
	trust     trust
}

// newWebhook makes a webhook. resolver, if not nil, replaces the system's.
func newWebhook(p policy, timeout time.Duration, version string, resolver *net.Resolver) *webhook {
	if resolver == nil {
		resolver = &net.Resolver{Dial: askDNS}
	}
	dialer := &net.Dialer{Timeout: connectTimeout, Control: p.control, Resolver: resolver}
	w := &webhook{timeout: timeout, userAgent: "mepserver/" + version}
	dial := tracked(dialer.DialContext)
	w.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:       nil, // the policy does not see the address behind a proxy
			DialContext: dial,
			DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return w.trust.secured(dial)(ctx, network, address)
			},
			DisableKeepAlives:      true, // so that each attempt dials, and is checked
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
	return w
}

// unusableFiles is how many files of keys and certificates cannot be used as they are now.
func (w *webhook) unusableFiles() (n int) {
	for _, fails := range []bool{unusable(w.signer.keys), unusable(w.trust.authorities), unusable(w.trust.pair)} {
		if fails {
			n++
		}
	}
	return n
}

// unusable says whether files hold something that cannot be used. It looks at them too, for
// without notifications nobody else does.
func unusable[T any](k *certs.Kept[T]) bool {
	if k == nil {
		return false
	}
	k.Current()
	return k.Failing()
}

// post attempts a delivery once. Of the response only the status and Retry-After are used.
func (w *webhook) post(ctx context.Context, d delivery, wall int64) result {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	opened := &connections{ctx: ctx}
	defer opened.close()
	ctx = context.WithValue(ctx, connectionsKey{}, opened)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(d.body))
	if err != nil {
		return result{outcome: unreachable}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", w.userAgent)
	// The headers of Standard Webhooks: an id that every attempt of the same delivery has,
	// the time of this attempt, and the signatures of both and of the body.
	timestamp := strconv.FormatInt(wall/int64(time.Second), 10)
	r.Header.Set("Webhook-Id", d.id)
	r.Header.Set("Webhook-Timestamp", timestamp)
	if signatures := w.signer.sign(d.id, timestamp, d.body); signatures != "" {
		r.Header.Set("Webhook-Signature", signatures)
	}
	res, err := w.client.Do(r) //nolint:bodyclose // finish closes it
	if err != nil {
		return result{outcome: outcomeOfError(ctx, err)}
	}
	return result{outcome: outcomeOf(res.StatusCode), retryAfter: retryafter.Parse(res.Header), unfinished: !finish(ctx, opened, res.Body)}
}

// finish reads the rest of the response, so that a consumer that writes one does not fail,
// and drops it. false: it did not end in time. A connection that switched protocols would be
// read for ever, for it does not end with ctx; closing it ends the wait.
func finish(ctx context.Context, opened *connections, body io.ReadCloser) bool {
	ctx, cancel := context.WithTimeout(ctx, restTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, opened.close)()
	_, err := io.CopyN(io.Discard, body, maxAnswer)
	_ = body.Close()
	return err == nil || errors.Is(err, io.EOF) || ctx.Err() == nil
}

// outcomeOf is the outcome of an attempt that got a status.
func outcomeOf(status int) outcome {
	switch {
	case status >= 200 && status <= 299:
		return delivered
	case status == http.StatusGone:
		return gone
	case status >= 300 && status <= 399:
		return redirected
	case status >= 400 && status <= 499:
		return refused
	default:
		return failed
	}
}

// outcomeOfError is the outcome of an attempt that got no status. It does not look at the
// text of the error, which the consumer may have written.
func outcomeOfError(ctx context.Context, err error) outcome {
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(context.Cause(ctx), errPreempted):
		return cutShort
	case errors.Is(err, errForbidden):
		return forbidden
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	case errors.As(err, &certificate):
		return untrusted
	default:
		return unreachable
	}
}
