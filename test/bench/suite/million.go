package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
)

// millionSteps is how often memory is looked at while they are registered.
const millionSteps = 20

// millionRegistrars is how many register them at a time: the store confirms together what waits for it.
const millionRegistrars = 256

// millionGOGC has the server keep as much room as Go's programs do: with half of it, its own default, the
// collector took more than half of the processor time while 400,000 were registered.
const millionGOGC = "100"

// million registers a million services and has them beat by batches, or by PATCH where there are
// none, until its time is over or something gives way, and says what that was.
func million(ctx context.Context, l *lab, s *site) ([]figure, error) {
	srv, err := l.launch(s, "million", nil, "MEP_STORE_QUOTA_BYTES=32GiB", "GOGC="+millionGOGC)
	if err != nil {
		return nil, err
	}
	defer srv.Kill()
	srv.registrars = millionRegistrars
	s.main = srv
	s.profile(l, "million")
	defer s.profile(l, "million-over") // so that the one before is written: the server is killed
	wall, refused := "", 0
	began := time.Now()
	for len(srv.services) < l.size.million && wall == "" {
		before, step := len(srv.services), min(l.size.million-len(srv.services), l.size.million/millionSteps)
		err := l.register(ctx, srv, step, interval, "")
		got := len(srv.services) - before
		if refused += step - got; err != nil && got < step/2 { // else they were told to try again
			wall = err.Error()
		}
		if own, left := srv.Memory("VmRSS"), available(); left > 0 && own/4 > left {
			wall = fmt.Sprintf("memory: the server holds %d MB, and %d MB are left", own/1e6, left/1e6)
		}
		if ctx.Err() != nil {
			wall = "the time that it was given"
		}
		if wall == "" { // it takes longer than the window of the first
			wall = l.beatOnce(ctx, srv)
		}
	}
	registered := time.Since(began)
	more := fmt.Sprintf("registered in %v, %d refused; VmRSS %d MB, RssAnon %d MB", registered.Round(time.Second), refused, srv.Memory("VmRSS")/1e6, srv.Memory("RssAnon")/1e6)
	if wall != "" {
		return []figure{{value: float64(len(srv.services)), load: -1, more: more + "; the wall: " + wall}}, nil
	}
	run, size, how, err := l.allBeat(ctx, srv)
	if err != nil {
		return []figure{{value: float64(len(srv.services)), load: -1, more: more + "; the wall: " + err.Error()}}, nil
	}
	run.For = l.size.millionFor
	rate := float64(len(srv.services)) / interval
	defer l.ticker(func() { l.say("VmRSS %d MB", srv.Memory("VmRSS")/1e6) })()
	used := srv.cpu()
	res := run.Pace(ctx, rate/float64(size))
	l.keepHist("a million by "+how, res.Latency)
	more += fmt.Sprintf("; %.0f a second by %s for %v: %.0f %% of a core, %s", rate, how, res.Took.Round(time.Second), 100*(srv.cpu()-used).Seconds()/res.Took.Seconds(), percentiles(res.Latency))
	if err := res.Mostly(); err != nil {
		more += "; the wall: " + err.Error()
	} else {
		more += "; " + cmp.Or(res.Faults(), "all were renewed")
	}
	return []figure{{value: float64(len(srv.services)), load: res.CPU.Seconds() / res.Took.Seconds(), more: more}}, nil
}

// allBeat are the heartbeats of all services, by batches of size or by PATCH.
func (l *lab) allBeat(ctx context.Context, srv *server) (run load.Run, size int, how string, err error) {
	run, size, err = l.batchesOf(ctx, srv, srv.wire, batchConns)
	if errors.Is(err, errNoBatches) {
		return patches(srv, srv.wire, l.size.conns), 1, "PATCH", nil
	}
	return run, size, "batches", err
}

// beatOnce has each service beat once, and says what gave way.
func (l *lab) beatOnce(ctx context.Context, srv *server) (wall string) {
	run, size, how, err := l.allBeat(ctx, srv)
	if err == nil {
		run.Count = max(len(srv.services)/size, 1)
		res := run.Saturate(ctx)
		l.say("%d services beat once, by %s, in %v; %s", len(srv.services), how, res.Took.Round(time.Millisecond), cmp.Or(res.Faults(), "all were renewed"))
		err = res.Mostly() // who was told to try again has most of its window left
	}
	if err != nil {
		return "heartbeats beside the registrations: " + err.Error()
	}
	return ""
}
