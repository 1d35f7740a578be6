package heartbeat

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkBeat is the engine's own part of a heartbeat, over a store that renews at once.
func BenchmarkBeat(b *testing.B) {
	e, ids := beating(b, 1000)
	ctx := context.Background()
	for n := 0; b.Loop(); n++ {
		if a := e.Beat(ctx, ids[n%len(ids)], "a.1"); a.Err != nil {
			b.Fatal(a.Err)
		}
	}
}

// BenchmarkBeatsAtOnce has several processors carry heartbeats.
func BenchmarkBeatsAtOnce(b *testing.B) {
	e, ids := beating(b, 1000)
	b.RunParallel(func(p *testing.PB) {
		ctx := context.Background()
		for n := 0; p.Next(); n++ {
			if a := e.Beat(ctx, ids[n%len(ids)], "a.1"); a.Err != nil {
				b.Error(a.Err)
			}
		}
	})
}

// BenchmarkBatch is the engine's own part of 500 heartbeats that come together.
func BenchmarkBatch(b *testing.B) {
	const size = 500
	e, ids := beating(b, 40*size)
	beats := make([]Heartbeat, len(ids))
	for n, id := range ids {
		beats[n] = Heartbeat{ID: id, Owner: "app"}
	}
	ctx, heard := context.Background(), 0
	b.ReportAllocs()
	for n := 0; b.Loop(); n += size {
		at := n % len(beats)
		e.Beats(ctx, "a.1", beats[at:at+size], func(_ int, r Response) {
			if r.Err == nil {
				heard++
			}
		})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(heard), "ns/heartbeat")
}

// beating is an engine alone with so many instances that beat.
func beating(b *testing.B, many int) (*Engine, []ID) {
	l := newLab(nil)
	origin := time.Now()
	e := New(Config{Store: l, Policy: brisk(10), Alone: true, Clock: func() (time.Duration, int64) { now := time.Now(); return now.Sub(origin), now.UnixNano() }})
	ctx := context.Background()
	if _, err := e.Load(ctx); err != nil {
		b.Fatal(err)
	}
	ids := make([]ID, many)
	for n := range ids {
		ids[n] = ID(fmt.Sprint("i", n))
		if _, err := e.Register(ctx, Record{ID: ids[n], Owner: "app", Agents: "a.1", State: Active}); err != nil {
			b.Fatal(err)
		}
	}
	e.Store = quiet{l}
	b.Cleanup(l.end)
	return e, ids
}
