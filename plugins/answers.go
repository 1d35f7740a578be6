package plugins

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of what answers may hold of the memory while their readers have not taken them.
const (
	mostUnread = 32 << 20 // bytes of all answers together
	largeWrite = 16 << 10 // from here on a write is an answer's own memory; what is less lies in the connection's buffers
	makers     = 2        // of the lists of service-center that are being made at a time
	makerWait  = 5 * time.Second

	// A reader must take something every stall, and on the average what minPace says once
	// grace is over.
	stall   = 10 * time.Second
	grace   = 30 * time.Second
	minPace = 32 << 10 // bytes a second
)

// Answers bounds the memory that answers hold until they are read: a client that asks
// and does not read costs the connection's buffers, and for large answers a share of
// mostUnread, until it is cut off. Whoever would exceed it is answered 503.
type Answers struct {
	making chan struct{}
	now    func() time.Time

	mu   sync.Mutex
	held int64

	refused, cut prometheus.Counter
	collectors   Collectors
}

func newAnswers() *Answers {
	a := &Answers{making: make(chan struct{}, makers), now: time.Now,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_answers_refused_total", Help: "Requests answered 503 because too much of other answers was unread.",
		}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_answers_cut_total", Help: "Connections closed because their answer was not read, or too slowly.",
		})}
	return a
}

// watch shows the metrics, until the returned function.
func (a *Answers) watch() func(context.Context) error {
	a.collectors.Add(a.refused)
	a.collectors.Add(a.cut)
	a.collectors.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_answers_unread_bytes", Help: "Memory held by answers that were not yet read.",
	}, func() float64 {
		a.mu.Lock()
		defer a.mu.Unlock()
		return float64(a.held)
	}))
	return a.collectors.Unregister
}

// Hold takes so many bytes of what may be unread. ok is false if there are not as many; but
// where others hold little, an answer is let through however large it is. release gives them back, and may
// be called again.
func (a *Answers) Hold(n int64) (release func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held > mostUnread/8 && a.held+n > mostUnread {
		a.refused.Inc()
		return nil, false
	}
	a.held += n
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.held -= n
	}), true
}

// Handler is next with its answers bounded. Heartbeats, and what upgrades its connection,
// go straight to next.
func (a *Answers) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch || r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/liveness") || upgrades(r) {
			next.ServeHTTP(w, r)
			return
		}
		out := &answerWriter{ResponseWriter: w, answers: a, control: http.NewResponseController(w), began: a.now(), due: largeWrite}
		if !made(r) {
			next.ServeHTTP(out, r)
			out.end()
			return
		}
		select { // whoever asks for many at once waits here
		case a.making <- struct{}{}:
			out.made = sync.OnceFunc(func() { <-a.making })
			defer out.made()
		case <-r.Context().Done():
			return
		case <-time.After(makerWait):
			a.refused.Inc()
			refuseUnread(w)
			return
		}
		if r.URL.Path != "/metrics" {
			next.ServeHTTP(out, r)
			out.end()
			return
		}
		// it would be written in small pieces while all that was gathered is held
		whole := &wholeWriter{ResponseWriter: out}
		next.ServeHTTP(whole, r)
		_, _ = out.Write(whole.Bytes())
		out.end()
	})
}

// upgrades says whether the request takes its connection over: a watch of service-center's
// does. Only its routes are believed, for anybody may send the header.
func upgrades(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" && strings.HasPrefix(r.URL.Path, "/v4/") && (strings.HasSuffix(r.URL.Path, "/watcher") || strings.HasSuffix(r.URL.Path, "/listwatcher"))
}

// made says whether a large answer is made as a whole in memory before it is written: the
// lists of service-center of all that there is, and the metrics. Only what has no body to
// wait for is counted.
func made(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
		return false
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	return path == "/metrics" || strings.HasPrefix(path, "/v4/") &&
		(strings.Contains(path, "/govern/") || strings.Contains(path, "/admin/") || strings.HasSuffix(path, "/microservices"))
}

// refuseUnread answers that others do not read.
func refuseUnread(w http.ResponseWriter) {
	const body = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Too much of other answers is waiting to be read; try again in a few seconds."}` + "\n"
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Retry-After", strconv.Itoa(int(stall/time.Second)/2))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Del("ETag")
	h.Del("Content-Encoding")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(body))
}

// wholeWriter collects an answer.
type wholeWriter struct {
	http.ResponseWriter
	bytes.Buffer
}

// Write implements http.ResponseWriter.
func (w *wholeWriter) Write(p []byte) (int, error) { return w.Buffer.Write(p) }
