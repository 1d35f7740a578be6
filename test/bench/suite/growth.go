package suite

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/mep"
)

// discoverConns is how many ask for a name at a time.
const discoverConns = 8

// growth compares a server with many services and one with a thousand, turn by turn.
func growth(ctx context.Context, l *lab, s *site) (out []figure, err error) {
	if s.other, err = l.launch(s, "few", nil); err != nil {
		return nil, err
	}
	defer s.other.Kill()
	if err := l.register(ctx, s.other, l.size.small, interval, ""); err != nil {
		return nil, err
	}
	registered, err := l.registrations(ctx, s)
	if err != nil {
		return nil, err
	}
	found := []*contender{
		{name: fmt.Sprintf("discovery among %d", len(s.other.services)), run: l.byName(s.other), cpu: s.other.cpu},
		{name: fmt.Sprintf("discovery among %d", len(s.main.services)), run: l.byName(s.main), cpu: s.main.cpu},
	}
	if err := l.compare(ctx, found); err != nil {
		return []figure{registered}, err
	}
	f := found[1].figure(found)
	f.more += fmt.Sprintf("; p99 %v beside %v", found[1].latency.At(99), found[0].latency.At(99))
	return []figure{registered, f}, nil
}

// registrations registers at both by turns, and removes those again.
func (l *lab) registrations(ctx context.Context, s *site) (figure, error) {
	both := []*server{s.other, s.main}
	rates := make([][]float64, 2)
	var ratios, loads []float64
	for round := range 2 * l.size.rounds {
		for i := range both {
			at := (i + round) % 2
			added, res := l.add(ctx, both[at], l.size.registerEach, interval, "more")
			if err := res.Check(); err != nil {
				return figure{}, err
			}
			rates[at] = append(rates[at], res.PerSecond())
			loads = append(loads, res.CPU.Seconds()/res.Took.Seconds())
			if err := l.remove(ctx, both[at], added); err != nil {
				return figure{}, err
			}
		}
		ratios = append(ratios, rates[1][round]/rates[0][round])
		l.say("round %d: %.0f/s among %d, %.0f/s among %d", round+1, rates[0][round], len(s.other.services), rates[1][round], len(s.main.services))
	}
	return figure{value: median(ratios), load: median(loads), more: fmt.Sprintf("rounds %s; %.0f/s beside %.0f/s, %d clients", each("%.2f", ratios), median(rates[1]), median(rates[0]), registrars)}, nil
}

// byName asks for one service after the other by its name.
func (l *lab) byName(s *server) load.Run {
	n := len(s.services)
	const stride = 7919 // so that neighbours are not asked one after the other
	return load.Run{Dial: s.wire, Conns: discoverConns, Next: func(i int) load.Request {
		return load.Request{Method: http.MethodGet, Path: mep.Base + "/services?ser_name=" + s.services[i*stride%n].name, Keep: true}
	}, Done: func(_ int, _ time.Time, a load.Answer) error {
		if a.Status != http.StatusOK || len(a.Body) < 50 {
			return fmt.Errorf("discovery by name was answered %d: %.100s", a.Status, a.Body)
		}
		return nil
	}}
}

// discoveryBase is discovery by name at a server that somebody else runs.
func discoveryBase(ctx context.Context, l *lab, s *site) ([]figure, error) {
	run := l.byName(s.main)
	run.For = l.size.paced
	const perSecond = 20 // below what one identity may ask
	res := run.Pace(ctx, perSecond)
	if err := res.Check(); err != nil {
		return nil, err
	}
	l.keepHist("discovery by name", res.Latency)
	return []figure{{value: ms(res.Latency.At(99)), more: percentiles(res.Latency) + lateness(res), load: res.CPU.Seconds() / res.Took.Seconds()}}, nil
}
