package identity

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
)

// audit writes one line for each request that is refused or that may change something. It
// stands in front of whoever finds out who calls, so that it sees what is refused there too.
// A heartbeat has a line only if it is refused.
type audit struct {
	sums   *sums
	now    func() time.Time
	holder *holder   // nil: no refusal is held up
	beats  sync.Pool // of *record: a heartbeat costs no allocation more
}

func newAudit(write func(auditLine), now func() time.Time) *audit {
	return &audit{sums: &sums{write: write}, now: now, beats: sync.Pool{New: func() any { return new(record) }}}
}

// Handler is next with its requests audited.
func (a *audit) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if plugins.Beats(r) {
			rec, _ := a.beats.Get().(*record)
			*rec = record{ResponseWriter: w, holder: a.holder, request: r, changes: true}
			next.ServeHTTP(rec, r)
			a.finish(rec, r)
			*rec = record{}
			a.beats.Put(rec)
			return
		}
		rec := &record{ResponseWriter: w, holder: a.holder, request: r, changes: plugins.Changes(r.Method)}
		next.ServeHTTP(rec, r)
		a.finish(rec, r)
	})
}

// finish writes the line of a request that was answered.
func (a *audit) finish(rec *record, r *http.Request) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK // as net/http answers
	}
	outcome := outcomeOf(status)
	if rec.refused {
		outcome = outcomeRefused
	}
	if !rec.changes && outcome != outcomeRefused {
		return
	}
	a.sums.add(a.now(), newLine(rec, r, status, outcome))
}

// record notes what becomes of one request.
type record struct {
	http.ResponseWriter
	holder  *holder
	request *http.Request
	caller  *plugins.Caller
	claimed string // an id that was not proved, or is not yet
	route   string
	changes bool
	refused bool // whatever the status: a part of what was asked for, or a browser is led to the login
	status  int  // 0: nothing was written
}

var _ plugins.Noted = (*record)(nil)

// NoteCaller implements plugins.Noted.
func (n *record) NoteCaller(c *plugins.Caller) { n.caller = c }

// NoteClaim implements plugins.Noted.
func (n *record) NoteClaim(id string) { n.claimed = id }

// NoteRoute implements plugins.Noted.
func (n *record) NoteRoute(name string, changes bool) { n.route, n.changes = name, changes }

// NoteRefused is what plugins.NoteRefused calls.
func (n *record) NoteRefused() { n.refused = true }

// WriteHeader implements http.ResponseWriter.
func (n *record) WriteHeader(status int) {
	if n.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		n.status = status
		if n.holder != nil && (n.refused || outcomeOf(status) == outcomeRefused) {
			n.holder.refused(n.request, n.caller)
		}
	}
	n.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (n *record) Write(p []byte) (int, error) {
	if n.status == 0 {
		n.status = http.StatusOK
	}
	return n.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (n *record) Flush() { _ = http.NewResponseController(n.ResponseWriter).Flush() }

// Hijack implements http.Hijacker, for websockets.
func (n *record) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	n.status = http.StatusSwitchingProtocols
	return http.NewResponseController(n.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController through.
func (n *record) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// What becomes of a request.
const (
	outcomeDone    = "done"
	outcomeRefused = "refused" // the caller may not do this, or not like this
	outcomeFailed  = "failed"  // what it is about is not there or not in that state, or the platform failed
)

func outcomeOf(status int) string {
	switch {
	case status < http.StatusBadRequest:
		return outcomeDone
	case status >= http.StatusInternalServerError:
		return outcomeFailed
	}
	switch status {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusPreconditionFailed:
		return outcomeFailed
	}
	return outcomeRefused
}

// requestID is the id that a caller or a proxy gave the request, if it has the form of one:
// anything else could be a secret, or longer than a line should be.
func requestID(r *http.Request) string {
	values := r.Header["X-Request-Id"]
	if len(values) != 1 || len(values[0]) > 64 {
		return ""
	}
	if strings.ContainsFunc(values[0], func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.'
	}) {
		return ""
	}
	return values[0]
}
