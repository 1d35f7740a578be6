package kong

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20

// Admin is the handler of the Admin API.
func (g *Gateway) Admin() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request) (int, any){
		"GET /services":                        func(r *http.Request) (int, any) { return page(r, g.db.services) },
		"GET /routes":                          func(r *http.Request) (int, any) { return page(r, g.db.routes) },
		"GET /plugins":                         func(r *http.Request) (int, any) { return page(r, g.db.plugins) },
		"GET /services/{name}":                 g.getService,
		"PUT /services/{name}":                 g.putService,
		"DELETE /services/{name}":              g.deleteService,
		"PUT /services/{name}/routes/{route}":  g.putRoute,
		"POST /services/{name}/routes":         g.putRoute,
		"DELETE /services/{name}/routes/{id}":  g.deleteRoute,
		"GET /services/{name}/plugins":         g.listPlugins,
		"POST /services/{name}/plugins":        g.postPlugin,
		"POST /plugins":                        g.postPlugin,
		"DELETE /services/{name}/plugins/{id}": g.deletePlugin,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			status, v := h(r)
			answer(w, status, v)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, status, broken := g.broken(r, true)
		if broken {
			panic(http.ErrAbortHandler)
		}
		if !sleep(r.Context(), wait) {
			return
		}
		if status != 0 {
			answer(w, status, map[string]string{"message": "An unexpected error occurred"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func notFound() (int, any) {
	return http.StatusNotFound, map[string]string{"message": "Not found"}
}

func schemaViolation(why string) (int, any) {
	return http.StatusBadRequest, map[string]any{"message": "schema violation (" + why + ")", "name": "schema violation", "code": 2}
}

// page is a page of a list, in the order of the keys; the offset is the last key before it.
func page[T any](r *http.Request, all map[string]T) (int, any) {
	size, err := strconv.Atoi(r.URL.Query().Get("size"))
	if r.URL.Query().Get("size") == "" {
		size, err = 100, nil
	}
	if err != nil || size < 1 || size > 1000 {
		return http.StatusBadRequest, map[string]any{"message": "size must be an integer between 1 and 1000"}
	}
	keys := slices.Sorted(maps.Keys(all))
	keys = keys[sort.Search(len(keys), func(i int) bool { return keys[i] > r.URL.Query().Get("offset") }):]
	out := map[string]any{"next": nil}
	if len(keys) > size {
		keys = keys[:size]
		out["offset"], out["next"] = keys[size-1], r.URL.Path+"?offset="+url.QueryEscape(keys[size-1])
	}
	data := []T{}
	for _, key := range keys {
		data = append(data, all[key])
	}
	out["data"] = data
	return http.StatusOK, out
}

func read(r *http.Request, v any) bool {
	return json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(v) == nil
}

func (d *database) newID() string {
	d.serial++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", d.serial)
}

func (g *Gateway) getService(r *http.Request) (int, any) {
	if s := g.db.services[r.PathValue("name")]; s != nil {
		return http.StatusOK, s
	}
	return notFound()
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]+$`)
)

func (g *Gateway) putService(r *http.Request) (int, any) {
	var asked struct{ Name, URL string }
	if !read(r, &asked) {
		return http.StatusBadRequest, map[string]string{"message": "Cannot parse JSON body"}
	}
	name := r.PathValue("name")
	u, err := url.Parse(asked.URL)
	scheme, _, _ := strings.Cut(asked.URL, "://") // Kong takes it to the letter
	switch {
	case !nameForm.MatchString(name) || asked.Name != name:
		return schemaViolation("name: invalid value")
	case err != nil || !slices.Contains([]string{"http", "https", "grpc", "grpcs", "tcp", "tls"}, scheme):
		return schemaViolation("protocol: expected one of: grpc, grpcs, http, https, tcp, tls")
	case !hostForm.MatchString(u.Hostname()):
		return schemaViolation("host: required field missing")
	case strings.Contains(u.Path, "//"):
		return schemaViolation("path: must not have empty segments")
	}
	s := &service{Name: name, Protocol: scheme, Host: u.Hostname(), Port: map[string]int{"http": 80, "https": 443}[scheme]}
	if s.Port == 0 {
		s.Port = 80
	}
	if p := u.Port(); p != "" {
		if s.Port, err = strconv.Atoi(p); err != nil || s.Port > 65535 {
			return schemaViolation("port: value should be between 0 and 65535")
		}
	}
	if u.Path != "" {
		path := u.EscapedPath()
		s.Path = &path
	}
	if was := g.db.services[name]; was != nil {
		s.ID = was.ID
	} else {
		s.ID = g.db.newID()
	}
	g.db.services[name] = s
	return http.StatusOK, s
}

// url is where a service is.
func (s *service) url() string {
	u := url.URL{Scheme: s.Protocol, Host: s.Host + ":" + strconv.Itoa(s.Port)}
	if strings.Contains(s.Host, ":") {
		u.Host = "[" + s.Host + "]:" + strconv.Itoa(s.Port)
	}
	if s.Path != nil {
		return u.String() + *s.Path
	}
	return u.String()
}

// deleteService refuses a service with routes; its plugins go with it.
func (g *Gateway) deleteService(r *http.Request) (int, any) {
	s := g.db.services[r.PathValue("name")]
	if s == nil {
		return http.StatusNoContent, nil
	}
	for _, other := range g.db.routes {
		if other.Service.ID == s.ID {
			return http.StatusBadRequest, map[string]string{"message": "an existing 'routes' entity references this 'services' entity"}
		}
	}
	maps.DeleteFunc(g.db.plugins, func(_ string, p *plugin) bool { return p.Service != nil && p.Service.ID == s.ID })
	delete(g.db.services, s.Name)
	return http.StatusNoContent, nil
}

func (g *Gateway) putRoute(r *http.Request) (int, any) {
	s := g.db.services[r.PathValue("name")]
	if s == nil {
		return notFound()
	}
	asked := route{StripPath: true}
	if !read(r, &asked) || !nameForm.MatchString(asked.Name) || len(asked.Paths) == 0 {
		return schemaViolation("must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'")
	}
	if in := r.PathValue("route"); in != "" && in != asked.Name {
		return schemaViolation("name: invalid value")
	}
	was := g.db.routes[asked.Name]
	if was != nil && r.Method == http.MethodPost {
		return http.StatusConflict, map[string]string{"message": "UNIQUE violation detected on '{name=\"" + asked.Name + "\"}'"}
	}
	asked.Service, asked.ID = byID{s.ID}, g.db.newID()
	if was != nil {
		asked.ID = was.ID
	}
	g.db.routes[asked.Name] = &asked
	return http.StatusOK, asked
}

func (g *Gateway) deleteRoute(r *http.Request) (int, any) {
	s := g.db.services[r.PathValue("name")]
	if s == nil {
		return notFound()
	}
	if found := g.db.routes[r.PathValue("id")]; found != nil && found.Service.ID == s.ID {
		delete(g.db.routes, found.Name)
	}
	return http.StatusNoContent, nil
}

func (g *Gateway) listPlugins(r *http.Request) (int, any) {
	s := g.db.services[r.PathValue("name")]
	if s == nil {
		return notFound()
	}
	own := map[string]*plugin{}
	for id, p := range g.db.plugins {
		if p.Service != nil && p.Service.ID == s.ID {
			own[id] = p
		}
	}
	return page(r, own)
}

func (g *Gateway) postPlugin(r *http.Request) (int, any) {
	var p plugin
	if !read(r, &p) || p.Name == "" {
		return schemaViolation("name: required field missing")
	}
	p.ID, p.Service = g.db.newID(), nil
	if name := r.PathValue("name"); name != "" {
		s := g.db.services[name]
		if s == nil {
			return notFound()
		}
		if g.db.has(s.ID, p.Name) {
			return http.StatusConflict, map[string]any{"message": "UNIQUE violation detected on '{service={id=\"" + s.ID + "\"},name=\"" + p.Name + "\",route=null,consumer=null}'", "code": 5}
		}
		p.Service = &byID{s.ID}
	}
	g.db.plugins[p.ID] = &p
	return http.StatusCreated, p
}

func (g *Gateway) deletePlugin(r *http.Request) (int, any) {
	s, p := g.db.services[r.PathValue("name")], g.db.plugins[r.PathValue("id")]
	if s == nil {
		return notFound()
	}
	if p != nil && p.Service != nil && p.Service.ID == s.ID {
		delete(g.db.plugins, p.ID)
	}
	return http.StatusNoContent, nil
}
