package server

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// Limits is what the handlers need of whoever bounds how much an application may write.
// A wait above 0 refuses.
type Limits interface {
	// Write counts a write with a body of so many bytes. peer is the connection's remote
	// address, for requests whose path names no application.
	Write(app, peer string, bytes int64) (wait time.Duration)
	// Bytes counts what was read of a body whose length was not told before.
	Bytes(app, peer string, n int64) (wait time.Duration)
}

// tooMany refuses what is over a limit. Retry-After is the exact wait, in whole seconds.
func tooMany(wait time.Duration) *problem {
	return &problem{status: http.StatusTooManyRequests, retry: int((wait + time.Second - 1) / time.Second),
		detail: "Too many changes, or too large ones, in a short time; wait as long as Retry-After says. Heartbeats and deletions go on."}
}

// RoomAfter is the Retry-After, in seconds, of a 507 to what adds to the store: the store
// looks for room each second, but history is kept for some seconds before it goes, so
// that room which was made can be used after five to eleven.
const RoomAfter = 12

// adding says when a full store may have room again, to whoever adds to it.
func (s *surface) adding(do handle) handle {
	return func(w http.ResponseWriter, r *http.Request, c call) error {
		err := do(w, r, c)
		if !errors.Is(err, heartbeat.ErrFull) {
			return err
		}
		full := problemOf(err, s.options)
		full.retry = RoomAfter
		return full
	}
}

// limited counts a request before it is carried out: by the length of its body if that
// is told, else while it is read. A body that is larger than bodies may be is refused
// for that, unread and uncounted.
func (s *surface) limited(do handle) handle {
	return func(w http.ResponseWriter, r *http.Request, c call) error {
		if r.ContentLength > s.options.MaxBody {
			return do(w, r, c)
		}
		if wait := s.options.Limits.Write(c.app, r.RemoteAddr, max(r.ContentLength, 0)); wait > 0 {
			return tooMany(wait)
		}
		if r.ContentLength < 0 {
			r.Body = &countedBody{r.Body, func(n int64) time.Duration { return s.options.Limits.Bytes(c.app, r.RemoteAddr, n) }}
		}
		return do(w, r, c)
	}
}

// countedBody counts while it is read, and ends with a refusal where too much was.
type countedBody struct {
	io.ReadCloser
	count func(n int64) time.Duration
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		if wait := b.count(int64(n)); wait > 0 {
			return n, tooMany(wait)
		}
	}
	return n, err
}
