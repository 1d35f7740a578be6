package suite

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
)

// errSkipped says that something needed is not there, which is no fault.
var errSkipped = errors.New("not here")

// interval is what services are registered with that nothing is to happen to: their window is a
// quarter of an hour.
const interval = 300

// unlimited has no limits of a caller: the load is one.
var unlimited = []string{"MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0"}

// site is the servers of a stage. Measures may replace main by a restart of it.
type site struct {
	main    *server
	other   *server // a smaller one, for comparisons; nil: there is none
	bare    *bare
	cluster *cluster
	closers []func()
}

func (s *site) later(f func()) { s.closers = append(s.closers, f) }

func (s *site) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// server is one that takes heartbeats.
type server struct {
	name        string
	*mep.Server                             // nil: somebody else runs it
	wire        load.Dialer                 // a connection for each
	client      func(conns int) load.Dialer // net/http's client
	services    []*service
	registrars  int    // how many register at a time; 0: as many as elsewhere
	profiles    string // where its profiles are asked for; "": it makes none
}

// service is one that is registered.
type service struct {
	app, id, name, beat string        // beat is the path of its heartbeats
	interval            time.Duration // as it was told at its registration
	last                atomic.Int64
}

// cpu is the processor time that the server has used.
func (s *server) cpu() time.Duration { return s.CPU() }

// processor is cpu; nil: somebody else runs it, and nobody knows.
func (s *server) processor() func() time.Duration {
	if s.Server == nil {
		return nil
	}
	return s.cpu
}

// disturbed says how often the server itself found that it had not run, or its store had not: for a
// window after that it takes silence for no death. "": never.
func (s *server) disturbed() string {
	a, err := s.Try(http.MethodGet, "/metrics", "")
	if err != nil {
		return ""
	}
	var n []string
	for line := range strings.Lines(string(a.Body)) {
		const name = "mep_disturbances_total{reason="
		if rest, ok := strings.CutPrefix(line, name); ok && !strings.HasSuffix(rest, " 0\n") && !strings.HasPrefix(rest, `"list"`) {
			n = append(n, strings.NewReplacer(`"`, "", "}", "").Replace(strings.TrimSpace(rest)))
		}
	}
	if n == nil {
		return ""
	}
	return "; **the server was disturbed** (" + strings.Join(n, ", ") + "), after which it waits for a whole window"
}

// build compiles mepserver.
func (l *lab) build() (err error) {
	l.say("building mepserver")
	var flags []string
	if l.Profile != "" {
		if flags, err = l.overlay(); err != nil {
			return err
		}
	}
	l.binary, err = built.Command(l.dir, "mepserver", flags...)
	return err
}

// launch runs a mepserver of its own with a store of its own, or over etcd's endpoints.
func (l *lab) launch(s *site, name string, endpoints []string, env ...string) (*server, error) {
	o := mep.Options{Binary: l.binary, Env: append(env, unlimited...), Endpoints: endpoints, Timeout: time.Minute}
	if endpoints == nil {
		o.DataDir = filepath.Join(l.dir, "data", name)
	}
	out := &server{name: name}
	o.Env, out.profiles = l.profiled(name, o.Env)
	if err := out.start(o); err != nil {
		return nil, err
	}
	s.later(func() { out.Kill() })
	return out, nil
}

func (s *server) start(o mep.Options) (err error) {
	if s.Server, err = o.Launch(); err != nil {
		return err
	}
	s.wire = load.Wire(s.Listen, nil)
	s.client = netHTTP(s.URL, nil)
	return nil
}

// restart kills the server and starts it anew with the same data. It returns how long that took
// from the end of the old one to ready.
func (s *server) restart() (time.Duration, error) {
	o := s.Options
	s.Kill()
	at := time.Now()
	err := s.start(o)
	return time.Since(at), err
}

// netHTTP makes clients of net/http for a server.
func netHTTP(url string, secure *tls.Config) func(conns int) load.Dialer {
	return func(conns int) load.Dialer {
		return load.Client(url, &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: conns, TLSClientConfig: secure}})
	}
}

// registrars is how many register services at a time, unless a server has more.
const registrars = 16

// register adds n services, each with its own name unless one is given, and shows how far it is.
func (l *lab) register(ctx context.Context, s *server, n, interval int, name string) error {
	added, res := l.add(ctx, s, n, interval, name)
	s.services = append(s.services, slices.DeleteFunc(added, func(v *service) bool { return v.id == "" })...) // also when others failed: who ends them must know them
	if err := res.Check(); err != nil {
		return fmt.Errorf("registrations: %w", err)
	}
	l.say("%s has %d services; %.0f registrations a second", s.name, len(s.services), res.PerSecond())
	return ctx.Err()
}

// add registers services and returns them.
func (l *lab) add(ctx context.Context, s *server, n, interval int, name string) ([]*service, load.Result) {
	added := make([]*service, n)
	for i := range added {
		added[i] = &service{}
	}
	first := len(s.services)
	var done atomic.Int64
	stop := l.ticker(func() { l.say("%s: registered %d of %d", s.name, done.Load(), n) })
	defer stop()
	res := load.Run{Dial: s.wire, Conns: cmp.Or(s.registrars, registrars), Count: n, Next: func(i int) load.Request {
		v := added[i]
		v.app, v.name = l.App, name
		if v.app == "" {
			v.app = fmt.Sprint("app", (first+i)/500, "-", name)
		}
		if v.name == "" {
			v.name = fmt.Sprint("s", first+i)
		}
		return load.Request{Method: http.MethodPost, Path: mep.ServicesOf(v.app), Body: mep.Info(v.name, interval), Keep: true}
	}, Done: func(i int, sent time.Time, a load.Answer) error {
		var got struct {
			SerInstanceID    string
			LivenessInterval int
			Links            struct{ Liveness mp1.LinkType } `json:"_links"`
		}
		if a.Status != http.StatusCreated {
			return fmt.Errorf("a registration was answered %d: %.200s", a.Status, a.Body)
		}
		if err := json.Unmarshal(a.Body, &got); err != nil {
			return err
		}
		added[i].id, added[i].interval = got.SerInstanceID, time.Duration(got.LivenessInterval)*time.Second
		if added[i].beat = pathOf(got.Links.Liveness.Href); added[i].beat == "" {
			return errors.New("a registration was answered without a link for heartbeats")
		}
		added[i].last.Store(sent.UnixNano())
		done.Add(1)
		return nil
	}}.Saturate(ctx)
	return added, res
}

// pathOf leaves scheme and host of an href out.
func pathOf(href string) string {
	if _, rest, whole := strings.Cut(href, "://"); whole {
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			return rest[at:]
		}
		return ""
	}
	return href
}

// remove deletes services.
func (l *lab) remove(ctx context.Context, s *server, all []*service) error {
	if len(all) == 0 { // a Run without a Count has no end
		return nil
	}
	return load.Run{Dial: s.wire, Conns: registrars, Count: len(all), Next: func(i int) load.Request {
		return load.Request{Method: http.MethodDelete, Path: mep.ServicesOf(all[i].app) + "/" + all[i].id}
	}}.Saturate(ctx).Check()
}

// ticker calls f every few seconds until stop is called.
func (l *lab) ticker(f func()) (stop func()) {
	t, end, ended := time.NewTicker(5*time.Second), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-t.C:
				f()
			case <-end:
				return
			}
		}
	}()
	return func() { t.Stop(); close(end); <-ended }
}

// beat is the heartbeat of a service.
func (s *server) beat(i int) load.Request {
	return load.Request{Method: http.MethodPatch, Path: s.services[i%len(s.services)].beat, Body: mep.Alive}
}

// beaten notes when a heartbeat was sent that was acknowledged.
func (s *server) beaten(i int, sent time.Time, a load.Answer) error {
	if a.Status != http.StatusNoContent && a.Status != http.StatusOK {
		return fmt.Errorf("a heartbeat was answered %d", a.Status)
	}
	s.services[i%len(s.services)].last.Store(sent.UnixNano())
	return nil
}

// pause waits, unless the run is interrupted.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
