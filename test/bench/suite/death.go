package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/mep"
)

// The shortest detection that the configuration allows.
const (
	deathWindow = 2 * time.Second // an interval of 1 s, one miss
	hold        = time.Second     // the default
	lookEvery   = 20 * time.Millisecond
)

func deathEmbedded(ctx context.Context, l *lab, s *site) ([]figure, error) {
	srv, err := l.launch(s, "death", nil, mep.Fast...)
	if err != nil {
		return nil, err
	}
	defer srv.Kill()
	return l.death(ctx, srv, "one death, embedded")
}

func deathExternal(ctx context.Context, l *lab, s *site) ([]figure, error) {
	c, err := l.etcd(ctx, s)
	if err != nil {
		return []figure{skip("%v", err)}, nil
	}
	srv, err := l.launch(s, "death-external", c.endpoints, mep.Fast...)
	if err != nil {
		return nil, err
	}
	defer srv.Kill()
	return l.death(ctx, srv, "one death, one external etcd")
}

// death lets services die one by one at random moments, and looks all the time which of them
// discovery still shows.
func (l *lab) death(ctx context.Context, s *server, name string) ([]figure, error) {
	n := l.size.deaths
	added, res := l.add(ctx, s, n, 1, "")
	if err := res.Check(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	byID := map[string]*service{}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, v := range added {
		byID[v.id] = v
		beats, first := 1+l.rnd.IntN(8), time.Duration(l.rnd.Int64N(int64(time.Second)))
		wg.Go(func() { l.beatThenDie(ctx, s, v, beats, first) })
	}
	hidden := map[string]time.Duration{}
	own, began := load.OwnCPU(), time.Now()
	for len(hidden) < n && ctx.Err() == nil {
		pause(ctx, lookEvery)
		shown, err := s.Discover()
		if err != nil {
			return nil, err
		}
		now := time.Now()
		for id, v := range byID {
			if _, done := hidden[id]; !done && !shown[id] {
				hidden[id] = now.Sub(time.Unix(0, v.last.Load()))
			} else if done && shown[id] {
				delete(hidden, id) // it was heard again
			}
		}
	}
	if len(hidden) < n {
		return nil, fmt.Errorf("%d of %d were not hidden within a minute", n-len(hidden), n)
	}
	h, early := load.NewHist(), 0
	for _, d := range hidden {
		if d < deathWindow {
			early++
		}
		h.Add(d - deathWindow - hold)
	}
	if early > 0 {
		return nil, fmt.Errorf("%d were hidden before their window was over", early)
	}
	l.draw(file(name), name+": hidden after window + hold", l.line(name, h))
	return []figure{{value: h.At(99).Seconds(), load: (load.OwnCPU() - own).Seconds() / time.Since(began).Seconds(),
		more: percentiles(h) + fmt.Sprintf("; interval 1 s, one miss; discovery is asked every %v", lookEvery) + s.disturbed()}}, nil
}

// beatThenDie sends so many heartbeats, one a second.
func (l *lab) beatThenDie(ctx context.Context, s *server, v *service, beats int, first time.Duration) {
	c := s.wire()
	defer c.Close()
	pause(ctx, first)
	for range beats {
		at := time.Now()
		if a, err := c.Do(ctx, load.Request{Method: "PATCH", Path: v.beat, Body: mep.Alive}); err == nil && a.Status < 300 {
			v.last.Store(at.UnixNano())
		}
		pause(ctx, time.Until(at.Add(time.Second)))
	}
}
