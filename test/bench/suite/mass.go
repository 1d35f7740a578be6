package suite

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/bench/report"
	"github.com/mec-liveness/mepserver/test/consumer"
)

// seen is when each service was first seen SUSPENDED, by its id.
type seen struct {
	mu   sync.Mutex
	at   map[string]time.Time
	most int
	all  chan struct{}
}

func newSeen(most int) *seen {
	return &seen{at: map[string]time.Time{}, most: most, all: make(chan struct{})}
}

func (s *seen) add(id string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.at[id]; again {
		return
	}
	s.at[id] = at
	if len(s.at) == s.most {
		close(s.all)
	}
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// wait returns when all were seen, or not within d.
func (s *seen) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-s.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return fmt.Errorf("%d of %d were not seen SUSPENDED within %v", s.most-s.count(), s.most, d)
	}
}

// watchSuspended reads the event stream of a server, also over a restart of it, until the context
// ends. It returns once the stream is open.
func watchSuspended(ctx context.Context, url string, f mp1.Filter, to *seen) error {
	c, err := client.New(client.Options{BaseURL: url})
	if err != nil {
		return err
	}
	open := make(chan struct{})
	go func() {
		first := true
		for e, err := range c.Events(ctx, f, "") {
			if err != nil {
				continue // it connects again by itself
			}
			if e.Reset != nil && first {
				first = false
				close(open)
			}
			if e.Change != nil && e.Change.To == mp1.Suspended {
				to.add(e.Change.SerInstanceID, time.Now())
			}
		}
	}()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return fmt.Errorf("no event stream at %s", url)
	}
}

// massDeath lets all services beat for an interval and die.
func massDeath(ctx context.Context, l *lab, s *site) ([]figure, error) {
	every := l.size.dieEvery
	window := 2 * every // one miss
	srv, err := l.launch(s, "mass", nil, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	if err != nil {
		return nil, err
	}
	defer srv.Kill()
	n := l.size.mass
	if err := l.register(ctx, srv, n, int(every.Seconds()), ""); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	suspended, told := newSeen(n), newSeen(n)
	if err := watchSuspended(ctx, srv.URL, mp1.Filter{}, suspended); err != nil {
		return nil, err
	}
	in := httptest.NewServer(consumer.Handler(func(r consumer.Receipt) int {
		for _, ref := range r.ServiceReferences {
			if ref.State == mp1.Suspended {
				told.add(ref.SerInstanceID, r.At)
			}
		}
		return http.StatusNoContent
	}))
	defer in.Close()
	if _, err := srv.TrySubscribe("consumer", in.URL, ""); err != nil {
		return nil, err
	}
	own := site{main: srv}
	own.profile(l, "mass")
	defer own.profile(l, "mass-over") // so that the one before is written: the server is killed
	run := patches(srv, srv.wire, l.size.conns)
	run.Count = n
	if res := run.Pace(ctx, float64(n)/every.Seconds()); res.Check() != nil {
		return nil, res.Check()
	}
	l.say("%d services have sent their last heartbeat", n)
	defer l.ticker(func() { l.say("%d SUSPENDED, %d told", suspended.count(), told.count()) })()
	used, began := load.OwnCPU(), time.Now()
	if err := suspended.wait(ctx, window+2*time.Minute); err != nil {
		return nil, err
	}
	suspendedAfter := l.after(srv.services, suspended, window+hold, "mass death: SUSPENDED")
	err = told.wait(ctx, time.Minute)
	share := (load.OwnCPU() - used).Seconds() / time.Since(began).Seconds()
	first := figure{value: suspendedAfter.Max().Seconds(), load: share, more: percentiles(suspendedAfter) + fmt.Sprintf("; %d services, interval %v, one miss, seen by the event stream", n, every) + srv.disturbed()}
	if err != nil {
		return []figure{first}, err
	}
	toldAfter := l.after(srv.services, told, window+hold, "mass death: told")
	l.draw("mass.svg", fmt.Sprintf("%d die within an interval: after window + hold", n),
		report.Series{Name: "SUSPENDED", At: suspendedAfter.At, N: suspendedAfter.N()}, report.Series{Name: "told by POST", At: toldAfter.At, N: toldAfter.N()})
	return []figure{first, {value: toldAfter.Max().Seconds(), load: share, more: percentiles(toldAfter) + "; one subscription, by POST"}}, nil
}

// after is how long after the last heartbeat of each, and a while, it was seen.
func (l *lab) after(all []*service, s *seen, less time.Duration, name string) *load.Hist {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := load.NewHist()
	for _, v := range all {
		h.Add(s.at[v.id].Sub(time.Unix(0, v.last.Load())) - less)
	}
	l.keepHist(name, h)
	return h
}

// file is a name for a plot.
func file(name string) string {
	return strings.NewReplacer(" ", "-", ",", "").Replace(name) + ".svg"
}

// restartBeating kills the server while all beat, and some of them die at that moment: nobody else
// may be SUSPENDED, and these must be.
func restartBeating(ctx context.Context, l *lab, s *site) ([]figure, error) {
	every := l.size.dieEvery
	window := 3 * every // two misses
	living := len(s.main.services)
	dying, res := l.add(ctx, s.main, l.size.dyingAmong, int(every.Seconds()), "dying")
	if err := res.Check(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	suspended := newSeen(len(dying))
	if err := watchSuspended(ctx, s.main.URL, mp1.Filter{SerNames: []string{"dying"}}, suspended); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { // the living, to the end; what fails while there is no server is sent again a minute later
		run := patches(s.main, s.main.wire, l.size.conns)
		run.Pace(ctx, float64(living)/l.size.beatEvery.Seconds())
	})
	last := load.Run{Dial: s.main.wire, Conns: 8, Count: len(dying), Next: func(i int) load.Request {
		return load.Request{Method: http.MethodPatch, Path: dying[i].beat, Body: `{"state":"ACTIVE"}`}
	}}.Pace(ctx, float64(len(dying))/every.Seconds())
	if err := last.Check(); err != nil {
		return nil, err
	}
	took, err := s.main.restart()
	if err != nil {
		return nil, err
	}
	ready := time.Now()
	l.say("killed and ready again after %v; %d of %d do not come back", took, len(dying), living+len(dying))
	defer l.ticker(func() { l.say("%d SUSPENDED", suspended.count()) })()
	if err := suspended.wait(ctx, window+2*time.Minute); err != nil {
		return nil, err
	}
	h := load.NewHist()
	suspended.mu.Lock()
	for _, at := range suspended.at {
		h.Add(at.Sub(ready))
	}
	suspended.mu.Unlock()
	l.keepHist("SUSPENDED after a restart", h)
	if all, ok := s.main.TryMetric("mep_services_suspended"); ok && int(all) > len(dying) {
		return nil, fmt.Errorf("%.0f are SUSPENDED, and only %d have died", all, len(dying))
	}
	return []figure{{value: (h.Max() - window).Seconds(), load: -1, more: fmt.Sprintf("%s after /ready; window %v; ready %v after the kill", percentiles(h), window, took.Round(time.Millisecond)) + s.main.disturbed()}}, nil
}
