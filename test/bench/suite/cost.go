package suite

import (
	"context"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
)

// memoryAll is what is resident, the pages of the database's file included, for one service.
func memoryAll(ctx context.Context, l *lab, s *site) ([]figure, error) {
	return l.memory(ctx, s.main, "VmRSS")
}

// memoryAnonymous leaves the pages of files out: the database's can be given back at any time.
func memoryAnonymous(ctx context.Context, l *lab, s *site) ([]figure, error) {
	return l.memory(ctx, s.main, "RssAnon")
}

func (l *lab) memory(ctx context.Context, s *server, which string) ([]figure, error) {
	pause(ctx, l.size.settle)
	n := float64(len(s.services))
	return []figure{{value: float64(s.Memory(which)) / n / 1000, load: -1,
		more: fmt.Sprintf("%s of /proc/PID/status, %v after the last of %.0f registrations; VmRSS %d MB, RssAnon %d MB, RssFile %d MB, VmHWM %d MB", which, l.size.settle, n,
			s.Memory("VmRSS")/1e6, s.Memory("RssAnon")/1e6, s.Memory("RssFile")/1e6, s.Memory("VmHWM")/1e6)}}, nil
}

// idle compares a server with services and one without, both at the same time, while nobody asks.
// It begins when what registrations leave behind is cleaned up: the events that tell of them
// stand for a minute and are erased half a minute later.
func idle(ctx context.Context, l *lab, s *site) ([]figure, error) {
	l.say("nothing is asked for %v, and for %v more, which are measured", l.size.erased, l.size.idle)
	pause(ctx, l.size.erased)
	s.profile(l, "idle-measured")
	began, full, empty := time.Now(), s.main.cpu(), s.other.cpu()
	pause(ctx, l.size.idle)
	took := time.Since(began).Seconds()
	a, b := 100*(s.main.cpu()-full).Seconds()/took, 100*(s.other.cpu()-empty).Seconds()/took
	return []figure{{value: a - b, load: -1, more: fmt.Sprintf("%.2f %% of a core beside %.2f %%, both at the same time for %v, from %v after the last registration", a, b, l.size.idle, l.size.erased)}}, nil
}

// paced is what heartbeats at a rate cost the server, and what they cost a bare one.
func paced(ctx context.Context, l *lab, s *site) ([]figure, error) {
	full, least, err := l.atRate(ctx, s, l.size.pace, l.size.paced, l.size.paced)
	if err != nil {
		return nil, err
	}
	l.keepHist(fmt.Sprintf("%.0f/s among %d", l.size.pace, len(s.main.services)), full.Latency)
	return []figure{
		{value: full.percent, load: full.own(), more: full.Faults() + percentiles(full.Latency) + lateness(full.Result)},
		{value: least.percent, load: least.own(), more: least.Faults() + percentiles(least.Latency) + lateness(least.Result)},
	}, nil
}

// spent is a run at a rate, and how much of a core the server took for it, in per cent.
type spent struct {
	load.Result
	percent float64
}

// own is how much of a core the load took itself.
func (s *spent) own() float64 { return s.CPU.Seconds() / s.Took.Seconds() }

// atRate is heartbeats at a rate at the server, and then at a bare one, each for its time.
func (l *lab) atRate(ctx context.Context, s *site, perSecond float64, d, bareFor time.Duration) (full, least spent, err error) {
	run := patches(s.main, s.main.wire, l.size.conns)
	run.For = d
	if full, err = l.pace(ctx, s.main.cpu, run, perSecond); err != nil {
		return full, least, err
	}
	run = bareOf(s.main, s.bare.plainWire, l.size.conns)
	run.For = bareFor
	least, err = l.pace(ctx, s.bare.CPU, run, perSecond)
	return full, least, err
}

// pace runs at a rate; used is the processor time that the server has taken so far.
func (l *lab) pace(ctx context.Context, used func() time.Duration, run load.Run, perSecond float64) (s spent, err error) {
	before := used()
	s.Result = run.Pace(ctx, perSecond)
	s.percent = 100 * (used() - before).Seconds() / s.Took.Seconds()
	return s, s.Mostly()
}

// restart kills the server and starts it again, some times.
func restart(ctx context.Context, l *lab, s *site) ([]figure, error) {
	return l.restarts(ctx, s.main, l.size.restarts)
}

func restartOnce(ctx context.Context, l *lab, s *site) ([]figure, error) {
	return l.restarts(ctx, s.main, 1)
}

func (l *lab) restarts(ctx context.Context, s *server, times int) ([]figure, error) {
	var took []time.Duration
	for range times {
		d, err := s.restart()
		if err != nil {
			return nil, err
		}
		took = append(took, d.Round(time.Millisecond))
		l.say("ready after %v", d)
		pause(ctx, l.size.settle/5)
	}
	return []figure{{value: median(took).Seconds(), load: -1, more: fmt.Sprintf("%v, with %d services, nobody asking meanwhile", took, len(s.services))}}, nil
}

// beating is the load of the large number of services, each of which beats once in an interval, and
// then as many heartbeats a second at a bare server.
func beating(ctx context.Context, l *lab, s *site) ([]figure, error) {
	rate := float64(len(s.main.services)) / l.size.beatEvery.Seconds()
	l.say("%d services beat every %v, %.0f a second, for %v", len(s.main.services), l.size.beatEvery, rate, l.size.beating)
	full, least, err := l.atRate(ctx, s, rate, l.size.beating, min(l.size.beating, l.size.paced))
	if err != nil {
		return nil, err
	}
	l.draw("beating.svg", fmt.Sprintf("%d services beat every %v, from when it was due", len(s.main.services), l.size.beatEvery), l.line("PATCH", full.Latency), l.line("bare net/http", least.Latency))
	return []figure{
		{value: full.percent, load: full.own(), more: fmt.Sprintf("of a core, %.0f/s for %v", rate, full.Took.Round(time.Second))},
		{value: least.percent, load: least.own(), more: fmt.Sprintf("of a core, %.0f/s for %v", rate, least.Took.Round(time.Second))},
		{value: ms(full.Latency.At(99)), load: full.own(), more: full.Faults() + percentiles(full.Latency) + lateness(full.Result)},
		{value: ms(least.Latency.At(99)), load: least.own(), more: least.Faults() + percentiles(least.Latency) + lateness(least.Result)},
	}, nil
}
