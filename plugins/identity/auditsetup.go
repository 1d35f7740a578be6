package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// auditFlush is how long the end of the process waits for the file.
	auditFlush = time.Second
	// sumTick is how often it is looked whether what was counted is to be written.
	sumTick = time.Second
)

// setupAudit has requests audited if there is a file for it, or anybody to name. end writes what
// is left.
func setupAudit(h *plugins.Host, l *limits, m *plugins.Collectors) (end func() error, err error) {
	if h.Config.Audit.File == "" && !h.Config.Identified() {
		return func() error { return nil }, nil
	}
	to, err := openSink(h.Config.Audit.File, h.Errors)
	if err != nil {
		return nil, fmt.Errorf("audit.file cannot be written: %w", err)
	}
	lines := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_audit_lines_total",
		Help: "Lines of the audit log, by what became of the request."}, []string{"outcome"})
	for _, o := range []string{outcomeDone, outcomeRefused, outcomeFailed} {
		lines.WithLabelValues(o)
	}
	m.Add(lines)
	m.Add(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mep_audit_lines_dropped_total",
		Help: "Lines of audit.file that were lost because the file could not be written, or not fast enough."},
		func() float64 { return float64(to.dropped()) }))
	a := newAudit(func(l auditLine) {
		lines.WithLabelValues(l.Outcome).Inc()
		_, _ = to.Write(l.encode()) // it never fails: losses are counted
	}, time.Now)
	h.Audit = a.Handler
	if h.Config.Identified() {
		a.holder = newHolder(l, m)
	}
	h.Identity = audited{h.Identity, a}
	h.Go(a.sums.run)
	return func() error {
		a.sums.flush(time.Now(), true)
		return to.close()
	}, nil
}

// auditSink is where lines go. Its Write neither waits nor fails.
type auditSink struct {
	io.Writer
	queue *logs.Queue // in front of file; nil: the lines go into the log, which counts its own losses
	file  *auditFile
}

// openSink opens the file, or takes the log if path is "".
func openSink(path string, log io.Writer) (auditSink, error) {
	if path == "" {
		if log == nil {
			log = os.Stderr
		}
		return auditSink{Writer: log}, nil
	}
	f, err := openAudit(path)
	if err != nil {
		return auditSink{}, err
	}
	q := logs.NewQueue(f, droppedNotice)
	return auditSink{q, q, f}, nil
}

func (s auditSink) dropped() uint64 {
	if s.queue == nil {
		return 0
	}
	return s.queue.Dropped()
}

func (s auditSink) close() error {
	if s.queue == nil || !s.queue.Flush(auditFlush) { // then the queue still has the file
		return nil
	}
	return s.file.Close()
}

// run writes what was counted when its period is over, until ctx ends.
func (s *sums) run(ctx context.Context) {
	t := time.NewTicker(sumTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.flush(now, false)
		}
	}
}

// audited is an Identity whose requests are audited and held up.
type audited struct {
	plugins.Identity
	audit *audit
}

// Handler implements plugins.Identity.
func (a audited) Handler(next http.Handler) http.Handler {
	if a.audit.holder != nil {
		next = a.audit.holder.Handler(next)
	}
	return a.audit.Handler(a.Identity.Handler(next))
}

// droppedNotice is the line that says how many lines of the file are missing.
func droppedNotice(n uint64, from, to time.Time) []byte {
	b, err := json.Marshal(struct {
		Time    string    `json:"time"`
		Level   string    `json:"level"`
		Msg     string    `json:"msg"`
		Dropped uint64    `json:"dropped"`
		From    time.Time `json:"from"`
		To      time.Time `json:"to"`
	}{auditTime(time.Now()), "WARN", "audit lines were dropped: the file could not be written", n, from.UTC(), to.UTC()})
	if err != nil { // numbers, texts and times: cannot happen
		return nil
	}
	return append(b, '\n')
}
