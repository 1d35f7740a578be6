// Package edgegallery stands in for EdgeGallery's platform, its gateway and mepserver in
// one, so that tests see how an agent gets along with it. It answers as mep 971f2d0 does
// (2022), with its oddities: heartbeats by PUT only, their link in _links.self.liveness and
// no self.href, the gateway's URLs in place of the registered endpoints, an interval that
// is 60 s whatever is proposed, a new registration for each POST, errors with codes of its
// own. It leaves out its crashes. It must not know anything of what it tests.
//
// A [Platform] is an http.Handler; [Start] serves one on loopback.
package edgegallery

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The root of the service management API, with the prefix that the gateway leaves in.
const root = "/mep/mec_service_mgmt/v1"

const (
	fixedInterval = 60   // seconds, for each proposal that is not 0
	maxServices   = 50   // of one application
	maxBody       = 4096 // bytes
)

// Options are how a Platform is set up. The zero value asks for no token.
type Options struct {
	// AccessKey and SecretKey (AK and SK) sign requests for tokens. If they are empty,
	// there is no token and nobody asks for one.
	AccessKey, SecretKey string
	// App is the appInstanceId that the access key belongs to. The gateway writes it into
	// each request with a token.
	App string
	// TokenLife is how long a token holds; 0 means an hour.
	TokenLife time.Duration
	// Interval is what each livenessInterval that is not 0 becomes, in seconds; 0 means
	// the original's 60.
	Interval int
	// Late is how much later than the original's a service is suspended, for a machine that is busy.
	Late time.Duration
}

// Platform answers as EdgeGallery's platform does. It is safe for concurrent use.
type Platform struct {
	options Options
	routes  http.Handler

	mu        sync.Mutex
	instances []*instance // in the order of their registration
	requests  []string
	intercept func(http.ResponseWriter, *http.Request) bool
	tokens    map[string]time.Time // when each ends
	badKeys   []time.Time          // of requests for a token that were refused
	serial    int
}

// Server is a Platform on a loopback address.
type Server struct {
	*Platform
	URL string
}

// New makes a platform without services.
func New(o Options) *Platform {
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	if o.Interval == 0 {
		o.Interval = fixedInterval
	}
	p := &Platform{options: o, tokens: map[string]time.Time{}}
	p.routes = p.mux()
	return p
}

// Start serves a platform on a loopback address until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	p := New(o)
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return &Server{p, s.URL}
}

// ServeHTTP implements http.Handler.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.URL.Path)
	intercept := p.intercept
	p.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	p.routes.ServeHTTP(w, r)
}

// Intercept has f see each request before the platform. If f returns true, it has answered.
// nil ends that.
func (p *Platform) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.intercept = f
}

// Requests lists the requests so far as "METHOD PATH", those that Intercept answered too.
func (p *Platform) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// Count is how many requests so far had this method and a path with this ending.
func (p *Platform) Count(method, ending string) (n int) {
	for _, r := range p.Requests() {
		if strings.HasPrefix(r, method+" ") && strings.HasSuffix(r, ending) {
			n++
		}
	}
	return n
}

// mux routes by exact paths: one with a slash more is another.
func (p *Platform) mux() http.Handler {
	const services, service = root + "/applications/{app}/services", root + "/applications/{app}/services/{id}"
	mux := http.NewServeMux()
	for path, methods := range map[string]map[string]http.HandlerFunc{
		services:                {"POST": p.register, "GET": p.list},
		service:                 {"GET": p.show, "PUT": p.update, "DELETE": p.remove},
		service + "/liveness":   {"GET": p.liveness, "PUT": p.beat},
		root + "/services":      {"GET": p.discover},
		root + "/services/{id}": {"GET": p.show},
		root + "/transports":    {"GET": transports},
	} {
		mux.HandleFunc(path, p.behindGateway(byMethod(methods)))
	}
	mux.HandleFunc("/mep/token", byMethod(map[string]http.HandlerFunc{"POST": p.token}))
	mux.HandleFunc("/health", byMethod(map[string]http.HandlerFunc{"GET": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }}))
	return mux
}

// byMethod answers a method that is not there as the original does: text, and the others
// in Allow.
func byMethod(methods map[string]http.HandlerFunc) http.HandlerFunc {
	var allowed []string
	for _, m := range []string{"DELETE", "GET", "POST", "PUT"} {
		if methods[m] != nil {
			allowed = append(allowed, m)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if h := methods[r.Method]; h != nil {
			h(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}
}
