package client

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

const (
	// keysAge is how long keys are used before they are read again, so that one that was
	// withdrawn is not accepted for ever.
	keysAge = time.Minute
	// keysPause is between two readings: everybody may send a signature of an unknown key.
	keysPause   = 2 * time.Second
	keysTimeout = 5 * time.Second
	// rememberedReceipts is how many notifications a Verifier recognises.
	rememberedReceipts = 10000
)

// KeySource returns the public keys of whoever may sign notifications, each as whpk_BASE64;
// at least one, and at most 16. A [Verifier] calls it whenever it wants the current ones.
type KeySource func(context.Context) ([]string, error)

// FixedKeys is the source of keys that are known, such as from a configuration. It fails if
// one of them is none.
func FixedKeys(keys ...string) (KeySource, error) {
	if _, err := parseKeys(keys); err != nil {
		return nil, err
	}
	return func(context.Context) ([]string, error) { return keys, nil }, nil
}

// WebhookKeys returns the keys by which the platform signs its notifications, for a
// [Verifier] as its [KeySource]. They are as trustworthy as the connection: over http whoever
// is on the way can exchange them.
func (c *Client) WebhookKeys(ctx context.Context) ([]string, error) {
	var out mp1.WebhookKeys
	err := c.call(ctx, request{method: http.MethodGet, path: c.webhookKeys, status: http.StatusOK}, &out)
	return out.Keys, err
}

// Verifier tells the notifications of a platform from those of anybody else, by their
// signature (Standard Webhooks 1.0.0, scheme v1a: Ed25519). It is safe for concurrent use.
//
// It follows a platform that exchanges its keys: a signature by none of the keys it knows
// has it read them again, at most every two seconds, and after a minute it does anyway. If
// they cannot be read, it goes on with those it has.
type Verifier struct {
	source KeySource

	keys    atomic.Pointer[[]ed25519.PublicKey] // nil: not read yet
	tried   atomic.Int64                        // when they were read last or could not be, in Unix nanoseconds
	reading sync.Mutex
	failed  error // of the last reading; reading is held

	receipts receipts
}

// NewVerifier returns a verifier by the keys of a source, which it does not call yet.
func NewVerifier(keys KeySource) *Verifier { return &Verifier{source: keys} }

// Verify says whether a request is a notification of the platform, by its headers and its
// body as it was sent. The error is [ErrUnverified] if it has no signature or none of the
// platform's, if its time is more than five minutes from ours, or if it was verified before:
// a platform that sends a notification again gives it another time. Of those verified the
// last 10,000 are remembered, and what is older than these is refused. Any other error: the
// keys could not be had, and nobody knows.
func (v *Verifier) Verify(ctx context.Context, h http.Header, body []byte) error {
	s, err := readSigned(h)
	if err != nil {
		return err
	}
	if off := time.Since(s.at); off > tolerance || off < -tolerance {
		return unverified("its time is more than " + tolerance.String() + " from ours")
	}
	if err := v.proved(ctx, s, body); err != nil {
		return err
	}
	return v.receipts.add(receipt{s.id, s.at.Unix()})
}

// takeBack has a notification that was verified verified once more.
func (v *Verifier) takeBack(h http.Header) {
	if s, err := readSigned(h); err == nil {
		v.receipts.remove(receipt{s.id, s.at.Unix()})
	}
}

// proved wants a signature by a key of the platform, if need be one that was not known yet.
func (v *Verifier) proved(ctx context.Context, s signed, body []byte) error {
	known := v.keys.Load()
	if known == nil || time.Since(time.Unix(0, v.tried.Load())) > keysAge {
		current, err := v.read(ctx, known)
		if err != nil {
			return err
		}
		known = current
	}
	if s.by(*known, body) {
		return nil
	}
	if current, err := v.read(ctx, known); err == nil && current != known && s.by(*current, body) {
		return nil
	}
	return unverified("no signature is by a key of the platform")
}

// read returns the current keys, unless they were read just now. known are those that the
// caller has; if others have come since, they are returned. An error: there are none.
func (v *Verifier) read(ctx context.Context, known *[]ed25519.PublicKey) (*[]ed25519.PublicKey, error) {
	v.reading.Lock()
	defer v.reading.Unlock()
	if current := v.keys.Load(); current != known {
		return current, nil
	}
	if at := v.tried.Load(); at == 0 || time.Since(time.Unix(0, at)) >= keysPause {
		v.failed = v.replace(ctx)
		v.tried.Store(time.Now().UnixNano())
	}
	if current := v.keys.Load(); current != nil {
		return current, nil
	}
	return nil, v.failed
}

// replace reads the keys. The request that wants them may end meanwhile: others want them too.
func (v *Verifier) replace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	texts, err := v.source(ctx)
	if err != nil {
		return err
	}
	keys, err := parseKeys(texts)
	if err == nil {
		v.keys.Store(&keys)
	}
	return err
}

// receipt is a notification that was verified.
type receipt struct {
	id string
	at int64 // its time, in Unix seconds
}

// receipts are the last that were verified. Who has recorded a notification can send it again
// as it is: it is known, or not newer than what was forgotten for want of room.
type receipts struct {
	mu        sync.Mutex
	known     map[receipt]bool
	oldest    []receipt // the known ones as a ring, next is overwritten
	next      int
	forgotten int64 // the newest time of those that are not known any more
}

func (r *receipts) add(one receipt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.known[one]:
		return unverified("it was received before")
	case one.at <= r.forgotten:
		return unverified("it may have been received before: newer ones are forgotten")
	}
	if r.known == nil {
		r.known = map[receipt]bool{}
	}
	r.known[one] = true
	if len(r.oldest) < rememberedReceipts {
		r.oldest = append(r.oldest, one)
		return nil
	}
	last := r.oldest[r.next]
	delete(r.known, last)
	r.forgotten = max(r.forgotten, last.at)
	r.oldest[r.next] = one
	r.next = (r.next + 1) % rememberedReceipts
	return nil
}

// remove takes a receipt back: its notification was verified and could not be handled, and the
// platform may send it again within the same second.
func (r *receipts) remove(one receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, one)
}
