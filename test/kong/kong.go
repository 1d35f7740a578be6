// Package kong stands in for EdgeGallery's gateway, a Kong of release 2.0.4 with the plugins that
// its mepauth configures: the Admin API as far as EdgeGallery's parts use it, and a proxy. It can
// be down, slow, or lose everything. It must not know anything of what it tests.
package kong

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Options are how a Gateway is set up.
type Options struct {
	// Certificate is the one of both listeners; nil: they are plain.
	Certificate *tls.Certificate
	// Claims are those of a valid token; nil: it is none. Without the function every token is.
	Claims func(token string) map[string]any
	// Transport is how the proxy reaches services; nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Gateway is a Kong on two loopback addresses. It is safe for concurrent use.
type Gateway struct {
	AdminURL string // of the Admin API
	URL      string // of the proxy

	options Options
	mu      sync.Mutex
	db      database
	calls   []string
	down    bool
	delay   time.Duration
	refuse  func(*http.Request) int
}

// database is what Kong keeps in PostgreSQL.
type database struct {
	services map[string]*service // by name
	routes   map[string]*route   // by name
	plugins  map[string]*plugin  // by id
	serial   int
}

type service struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Protocol string  `json:"protocol"`
	Host     string  `json:"host"`
	Port     int     `json:"port"`
	Path     *string `json:"path"`
}

type route struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Paths     []string `json:"paths"`
	StripPath bool     `json:"strip_path"`
	Service   byID     `json:"service"`
}

type plugin struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Config  map[string]any `json:"config"`
	Service *byID          `json:"service"`
}

type byID struct {
	ID string `json:"id"`
}

// New makes a gateway without entries that listens nowhere.
func New(o Options) *Gateway {
	g := &Gateway{options: o}
	g.Empty()
	return g
}

// Start serves a gateway without entries until the test ends.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	g := New(o)
	serve := func(h http.Handler) string {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		if o.Certificate != nil {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12}
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		return s.URL
	}
	g.AdminURL, g.URL = serve(g.Admin()), serve(g.Proxy())
	return g
}

// Empty takes everything out of the database, as when its volume is lost.
func (g *Gateway) Empty() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.db = database{services: map[string]*service{}, routes: map[string]*route{}, plugins: map[string]*plugin{}, serial: g.db.serial}
}

// SetDown has every connection broken without an answer, or no more.
func (g *Gateway) SetDown(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// SetDelay has the Admin API wait before each answer.
func (g *Gateway) SetDelay(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = d
}

// Refuse has the Admin API answer requests with the status that f returns; 0: as usual.
func (g *Gateway) Refuse(f func(*http.Request) int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = f
}

// Calls lists the requests to the Admin API so far as "METHOD PATH", those without an answer too.
func (g *Gateway) Calls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// Entries are the services that have a route of their own name behind a token, by name, with the
// URL that they lead to.
func (g *Gateway) Entries() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]string{}
	for name, s := range g.db.services {
		if r := g.db.routes[name]; r != nil && r.Service.ID == s.ID && slices.Equal(r.Paths, []string{"/" + name}) && g.db.has(s.ID, "jwt") {
			out[name] = s.url()
		}
	}
	return out
}

// Count is how many services, routes and plugins there are.
func (g *Gateway) Count() (services, routes, plugins int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.db.services), len(g.db.routes), len(g.db.plugins)
}

// Open are the services that have a route and no plugin that wants a token.
func (g *Gateway) Open() (out []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.db.routes {
		if !g.db.has(r.Service.ID, "jwt") {
			out = append(out, r.Name)
		}
	}
	return out
}

func (d *database) has(service, name string) bool {
	for _, p := range d.plugins {
		if p.Name == name && p.Service != nil && p.Service.ID == service {
			return true
		}
	}
	return false
}

// broken takes note of a request, and says whether it gets no answer.
func (g *Gateway) broken(r *http.Request, admin bool) (wait time.Duration, status int, broken bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if admin {
		g.calls = append(g.calls, r.Method+" "+r.URL.Path)
		wait = g.delay
		if g.refuse != nil {
			status = g.refuse(r)
		}
	}
	return wait, status, g.down
}
