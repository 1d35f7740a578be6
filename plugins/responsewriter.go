package plugins

import (
	"errors"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// responseWriter writes one answer. The status is not sent before there is something to
// write, so that what is too much can still be refused.
type responseWriter struct {
	http.ResponseWriter
	responses *Responses
	control   *http.ResponseController
	made      func()        // the answer is made; nil: nobody waits for that
	size      *atomic.Int64 // of answers of its kind; nil: it has none
	began     time.Time
	status    int
	sent      bool // the status was
	refused   bool
	written   int64
	due       int64 // of written, when the deadline is set anew
}

// Unwrap lets http.ResponseController through.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// OnWrite has f called before the first byte is written, when the answer is made and
// counted; f is not called if nothing is.
func (w *responseWriter) OnWrite(f func()) {
	if w.made == nil {
		w.made = f
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

// Write implements http.ResponseWriter. A large p is held until its reader took it.
func (w *responseWriter) Write(p []byte) (n int, err error) {
	if w.refused {
		return len(p), nil
	}
	if w.size != nil && !w.sent && (w.status == 0 || w.status == http.StatusOK) { // a refusal is not what was asked for
		w.size.Store(int64(len(p)))
	}
	if len(p) >= largeWrite && !w.sent {
		release, ok := w.responses.Hold(int64(len(p)))
		if !ok {
			w.refuse()
			return len(p), nil
		}
		defer release()
	}
	if w.made != nil {
		w.made()
	}
	w.send()
	for err == nil && n < len(p) {
		if len(p) >= largeWrite || w.written >= w.due {
			w.hurry()
		}
		var more int
		more, err = w.ResponseWriter.Write(p[n:min(n+largeWrite, len(p))])
		n += more
		w.written += int64(more)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.responses.cut.Inc()
	}
	return n, err
}

// refuse answers that too much is unread; what the handler says is dropped.
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

// hurry gives the reader time for the next piece: not longer than stall, and not more in
// all than its pace earned. A short answer has the server's own deadline.
func (w *responseWriter) hurry() {
	w.due = w.written + largeWrite
	deadline := w.responses.now().Add(stall)
	if all := w.began.Add(grace + time.Duration(w.written)*time.Second/minPace); all.Before(deadline) {
		deadline = all
	}
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

// end sends the status of an answer without a body.
func (w *responseWriter) end() {
	if !w.refused {
		w.send()
	}
}
