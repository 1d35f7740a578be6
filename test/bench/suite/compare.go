package suite

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
)

// contender is one server under one kind of request.
type contender struct {
	name string
	run  load.Run
	cpu  func() time.Duration // of the server; nil: nobody knows
	// beside is the processor time of what the server itself asks; nil: it asks nobody else.
	beside func() time.Duration
	each   int // services renewed by one request; 0: 1
	bare   int // the contender that it is compared with; itself: none

	perSecond, ratios []float64
	cost              []time.Duration // of the server for one, each round
	besides           []time.Duration // and of what it asks
	loads             []float64       // processors that the load took, each round
	servers           []float64       // and the server
	latency           *load.Hist
	faults            string // what failed, in words
}

// compare has all of them answer as much as they can, one after the other, round after round. The
// rounds are short and many, and begin with another one each: what else the machine does comes and
// goes, and one that it disturbs is one of many.
func (l *lab) compare(ctx context.Context, all []*contender) error {
	for round := range l.size.turns {
		for i := range all {
			c := all[(i+round)%len(all)]
			c.run.For = l.size.turn
			run := c.run.Warm(ctx)
			used := time.Duration(0)
			if c.cpu != nil {
				used = c.cpu()
			}
			asked := time.Duration(0)
			if c.beside != nil {
				asked = c.beside()
			}
			res := run.Saturate(ctx)
			if err := res.Mostly(); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.faults += res.Faults()
			each := max(c.each, 1)
			c.perSecond = append(c.perSecond, res.PerSecond()*float64(each))
			c.loads = append(c.loads, res.CPU.Seconds()/res.Took.Seconds())
			if c.cpu != nil {
				used = c.cpu() - used
				c.cost = append(c.cost, used/time.Duration(res.N*each))
				c.servers = append(c.servers, used.Seconds()/res.Took.Seconds())
			}
			if c.beside != nil {
				c.besides = append(c.besides, (c.beside()-asked)/time.Duration(res.N*each))
			}
			if c.latency == nil {
				c.latency = load.NewHist()
			}
			c.latency.Merge(res.Latency)
			l.say("round %d: %-28s %9.0f/s", round+1, c.name, c.perSecond[round])
		}
		for _, c := range all {
			if b := all[c.bare]; b != c {
				c.ratios = append(c.ratios, c.perSecond[round]/b.perSecond[round])
			}
		}
	}
	return nil
}

// figure is the median of a contender's ratios.
func (c *contender) figure(all []*contender) figure {
	b := all[c.bare]
	more := fmt.Sprintf("rounds %s; %.0f/s beside %.0f/s", each("%.2f", c.ratios), median(c.perSecond), median(b.perSecond))
	if len(c.cost) > 0 && len(b.cost) > 0 {
		more += fmt.Sprintf("; server's processor time for one %v beside %v", micro(median(c.cost)), micro(median(b.cost)))
	}
	if len(c.besides) > 0 {
		more += fmt.Sprintf("; the store's %v", micro(median(c.besides)))
	}
	return figure{value: median(c.ratios), load: median(c.loads), more: c.faults + more + c.limit()}
}

// limit says so if the load rather than the server took the processors.
func (c *contender) limit() string {
	if len(c.servers) == 0 {
		return ""
	}
	own, other := median(c.loads), median(c.servers)
	if own > other && own+other > 0.9*float64(runtime.NumCPU()) {
		return "; the load was the limit, it took more than the server"
	}
	return ""
}

func micro(d time.Duration) time.Duration { return d.Round(100 * time.Nanosecond) }

func median[T interface{ ~int64 | ~float64 }](all []T) T {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

func each[T any](format string, all []T) string {
	var out []string
	for _, v := range all {
		out = append(out, fmt.Sprintf(format, v))
	}
	return strings.Join(out, " ")
}

// ms is a time in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentiles are a distribution in words.
func percentiles(h *load.Hist) string {
	at := func(p float64) time.Duration { return rounded(h.At(p)) }
	return fmt.Sprintf("n=%d, p50 %v, p90 %v, p99 %v, p99.9 %v, most %v", h.N(), at(50), at(90), at(99), at(99.9), rounded(h.Max()))
}

// rounded leaves three digits or so.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}

// lateness says how late the load itself was; and that it was the limit if that is most of what
// was measured.
func lateness(r load.Result) string {
	out := fmt.Sprintf("; the load itself was late by %v at p99", rounded(r.Late.At(99)))
	if r.Late.At(99) > r.Latency.At(99)/2 {
		out += ", which is most of it: the load was the limit"
	}
	return out
}
