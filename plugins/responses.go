package plugins

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// Bounds of what answers may hold of the memory while their readers have not taken them.
const (
	mostUnread = 16 << 20 // bytes of all answers together
	largeWrite = 16 << 10 // from here on a write is an answer's own memory; what is less lies in the connection's buffers
	makers     = 2        // of the lists of service-center that are being made at a time
	finders    = 4        // of its answers about one service
	makerWait  = 5 * time.Second

	// A reader must take something every stall, and on the average what minPace says once
	// grace is over.
	stall   = 10 * time.Second
	grace   = 30 * time.Second
	minPace = 32 << 10 // bytes a second
)

// Responses bounds the memory that answers hold until they are read: a client that asks
// and does not read costs the connection's buffers, and for large answers a share of
// mostUnread, until it is cut off. Whoever would exceed it is answered 503.
type Responses struct {
	making  chan struct{}
	finding chan struct{}
	now     func() time.Time
	sizes   [largeKinds]atomic.Int64 // of the last answer of each kind

	mu   sync.Mutex
	held int64

	refused, cut prometheus.Counter
	collectors   Collectors
}

func newResponses() *Responses {
	a := &Responses{making: make(chan struct{}, makers), finding: make(chan struct{}, finders), now: time.Now,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_answers_refused_total", Help: "Requests answered 503 because too much of other answers was unread.",
		}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_answers_cut_total", Help: "Connections closed because their answer was not read, or too slowly.",
		})}
	return a
}

// watch shows the metrics, until the returned function.
func (a *Responses) watch() func(context.Context) error {
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
// where others hold little, an answer is let through however large it is. release gives
// them back, and may be called again.
func (a *Responses) Hold(n int64) (release func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.fits(n) {
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
func (a *Responses) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if beats(r) || upgrades(r) {
			next.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == metricsPath && !reads(r) { // its handler takes any method
			server.RefuseMethod(w, http.MethodGet, http.MethodHead)
			return
		}
		out := &responseWriter{ResponseWriter: w, responses: a, control: http.NewResponseController(w), began: a.now(), due: largeWrite}
		if kind := kindOf(r); kind != usual {
			a.make(out, r, kind, next)
		} else {
			next.ServeHTTP(out, r)
		}
		out.end()
	})
}

// make has an answer made that is made as a whole, unless there is no room for one of its
// kind: it would only be made in vain.
func (a *Responses) make(out *responseWriter, r *http.Request, kind largeKind, next http.Handler) {
	places := a.making
	if kind == findKind {
		places = a.finding
	}
	refused := !a.room(kind)
	if !refused {
		select { // whoever asks for many at once waits here
		case places <- struct{}{}:
			out.made = sync.OnceFunc(func() { <-places })
			defer out.made()
			refused = !a.room(kind)
		case <-r.Context().Done():
			return
		case <-time.After(makerWait):
			refused = true
		}
	}
	if refused {
		a.refused.Inc()
		out.refuse()
		return
	}
	if kind != findKind {
		out.size = &a.sizes[kind]
	}
	r = r.WithContext(r.Context()) // a body that comes slowly, or never, would keep a place
	r.Body, r.ContentLength = http.NoBody, 0
	if kind != metricsKind {
		next.ServeHTTP(out, r)
		return
	}
	// it would be written in small pieces while all that was gathered is held
	whole := &wholeWriter{ResponseWriter: out}
	next.ServeHTTP(whole, r)
	_, _ = out.Write(whole.Bytes())
}

// room says whether an answer of a kind would be let through, if it is as large as the
// last one was. What is said of one service says nothing about another: it is counted
// only when it is written.
func (a *Responses) room(kind largeKind) bool {
	if kind == findKind {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fits(a.sizes[kind].Load())
}

// fits says whether so many bytes more may be unread; a.mu is held.
func (a *Responses) fits(n int64) bool { return a.held <= mostUnread/8 || a.held+n <= mostUnread }

const metricsPath = "/metrics"

// beats says whether the request is a heartbeat, in either form that is taken.
func beats(r *http.Request) bool {
	return (r.Method == http.MethodPatch || r.Method == http.MethodPut) && strings.HasSuffix(r.URL.Path, "/liveness")
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// upgrades says whether the request takes its connection over: a watch of service-center's
// does. Only its routes are believed, for anybody may send the header, and call something
// else that has an answer a watcher.
func upgrades(r *http.Request) bool {
	if r.Header.Get("Upgrade") == "" {
		return false
	}
	s := strings.Split(r.URL.Path, "/")
	return len(s) == 7 && s[1] == "v4" && s[3] == "registry" && s[4] == "microservices" && (s[6] == "watcher" || s[6] == "listwatcher")
}

// largeKind is a kind of large answers that are made as a whole in memory before they are
// written: the lists of service-center of all that there is, the metrics, and what one
// service of service-center has.
type largeKind int

const (
	usual largeKind = iota
	metricsKind
	governKind
	adminKind
	listKind
	findKind
	largeKinds
)

// kindOf looks at the path alone: whether the request has a body changes nothing.
func kindOf(r *http.Request) largeKind {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case !reads(r):
		return usual
	case path == metricsPath:
		return metricsKind
	case !strings.HasPrefix(path, "/v4/") && !strings.HasPrefix(path, "/registry/v3/"):
		return usual
	case strings.Contains(path, "/govern/"):
		if strings.Count(path, "/") > 4 {
			return findKind
		}
		return governKind
	case strings.Contains(path, "/admin/"):
		return adminKind
	case strings.HasSuffix(path, "/microservices"):
		return listKind
	}
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "instances", "schemas", "providers", "consumers":
		return findKind
	default:
		return usual
	}
}

// refuseUnread answers that others do not read.
func refuseUnread(w http.ResponseWriter) {
	w.Header().Del("ETag")
	w.Header().Del("Content-Encoding")
	server.RefuseError(w, server.ErrUnread, int(stall/time.Second)/2)
}

// wholeWriter collects an answer.
type wholeWriter struct {
	http.ResponseWriter
	bytes.Buffer
}

// Write implements http.ResponseWriter.
func (w *wholeWriter) Write(p []byte) (int, error) { return w.Buffer.Write(p) }
