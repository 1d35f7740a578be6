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

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// Limits on the memory that responses hold while their clients have not read them.
const (
	largeWrite = 16 << 10 // the least that counts: less is in the connection's own buffers
	maxLists   = 2        // lists of service-center that are built at a time
	maxFinds   = 4        // its responses about one service that are built at a time
	buildWait  = 5 * time.Second

	// A client must read something every stall and, once grace is over, minRate on average.
	stall   = 10 * time.Second
	grace   = 30 * time.Second
	minRate = 32 << 10 // bytes a second
)

// Responses bounds the memory that responses hold until they are read. Otherwise clients that
// send requests and do not read would use all of it. Such a client costs the connection's
// buffers, and for a large response a part of limits.unreadBytes, until it is cut off; a response
// that would exceed these is a 503.
type Responses struct {
	most  int64         // bytes that are not read, of all responses together; 0: any number
	lists chan struct{} // a semaphore of maxLists
	finds chan struct{} // a semaphore of maxFinds
	now   func() time.Time
	sizes [responseKinds]atomic.Int64 // of the last response of each kind
	// limits counts what is built as a whole as a list of its caller, before it takes a place
	// in a semaphore from others; nil: nothing is counted.
	limits server.Limits

	mu   sync.Mutex
	held int64 // bytes of large responses that are not read yet

	refused, cut prometheus.Counter
	collectors   Collectors
}

func newResponses(most conf.Size) *Responses {
	rs := &Responses{most: int64(most), lists: make(chan struct{}, maxLists), finds: make(chan struct{}, maxFinds), now: time.Now,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_answers_refused_total", Help: "Requests answered 503 because too much of other answers was unread.",
		}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mep_answers_cut_total", Help: "Connections closed because their answer was not read, or too slowly.",
		})}
	return rs
}

// register adds the metrics; the returned function takes them away.
func (rs *Responses) register() func(context.Context) error {
	rs.collectors.Add(rs.refused)
	rs.collectors.Add(rs.cut)
	rs.collectors.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_answers_unread_bytes", Help: "Memory held by answers that were not yet read.",
	}, func() float64 {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		return float64(rs.held)
	}))
	rs.collectors.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_answers_unread_limit_bytes", Help: "Memory that answers which were not yet read may hold; 0: any amount.",
	}, func() float64 { return float64(rs.most) }))
	return rs.collectors.Unregister
}

// Reserve counts n bytes of a response as unread; ok is false if there would be too many. Where
// others hold little, a response passes however large it is. release ends it, and may be
// called more than once.
func (rs *Responses) Reserve(n int64) (release func(), ok bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if !rs.fits(n) {
		rs.refused.Inc()
		return nil, false
	}
	rs.held += n
	return sync.OnceFunc(func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		rs.held -= n
	}), true
}

// Handler is next with its responses bounded. Heartbeats, requests that upgrade their connection,
// and event streams, which bound themselves, go straight to next.
func (rs *Responses) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Beats(r) || upgrades(r) || StreamsEvents(r) {
			next.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == metricsPath && !reads(r) { // its handler takes any method
			server.RefuseMethod(w, http.MethodGet, http.MethodHead)
			return
		}
		out := &responseWriter{ResponseWriter: w, responses: rs, control: http.NewResponseController(w), began: rs.now(), due: largeWrite}
		if r.ProtoMajor > 1 {
			out.due = 0 // the first byte waits for the client's window; over HTTP/1.1 the kernel takes it
		}
		kind := kindOf(r)
		if wait := rs.overLimit(r, kind); wait > 0 {
			server.RefuseError(out, &server.OverLimit{Wait: wait, List: true}, 1)
		} else if kind != smallKind {
			rs.build(out, r, kind, next)
		} else {
			next.ServeHTTP(out, r)
		}
		out.finish()
		if rs.limits != nil && reads(r) && out.written > largeWrite {
			rs.limits.Listed(r.Context(), r.RemoteAddr, out.written)
		}
	})
}

// overLimit says how long the caller has to wait until it may ask for a list of service-center,
// or for the metrics; 0: it may.
func (rs *Responses) overLimit(r *http.Request, kind responseKind) time.Duration {
	if rs.limits == nil || kind == smallKind {
		return 0
	}
	return rs.limits.List(r.Context(), r.RemoteAddr)
}

// build has next build a response that is built as a whole in memory, unless one of its kind
// would not fit: it would be built in vain.
func (rs *Responses) build(out *responseWriter, r *http.Request, kind responseKind, next http.Handler) {
	sem := rs.lists
	if kind == findKind {
		sem = rs.finds
	}
	refused := !rs.wouldFit(kind)
	if !refused {
		select { // a client that asks for many at once waits here
		case sem <- struct{}{}:
			out.built = sync.OnceFunc(func() { <-sem })
			defer out.built()
			refused = !rs.wouldFit(kind)
		case <-r.Context().Done():
			return
		case <-time.After(buildWait):
			refused = true
		}
	}
	if refused {
		rs.refused.Inc()
		out.refuse()
		return
	}
	if kind != findKind {
		out.size = &rs.sizes[kind]
	}
	r = r.WithContext(r.Context()) // a body that comes slowly, or never, would hold the semaphore
	r.Body, r.ContentLength = http.NoBody, 0
	if kind != metricsKind {
		next.ServeHTTP(out, r)
		return
	}
	// the metrics are written in small pieces while all that was gathered stays in memory
	whole := &wholeWriter{ResponseWriter: out}
	next.ServeHTTP(whole, r)
	_, _ = out.Write(whole.Bytes())
}

// wouldFit says whether a response of a kind would pass if it is as large as the last one
// was. Responses about one service say nothing about another: they count when they are
// written only.
func (rs *Responses) wouldFit(kind responseKind) bool {
	if kind == findKind {
		return true
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.fits(rs.sizes[kind].Load())
}

// fits says whether n bytes more may be unread; rs.mu is held.
func (rs *Responses) fits(n int64) bool {
	return rs.most == 0 || rs.held <= rs.most/8 || rs.held+n <= rs.most
}

const (
	metricsPath = "/metrics"
	statePath   = mp1.LivenessBase + "/state"
	changesPath = mp1.ChangesPath
)

// upgrades says whether the request turns its connection into a websocket, as a watch of
// service-center does and the WebSocket of a subscription. Anybody can send the header, and
// name any path a watcher, so only these routes count.
func upgrades(r *http.Request) bool {
	if r.Header.Get("Upgrade") == "" {
		return false
	}
	for _, base := range []string{mp1.Base, mp1.AppSupportBase} {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, MepPrefix), base+"/applications/"); ok {
			s := strings.Split(rest, "/")
			return len(s) == 4 && s[1] == "subscriptions" && s[3] == mp1.WebSocketSegment
		}
	}
	s := strings.Split(r.URL.Path, "/")
	return len(s) == 7 && s[1] == "v4" && s[3] == "registry" && s[4] == "microservices" && (s[6] == "watcher" || s[6] == "listwatcher")
}

// responseKind is a kind of responses that are built as a whole in memory before they are
// written: the lists of service-center, those for EdgeGallery's platform, the state of all services, their last changes, the metrics, and what
// service-center says about one service. A smallKind is none of these.
type responseKind int

const (
	smallKind responseKind = iota
	metricsKind
	governKind
	adminKind
	listKind
	platformKind
	stateKind
	changesKind
	findKind
	responseKinds
)

// kindOf looks at method and path alone: whether the request has a body changes nothing.
func kindOf(r *http.Request) responseKind {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case !reads(r):
		return smallKind
	case path == metricsPath:
		return metricsKind
	case path == statePath, path == MepPrefix+statePath:
		return stateKind
	case path == changesPath, path == MepPrefix+changesPath:
		return changesKind
	case strings.HasPrefix(path, "/mep/service_govern/v1/"), strings.HasPrefix(path, "/mepcfg/mec_platform_config/"):
		return platformKind
	case !strings.HasPrefix(path, "/v4/") && !strings.HasPrefix(path, "/registry/v3/"):
		return smallKind
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
		return smallKind
	}
}

// refuseUnread answers 503, because others do not read their responses.
func refuseUnread(w http.ResponseWriter) {
	w.Header().Del("ETag")
	w.Header().Del("Content-Encoding")
	server.RefuseError(w, server.ErrUnread, int(stall/time.Second)/2)
}

// wholeWriter collects a response.
type wholeWriter struct {
	http.ResponseWriter
	bytes.Buffer
}

// Write implements http.ResponseWriter.
func (w *wholeWriter) Write(p []byte) (int, error) { return w.Buffer.Write(p) }
