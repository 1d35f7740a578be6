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

// OverLimit is the error of a write that Limits refuses. It may be tried again after Wait.
type OverLimit struct{ Wait time.Duration }

func (e *OverLimit) Error() string { return "over a limit of writes for " + e.Wait.String() }

// RoomAfter is the Retry-After, in seconds, of a 507 to what adds to the store: the store
// looks for room each second, but history is kept for some seconds before it goes, so
// that room which was made can be used after five to eleven.
const RoomAfter = 12

// adding says when a full store may have room again, to whoever adds to it.
func (s *api) withRoomAfter(do handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request, c target) error {
		err := do(w, r, c)
		if !errors.Is(err, heartbeat.ErrFull) {
			return err
		}
		full := problemOf(err, s.options)
		full.retryAfter = RoomAfter
		return full
	}
}

// limited counts a request before it is carried out: by the length of its body if that
// is told, else while it is read. A body that is larger than bodies may be is refused
// for that, unread and uncounted.
func (s *api) withLimits(do handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request, c target) error {
		if r.ContentLength > s.options.MaxBody {
			return do(w, r, c)
		}
		if wait := s.options.Limits.Write(c.app, r.RemoteAddr, max(r.ContentLength, 0)); wait > 0 {
			return &OverLimit{wait}
		}
		if r.ContentLength < 0 {
			r.Body = &CountedBody{r.Body, func(n int64) time.Duration { return s.options.Limits.Bytes(c.app, r.RemoteAddr, n) }}
		}
		return do(w, r, c)
	}
}

// CountedBody is a request's body that is counted while it is read, because its length
// was not told before. Count is given the bytes of each Read; when it returns a wait above
// 0, reading ends with *OverLimit.
type CountedBody struct {
	io.ReadCloser
	Count func(n int64) (wait time.Duration)
}

// Read implements io.Reader.
func (b *CountedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		if wait := b.Count(int64(n)); wait > 0 {
			return n, &OverLimit{wait}
		}
	}
	return n, err
}
