package suite

import (
	"time"

	"github.com/mec-liveness/mepserver/test/bench/report"
)

// sizes are how large and how long everything is.
type sizes struct {
	rounds               int
	each                 time.Duration // of one server in one round
	turns                int           // rounds of what is compared by its number of requests
	turn                 time.Duration // of one server in one of these
	conns, manyConns     int
	small, middle, large int // services
	batch                int // of one POST
	pace                 float64
	paced                time.Duration // of a run at a rate
	idle                 time.Duration
	settle               time.Duration // before memory is read
	erased               time.Duration // until what registrations leave behind is erased
	beatEvery            time.Duration // of each of the large number
	beating              time.Duration
	dyingAmong           int // of the large number
	deaths               int
	mass                 int
	dieEvery             time.Duration // the interval of those that die in a mass
	registerEach         int           // in one round
	restarts             int
	readers              int
	million              int
	millionFor           time.Duration
	follow               int // of those whose interval follows the load, at first
	followTimes          int // as many, then
	followEvery          time.Duration
	followShare          int // of the bound comes, or goes, in a second
}

var full = sizes{
	rounds: 3, each: 3 * time.Second, turns: 9, turn: time.Second, conns: 32, manyConns: 500, small: 1000, middle: 20000, large: 100000, batch: 500,
	pace: 2000, paced: 20 * time.Second, idle: time.Minute, settle: 10 * time.Second, erased: 100 * time.Second, beatEvery: time.Minute, beating: 90 * time.Second,
	dyingAmong: 1000, deaths: 200, mass: 10000, dieEvery: 10 * time.Second, registerEach: 1000, restarts: 3, readers: 2000, million: 1000000, millionFor: 10 * time.Minute,
	follow: 5000, followTimes: 10, followEvery: 5 * time.Second, followShare: 5,
}

var quick = sizes{
	rounds: 2, each: 200 * time.Millisecond, turns: 2, turn: 200 * time.Millisecond, conns: 4, manyConns: 8, small: 40, middle: 60, large: 100, batch: 20,
	pace: 100, paced: time.Second, idle: time.Second, settle: 200 * time.Millisecond, erased: time.Second, beatEvery: time.Second, beating: 2 * time.Second,
	dyingAmong: 10, deaths: 6, mass: 40, dieEvery: time.Second, registerEach: 20, restarts: 1, readers: 10, million: 200, millionFor: 2 * time.Second,
	follow: 10, followTimes: 4, followEvery: time.Second, followShare: 5,
}

// scale changes the numbers of services; 0 and 1 do not.
func (s *sizes) scale(by float64) {
	if by == 0 {
		return
	}
	for _, n := range []*int{&s.middle, &s.large, &s.mass, &s.million, &s.follow} {
		*n = max(int(float64(*n)*by), s.batch)
	}
	s.pace *= by
}

func atLeast(bound float64, before string) *report.Target {
	return &report.Target{Bound: bound, AtLeast: true, Before: before}
}

func atMost(bound float64, before string) *report.Target {
	return &report.Target{Bound: bound, Before: before}
}

// stages are everything that is measured, in the order in which it runs.
func stages() []stage {
	return []stage{
		{"small", openSmall, []measure{
			{name: "beats", run: beats, rows: []report.Row{
				{Name: "PATCH/s beside bare net/http, 32 connections", Target: atLeast(0.80, "0.70–0.79")},
				{Name: "the same, 500 connections", Target: atLeast(0.80, "0.70–0.79")},
				{Name: "PATCH/s over TLS beside bare net/http over TLS, 32 connections"},
				{Name: "service-center's own heartbeats/s beside bare net/http, 32 connections"},
			}},
			{name: "latency", run: latency, rows: []report.Row{
				{Name: "p99 of a heartbeat at 2,000 a second, from when it was due", Unit: "ms"},
				{Name: "the same, of bare net/http", Unit: "ms"},
			}},
			{name: "readers", run: readers, rows: []report.Row{
				{Name: "p99 of a heartbeat beside readers of the event stream, of that without", Unit: "×"},
			}},
		}},
		{"external", openExternal, []measure{
			{name: "beats-external", run: beatsExternal, rows: []report.Row{
				{Name: "PATCH/s beside bare net/http, 32 connections, one external etcd", Target: atLeast(0.45, "0.31")},
				{Name: "services renewed/s by batches of 500, one external etcd, beside raw pipelined keep-alives", Target: atLeast(0.6, "–")},
			}},
		}},
		{"middle", openMiddle, []measure{
			{name: "memory", run: memoryAll, rows: []report.Row{
				{Name: "RSS a service at 20,000, all included, after their registration", Unit: "kB", Target: atMost(14, "24 kB")},
			}},
			{name: "idle", run: idle, rows: []report.Row{
				{Name: "idle CPU at 20,000 services over an empty server's", Unit: "points", Target: atMost(0.3, "4 points")},
			}},
			{name: "batch", run: batches, rows: []report.Row{
				{Name: "services renewed/s by batches of 500 beside PATCH", Unit: "×", Target: atLeast(10, "–")},
			}},
			{name: "paced", run: paced, rows: []report.Row{
				{Name: "CPU of 2,000 PATCH/s among 20,000 services", Unit: "%", Target: atMost(11, "13–15 %")},
				{Name: "the same, of bare net/http", Unit: "%"},
			}},
			{name: "restart", run: restart, rows: []report.Row{
				{Name: "kill -9 to ready, 20,000 services", Unit: "s", Target: atMost(1, "1.9 s")},
			}},
		}},
		{"large", openLarge, []measure{
			{name: "memory-large", run: memoryAnonymous, rows: []report.Row{
				{Name: "RssAnon a service at 100,000", Unit: "kB", Target: atMost(9, "about 22 kB")},
			}},
			{name: "growth", run: growth, rows: []report.Row{
				{Name: "registrations/s at 100,000 services beside 1,000", Target: atLeast(0.95, "0.9")},
				{Name: "discovery by name at 100,000 services beside 1,000", Target: atLeast(0.95, "0.89 at 10,000")},
			}},
			{name: "restart-large", run: restartOnce, rows: []report.Row{
				{Name: "kill -9 to ready, 100,000 services", Unit: "s", Target: atMost(4, "12.9 s")},
			}},
			{name: "beating", run: beating, rows: []report.Row{
				{Name: "CPU while 100,000 beat every 60 s by PATCH", Unit: "%", Target: atMost(25, "61 %")}, {Name: "the same, of bare net/http", Unit: "%"},
				{Name: "p99 of a heartbeat then, from when it was due", Unit: "ms", Target: atMost(5, "23 ms")}, {Name: "the same, of bare net/http", Unit: "ms"},
			}},
			{name: "restart-beating", run: restartBeating, rows: []report.Row{
				{Name: "100,000 beating, kill -9, 1,000 of them dead meanwhile: the last of these SUSPENDED after /ready, beyond its window", Unit: "s", Target: atMost(15, "–")},
			}},
		}},
		{"death", openNothing, []measure{
			{name: "death", run: deathEmbedded, rows: []report.Row{
				{Name: "one death, hidden after window + hold, p99, embedded", Unit: "s", Target: atMost(0.2, "0.5 s")},
			}},
			{name: "death-external", run: deathExternal, rows: []report.Row{
				{Name: "the same, one external etcd", Unit: "s", Target: atMost(1.2, "–")},
			}},
			{name: "mass", run: massDeath, rows: []report.Row{
				{Name: "10,000 die within one interval of 10 s: last SUSPENDED after its window + hold", Unit: "s", Target: atMost(2, "5.4 s")},
				{Name: "the same: last told after its window + hold", Unit: "s", Target: atMost(4, "–")},
			}},
		}},
		{"follow", openNothing, []measure{{name: "follow", asked: true, run: follow, rows: []report.Row{{Name: "5,000 services become 50,000 and go again: most heartbeats a second, of the bound", Unit: "×", Target: atMost(1, "–")}}}}},
		{"million", openNothing, []measure{
			{name: "million", asked: true, run: million, rows: []report.Row{
				{Name: "a million services: how many were there when it ended", Unit: "services"},
			}},
		}},
	}
}

// baseStages are what can be measured at a server that somebody else runs.
func baseStages() []stage {
	return []stage{{"base", openBase, []measure{
		{name: "beats", run: beatsBase, rows: []report.Row{
			{Name: "PATCH/s beside bare net/http, 32 connections", Target: atLeast(0.80, "0.70–0.79")},
			{Name: "the same, 500 connections", Target: atLeast(0.80, "0.70–0.79")},
		}},
		{name: "latency", run: latencyBase, rows: []report.Row{
			{Name: "p99 of a heartbeat at a tenth of that rate, from when it was due", Unit: "ms"},
		}},
		{name: "batch", run: batches, rows: []report.Row{
			{Name: "services renewed/s by batches beside PATCH", Unit: "×", Target: atLeast(10, "–")},
		}},
		{name: "discovery", run: discoveryBase, rows: []report.Row{
			{Name: "discovery by name, p99", Unit: "ms"},
		}},
	}}}
}

// Rows is how many rows the whole suite has.
func Rows() (n int) {
	for _, st := range stages() {
		for _, m := range st.measures {
			n += len(m.rows)
		}
	}
	return n
}
