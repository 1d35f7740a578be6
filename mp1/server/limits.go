package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// Limits bounds how much a caller may ask for. The caller is the identity in the context; if
// there is none, the application that the path names; if it names none, peer, which is the
// connection's remote address. A wait above 0 refuses, and says when the request may be tried
// again.
type Limits interface {
	// Write counts a write with a body of so many bytes.
	Write(ctx context.Context, app, peer string, bytes int64) (wait time.Duration)
	// Bytes counts n bytes that were read of a body whose length was not known before.
	Bytes(ctx context.Context, app, peer string, n int64) (wait time.Duration)
	// List counts a list. Without identities none is counted.
	List(ctx context.Context, peer string) (wait time.Duration)
	// Listed counts what was answered to a request that reads: a large answer counts as
	// several lists.
	Listed(ctx context.Context, peer string, bytes int64)
}

// OverLimit is the error of a request that Limits refuses. It may be tried again after Wait.
type OverLimit struct {
	Wait time.Duration
	List bool // it asked for a list; otherwise it was a write
}

// Error implements error.
func (e *OverLimit) Error() string {
	if e.List {
		return "over the limit of lists for " + e.Wait.String()
	}
	return "over a limit of writes for " + e.Wait.String()
}

// RoomAfter is the Retry-After, in seconds, of a 507 to a request that adds to a full store.
// The store looks for room each second, but keeps its history for some seconds before it is
// dropped, so that room which somebody makes can be used after 5 to 11 seconds.
const RoomAfter = 12

// withRoomAfter has a 507 say when a full store may have room again.
func (s *api) withRoomAfter(do handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request, t target) error {
		err := do(w, r, t)
		if !errors.Is(err, heartbeat.ErrFull) {
			return err
		}
		full := problemOf(err, s.options)
		full.retryAfter = RoomAfter
		return full
	}
}

// withLimits counts a request before it is carried out: by the length of its body if that is
// known, else while the body is read. One that is larger than MaxBody is not counted: it is
// refused without being read.
func (s *api) withLimits(do handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request, t target) error {
		if r.ContentLength > s.options.MaxBody {
			return do(w, r, t)
		}
		if wait := s.options.Limits.Write(r.Context(), t.app, r.RemoteAddr, max(r.ContentLength, 0)); wait > 0 {
			return &OverLimit{Wait: wait}
		}
		if r.ContentLength < 0 {
			r.Body = &CountedBody{r.Body, func(n int64) time.Duration { return s.options.Limits.Bytes(r.Context(), t.app, r.RemoteAddr, n) }}
		}
		return do(w, r, t)
	}
}

// withListLimit counts a list before it is made.
func (s *api) withListLimit(do handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request, t target) error {
		if wait := s.options.Limits.List(r.Context(), r.RemoteAddr); wait > 0 {
			return &OverLimit{Wait: wait, List: true}
		}
		return do(w, r, t)
	}
}

// CountedBody is the body of a request, counted while it is read because its length was not
// known before. Count gets the bytes of each Read; if it returns a wait above 0, reading ends
// with *OverLimit.
type CountedBody struct {
	io.ReadCloser
	Count func(n int64) (wait time.Duration)
}

// Read implements io.Reader.
func (b *CountedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		if wait := b.Count(int64(n)); wait > 0 {
			return n, &OverLimit{Wait: wait}
		}
	}
	return n, err
}
