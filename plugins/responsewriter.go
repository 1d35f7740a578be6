package plugins

import (
	"errors"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// responseWriter writes one response. It does not send the status before there is something
// to write, so that a response that is too large can still become a 503.
type responseWriter struct {
	http.ResponseWriter
	responses *Responses
	control   *http.ResponseController
	built     func()        // the answer is made; nil: nobody waits for that
	size      *atomic.Int64 // of answers of its kind; nil: it has none
	began     time.Time
	status    int
	sent      bool // the status was
	refused   bool
	written   int64
	due       int64 // of written, when the deadline is set anew
	deadline  time.Time
}

// Unwrap lets http.ResponseController through.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// OnWrite has f called before the first byte is written, when the response is built and
// counted; f is not called if nothing is written.
func (w *responseWriter) OnWrite(f func()) {
	if w.built == nil {
		w.built = f
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(status int) {
	switch {
	case status < http.StatusOK:
		w.ResponseWriter.WriteHeader(status)
	case w.status == 0:
		w.status = status
	}
}

// Write implements http.ResponseWriter. A large p counts as unread until Write returns.
func (w *responseWriter) Write(p []byte) (n int, err error) {
	if w.refused {
		return len(p), nil
	}
	if w.size != nil && !w.sent && (w.status == 0 || w.status == http.StatusOK) { // a refusal is not what was asked for
		w.size.Store(int64(len(p)))
	}
	if len(p) >= largeWrite && !w.sent {
		release, ok := w.responses.Reserve(int64(len(p)))
		if !ok {
			w.refuse()
			return len(p), nil
		}
		defer release()
	}
	if w.built != nil {
		w.built()
	}
	w.send()
	for err == nil && n < len(p) {
		if len(p) >= largeWrite || w.written >= w.due {
			w.extendDeadline()
		}
		var more int
		more, err = w.ResponseWriter.Write(p[n:min(n+largeWrite, len(p))])
		n += more
		w.written += int64(more)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || err != nil && !w.deadline.IsZero() && !w.responses.now().Before(w.deadline) { // HTTP/2 resets the stream
		w.responses.cut.Inc()
	}
	return n, err
}

// refuse answers 503 because too much is unread; what the handler writes is dropped.
func (w *responseWriter) refuse() {
	w.refused = true
	refuseUnread(w.ResponseWriter)
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() {
	if !w.refused {
		w.send()
		_ = w.control.Flush()
	}
}

// FlushError is what http.ResponseController calls.
func (w *responseWriter) FlushError() error {
	w.Flush()
	return nil
}

// extendDeadline gives the client time to read the next piece: not longer than stall, and
// not more in all than what minRate allows. A short response has the server's own deadline.
func (w *responseWriter) extendDeadline() {
	w.due = w.written + largeWrite
	deadline := w.responses.now().Add(stall)
	if all := w.began.Add(grace + time.Duration(w.written)*time.Second/minRate); all.Before(deadline) {
		deadline = all
	}
	w.deadline = deadline
	_ = w.control.SetWriteDeadline(deadline) // what cannot has no connection
}

func (w *responseWriter) send() {
	if !w.sent {
		w.sent = true
		if w.status != 0 {
			w.ResponseWriter.WriteHeader(w.status)
		}
	}
}

// finish sends the status of a response without a body.
func (w *responseWriter) finish() {
	if !w.refused {
		w.send()
	}
}
