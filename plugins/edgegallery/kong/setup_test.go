package kong

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/test/kong"
)

// platform is a store and a registry in memory, a gateway of the stand-in, and any number of
// replicas that publish there, all in one bubble.
type platform struct {
	t     *testing.T
	kong  *kong.Gateway
	log   *lockedBuffer
	ranks *rank

	mu       sync.Mutex
	services map[heartbeat.ID]heartbeat.Snapshot
	entries  map[heartbeat.ID]plugins.GatewayEntries
	at       heartbeat.Revision
	fail     error // of each write
	written  func(plugins.GatewayEntries)
	late     time.Duration // by which erasures are shown
	shown    chan struct{} // closed when the last write was shown; nil: there was none
	readers  map[*Gateway]func(plugins.GatewayEntries, bool)
	replicas []*Gateway
	reading  error // of Exists
}

type rank struct {
	mu    sync.Mutex
	first *Gateway
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// direct serves requests by a handler at once; what it breaks off is a connection that is refused.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		if recover() != nil {
			res, err = nil, errors.New("connection refused")
		}
	}()
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func newPlatform(t *testing.T) *platform {
	return &platform{t: t, kong: kong.New(kong.Options{}), log: &lockedBuffer{}, ranks: &rank{}, services: map[heartbeat.ID]heartbeat.Snapshot{},
		entries: map[heartbeat.ID]plugins.GatewayEntries{}, readers: map[*Gateway]func(plugins.GatewayEntries, bool){}}
}

// start starts a replica, which publishes if it is the first. The returned function ends it.
func (p *platform) start() (*Gateway, func()) {
	p.t.Helper()
	var g *Gateway
	g = New(Options{Admin: "http://localhost:8001", Public: "https://mep-api-gw.mep:8443/", Client: &http.Client{Transport: direct{p.kong.Admin()}},
		Store: storeOf{p, &g}, Exists: p.exists, Ready: func() bool { return true }, Clock: plugins.NewClock(), Log: plugins.NewLog(p.log, "INFO"),
		Rank: func() int {
			p.ranks.mu.Lock()
			defer p.ranks.mu.Unlock()
			if p.ranks.first == g {
				return 1
			}
			return 2
		}})
	p.ranks.mu.Lock()
	if p.ranks.first == nil {
		p.ranks.first = g
	}
	p.ranks.mu.Unlock()
	p.mu.Lock()
	p.replicas = append(p.replicas, g)
	for id, s := range p.services {
		g.Changed(id, &s)
	}
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(p.t.Context())
	var work sync.WaitGroup
	work.Go(func() { g.Follow(ctx) })
	work.Go(func() { g.Run(ctx) })
	return g, func() {
		cancel()
		work.Wait()
		_ = g.Unregister(p.t.Context())
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.readers, g)
		p.ranks.mu.Lock()
		defer p.ranks.mu.Unlock()
		if p.ranks.first == g {
			p.ranks.first = nil
		}
	}
}

// register registers a service with URIs, or updates it; none removes it.
func (p *platform) register(id heartbeat.ID, name string, uris ...string) mp1.ServiceInfo {
	info := mp1.ServiceInfo{SerInstanceID: string(id), SerName: name, Version: "1", Serializer: "JSON",
		TransportInfo: &mp1.TransportInfo{ID: "t", Protocol: "HTTP", Endpoint: mp1.EndPointInfo{URIs: uris}}}
	p.put(info, uris != nil)
	return info
}

func (p *platform) put(info mp1.ServiceInfo, there bool) {
	p.t.Helper()
	b, err := json.Marshal(info)
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at++
	id := heartbeat.ID(info.SerInstanceID)
	s := heartbeat.Snapshot{}
	if delete(p.services, id); there {
		s = heartbeat.Snapshot{At: p.at, Record: heartbeat.Record{ID: id, Attributes: string(b)}}
		p.services[id] = s
	}
	for _, g := range p.replicas {
		g.Changed(id, &s)
	}
}

func (p *platform) exists(_ context.Context, id heartbeat.ID) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.services[id]
	return ok, p.reading
}

func (p *platform) stored() map[heartbeat.ID]plugins.GatewayEntries {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.entries)
}

func (p *platform) setFail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// storeOf is the store as one replica uses it.
type storeOf struct {
	p *platform
	g **Gateway
}

func (s storeOf) SaveGatewayEntries(_ context.Context, e plugins.GatewayEntries) (heartbeat.Revision, error) {
	return s.p.write(e, false)
}

func (s storeOf) EraseGatewayEntries(_ context.Context, id heartbeat.ID, at heartbeat.Revision) (heartbeat.Revision, error) {
	return s.p.write(plugins.GatewayEntries{ID: id, At: at}, true)
}

func (p *platform) write(e plugins.GatewayEntries, erase bool) (heartbeat.Revision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil && (!erase && len(e.Names) > 0 || !errors.Is(p.fail, heartbeat.ErrFull)) {
		return 0, p.fail
	}
	if p.entries[e.ID].At != e.At {
		return 0, heartbeat.ErrConflict
	}
	p.at++
	e.At = p.at
	if p.entries[e.ID] = e; erase {
		delete(p.entries, e.ID)
	}
	if p.written != nil {
		p.written(e)
	}
	p.show(e, erase)
	return p.at, nil
}

// show has the watches show a write. As those of etcd do, they show writes in their order, but for
// an erasure that is to be late; p.mu is held.
func (p *platform) show(e plugins.GatewayEntries, erase bool) {
	late := time.Duration(0)
	if erase {
		late = p.late
	}
	before, done := p.shown, make(chan struct{})
	if late == 0 {
		p.shown = done
	}
	readers := slices.Collect(maps.Values(p.readers))
	go func() {
		defer close(done)
		if late > 0 {
			time.Sleep(late)
		} else if before != nil {
			<-before
		}
		for _, see := range readers {
			see(e, erase)
		}
	}()
}

func (s storeOf) GatewayEntries(_ context.Context, id heartbeat.ID) (plugins.GatewayEntries, error) {
	return s.p.stored()[id], nil
}

func (s storeOf) FollowGatewayEntries(ctx context.Context, load func([]plugins.GatewayEntries, heartbeat.Revision), see func(plugins.GatewayEntries, bool), _ func(string, error)) {
	s.p.mu.Lock()
	var all []plugins.GatewayEntries
	for _, e := range s.p.entries {
		all = append(all, e)
	}
	load(all, s.p.at)
	s.p.readers[*s.g] = see
	s.p.mu.Unlock()
	<-ctx.Done()
}

// inBubble runs a test on the bubble's clock.
func inBubble(t *testing.T, f func(t *testing.T, p *platform)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newPlatform(t)) })
}

// names are those of URLs at the gateway.
func namesIn(e *mp1.EndPointInfo) (out []string) {
	for _, u := range e.URIs {
		out = append(out, strings.TrimPrefix(u, "https://mep-api-gw.mep:8443/"))
	}
	return out
}

func id32(n int) heartbeat.ID { return heartbeat.ID(fmt.Sprintf("%064x", n)) }
