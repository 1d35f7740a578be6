package chaos

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/proxy"
)

var (
	minutes  = flag.Int("minutes", 0, "run the fault schedule for so long")
	services = flag.Int("services", 6000, "with so many services")
	every    = flag.Int("interval", 10, "that beat so often, in seconds; the window is twice that")
)

// fault is one kind of harm, with its weight in the schedule.
type fault struct {
	weight int
	name   string
	do     func(w *world) bool // whether it happened
}

var faults = []fault{
	{25, "a replica killed", func(w *world) bool {
		i := w.rnd.IntN(len(w.replicas))
		w.replicas[i].get().Kill()
		w.pause(0, 3)
		w.restart(i)
		return true
	}},
	{20, "a replica paused", func(w *world) bool {
		r := w.replicas[w.rnd.IntN(len(w.replicas))].get()
		r.Pause()
		w.pause(1, 20)
		r.Resume()
		return true
	}},
	{10, "an etcd member killed", func(w *world) bool {
		m := w.etcd.Members[w.rnd.IntN(len(w.etcd.Members))]
		m.Kill()
		w.pause(1, 15)
		m.Launch(w.t)
		return true
	}},
	{15, "the leader paused", func(w *world) bool {
		m := w.etcd.Leader()
		if m == nil {
			return false
		}
		m.Pause()
		w.pause(2, 20)
		m.Resume()
		return true
	}},
	{10, "leases of the living revoked", func(w *world) bool { // as a woken leader does now and then
		some := w.randomLiving(200)
		w.revoke(some)
		return len(some) > 0
	}},
	{10, "a replica cut off", func(w *world) bool {
		i := w.rnd.IntN(len(w.replicas))
		w.setLinks(i, []proxy.Mode{proxy.Refuse, proxy.Blackhole, proxy.HalfDown, proxy.HalfUp}[w.rnd.IntN(4)])
		w.pause(5, 30)
		w.setLinks(i, proxy.Pass)
		return true
	}},
	{5, "history compacted", func(w *world) bool { return w.etcd.Compact() == nil }},
	{5, "all connections cut", func(w *world) bool {
		for _, links := range w.links {
			for _, l := range links {
				l.Cut()
			}
		}
		return true
	}},
}

func (w *world) pause(least, most int) {
	time.Sleep(time.Duration(least)*time.Second + time.Duration(w.rnd.Int64N(int64(most-least)*int64(time.Second))))
}

// randomLiving are up to n of those that beat.
func (w *world) randomLiving(n int) []*agent {
	w.mu.Lock()
	all := slices.Clone(w.agents)
	w.mu.Unlock()
	all = slices.DeleteFunc(all, func(a *agent) bool { return !a.alive.Load() })
	w.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}

func (w *world) fault() fault {
	n := w.rnd.IntN(100)
	for _, f := range faults {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	return faults[0]
}

// One fault after the other, for as long as it is asked, among thousands of living
// services, of which some die for good now and then: none of the living is suspended,
// none of the dead is missed.
func TestFaultSchedule(t *testing.T) {
	if *minutes == 0 {
		t.Skip("run it with -minutes N (and -services M)")
	}
	w := begin(t, plan{members: 3, replicas: 3, interval: *every, misses: 1})
	c := w.subscribe()
	c.fails = 10
	var living []*agent
	for len(living) < *services { // they beat from the start, as agents do: to register all takes longer than a window
		some := w.populate(fmt.Sprint("living", len(living)), min(500, *services-len(living)))
		w.startBeating(some)
		living = append(living, some...)
	}
	w.poll(5 * time.Second)
	began := time.Now()
	var dead []*agent
	done := map[string]int{}
	for time.Since(began) < time.Duration(*minutes)*time.Minute {
		doomed := w.populate(fmt.Sprint("doomed", len(dead)), 60) // of another application each time, for each may have a thousand
		w.startBeating(doomed)
		w.pause(3, 8)
		f := w.fault()
		stopBeating(doomed)
		dead = append(dead, doomed...)
		if f.do(w) {
			done[f.name]++
		}
		t.Logf("%s: %s; %d of the living suspended, %d ends of their leases so far", time.Since(began).Round(time.Second), f.name, w.of(living).suspended, w.of(living).revoked)
		w.pause(10, 20)
	}
	hours := time.Since(began).Hours() * float64(*services)
	w.requireTruth(c, dead, living)
	ends := w.of(living).revoked
	late := w.late(dead)
	most := max(w.window()+5*time.Second, 10*time.Second) // the second beside the kill of a replica
	first, _ := slices.BinarySearch(late, most+1)
	t.Logf("%.0f lease-hours, %d leases of the living ended, 0 of them suspended: by the rule of three less than %.1e a lease-hour at 95 %%; %d deaths, all found, %d of them later than %s after their windows; faults: %s",
		hours, ends, 3/hours, len(dead), len(late)-first, most, fmt.Sprint(done))
	require.NotEmpty(t, done)
	if *minutes >= 15 {
		require.Positive(t, ends, "a run in which no lease ended early shows nothing")
		require.GreaterOrEqual(t, len(dead), 1000)
	}
}
