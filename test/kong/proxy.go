package kong

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// SetUpPlatform makes the entries that mepauth makes at its start: mepserver behind a token, whose
// application becomes a header, and mepauth itself. Empty URLs are left out. httpLog is where each
// proxied request is told.
func (g *Gateway) SetUpPlatform(mepserver, mepauth, httpLog string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	add := func(name, link string, paths []string, plugins ...string) {
		u, err := url.Parse(link)
		if link == "" || err != nil {
			return
		}
		s := &service{ID: g.db.newID(), Name: name, Protocol: u.Scheme, Host: u.Hostname(), Port: 80}
		if n, err := strconv.Atoi(u.Port()); err == nil {
			s.Port = n
		}
		g.db.services[name] = s
		g.db.routes[name] = &route{ID: g.db.newID(), Name: name, Paths: paths, Service: byID{s.ID}}
		for _, p := range plugins {
			id := g.db.newID()
			g.db.plugins[id] = &plugin{ID: id, Name: p, Service: &byID{s.ID}}
		}
	}
	add("mepserver", mepserver, []string{"/mep/mec_service_mgmt", "/mep/mec_app_support"}, "jwt", "appid-header", "pre-function", "rate-limiting", "response-transformer")
	add("mepauth", mepauth, []string{"/mep/token", "/mep/appMng/v1"}, "rate-limiting", "response-transformer")
	if httpLog != "" {
		id := g.db.newID()
		g.db.plugins[id] = &plugin{ID: id, Name: "http-log", Config: map[string]any{"http_endpoint": httpLog, "method": "POST", "timeout": 1000, "keepalive": 1000}}
	}
}

// match is the route of a path, by the longest prefix.
func (g *Gateway) match(path string) (s service, r route, prefix string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range g.db.routes {
		for _, p := range one.Paths {
			if strings.HasPrefix(path, p) && len(p) > len(prefix) {
				r, prefix = *one, p
			}
		}
	}
	for _, one := range g.db.services {
		if prefix != "" && one.ID == r.Service.ID {
			return *one, r, prefix, true
		}
	}
	return s, r, "", false
}

func (g *Gateway) uses(service, plugin string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.db.has(service, plugin)
}

// Proxy is the handler of the proxy.
func (g *Gateway) Proxy() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, broken := g.broken(r, false); broken {
			panic(http.ErrAbortHandler)
		}
		began := time.Now()
		s, rt, prefix, ok := g.match(r.URL.Path)
		if !ok {
			answer(w, http.StatusNotFound, map[string]string{"message": "no Route matched with those values"})
			return
		}
		header := http.Header{}
		if g.uses(s.ID, "jwt") {
			claims := g.claims(r)
			if claims == nil {
				answer(w, http.StatusUnauthorized, map[string]string{"message": "Unauthorized"})
				return
			}
			header.Set("X-Consumer-Username", "mepauth.jwt")
			if g.uses(s.ID, "appid-header") {
				app, _ := claims["sub"].(string)
				if peer, _, _ := net.SplitHostPort(r.RemoteAddr); claims["clientip"] != peer {
					answer(w, http.StatusUnauthorized, map[string]string{"message": "Unauthorized"})
					return
				}
				header.Set("X-AppinstanceID", app)
			}
		}
		to := g.forward(w, r, s, rt, prefix, header)
		go g.tell(r, s, to, began)
	})
}

// claims are those of the token of a request.
func (g *Gateway) claims(r *http.Request) map[string]any {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		return nil
	case g.options.Claims == nil:
		return map[string]any{}
	}
	return g.options.Claims(token)
}

// forward sends a request on, and returns with which path.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, s service, rt route, prefix string, header http.Header) string {
	base, err := url.Parse(s.url())
	if err != nil {
		answer(w, http.StatusBadGateway, map[string]string{"message": "An invalid response was received from the upstream server"})
		return ""
	}
	path := r.URL.Path
	if rt.StripPath {
		path = strings.TrimPrefix(path, prefix)
	}
	to := *base
	to.Path, to.RawPath, to.RawQuery = strings.TrimSuffix(base.Path, "/")+path, "", r.URL.RawQuery
	if to.Path == "" {
		to.Path = "/"
	}
	proxy := httputil.ReverseProxy{Transport: g.options.Transport, Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL, p.Out.Host = &to, to.Host
		if s.Name == "mepauth" { // whose route preserves the host, for signatures are of it
			p.Out.Host = r.Host
		}
		p.SetXForwarded()
		if peer, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			p.Out.Header.Set("X-Real-Ip", peer)
		}
		for name, v := range header {
			p.Out.Header[name] = v
		}
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
		answer(w, http.StatusBadGateway, map[string]string{"message": "An invalid response was received from the upstream server"})
	}}
	proxy.ServeHTTP(w, r)
	return to.RequestURI() // without scheme and host, as Kong logs it
}

// tell posts what was proxied to the global http-log plugin's endpoint, as far as anybody reads it.
func (g *Gateway) tell(r *http.Request, s service, to string, began time.Time) {
	g.mu.Lock()
	var at string
	for _, p := range g.db.plugins {
		if p.Name == "http-log" && p.Service == nil {
			at, _ = p.Config["http_endpoint"].(string)
		}
	}
	g.mu.Unlock()
	if at == "" {
		return
	}
	b, err := json.Marshal(map[string]any{
		"request":      map[string]any{"method": r.Method, "uri": r.URL.RequestURI(), "headers": map[string]string{"authorization": r.Header.Get("Authorization")}},
		"service":      map[string]any{"name": s.Name, "id": s.ID},
		"upstream_uri": to, "started_at": began.UnixMilli(),
	})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(b))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	transport := g.options.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	if res, err := transport.RoundTrip(req); err == nil {
		_ = res.Body.Close()
	}
}
