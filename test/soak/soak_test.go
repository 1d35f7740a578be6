// Package soak lets a population of services live, die, return and be deleted while
// the platform is killed and paused, and compares what it shows and tells with what
// really happened. It knows the binary and the wire; it must not know anything of the
// program's inside.
//
// It needs nothing but Go, and half a minute or as long as it is told:
//
//	go test ./test/soak -run .
//	go test ./test/soak -soak 10m -timeout 30m -v
package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
)

var (
	length     = flag.Duration("soak", 12*time.Second, "how long the world goes on")
	population = flag.Int("services", 0, "services alive or dead at a time; 0: 100, from a minute on 500")
	seed       = flag.Uint64("seed", 0, "of the world; 0: another one each time")
	strict     = flag.Bool("strict", false, "fail also if a death was noticed later than promised, for machines that do nothing else")
)

const (
	interval = 1 // seconds
	window   = 2 * time.Second
	removal  = 20 * time.Second // deregisterAfter
)

func TestMain(m *testing.M) {
	os.Exit(tier.Main(m, "test/soak", "goes on for as long as it is told, half a minute at least", func() int { return mep.Main(m) }))
}

func TestSoak(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	n := *population
	if n == 0 {
		n = 100
		if *length >= time.Minute {
			n = 500
		}
	}
	t.Logf("seed %d, %d services, %v; repeat with -seed %d", *seed, n, *length, *seed)
	w := newWorld(t)
	consumers := []*listener{
		w.listener("everything", "", 0),
		w.listener("half of the names", w.halfOfTheNames(), 0),
		w.listener("only SUSPENDED", `{"states":["SUSPENDED"]}`, 0),
		w.listener("fails one in five", "", 20),
		w.listener("everything, again", "", 0),
	}
	w.hanging()
	reading, endStream := context.WithCancel(t.Context())
	defer endStream()
	stream := w.readStream(reading)

	var lives sync.WaitGroup
	for i := range n {
		rnd := rand.New(rand.NewPCG(*seed, uint64(i)+1))
		lives.Go(func() { w.liveOn(i, rnd) })
	}
	var watch sync.WaitGroup
	watch.Go(w.poll)
	end := time.Now().Add(*length)
	w.makeTrouble(rand.New(rand.NewPCG(*seed, 0)), end)
	w.over.Store(true) // everybody ends as the seed says: beating or silent
	lives.Wait()
	w.settle(consumers)
	w.settleStream(stream)
	endStream()
	close(w.done)
	watch.Wait()
	w.countFaults(consumers)
	t.Log(w.summary(consumers))
	t.Logf("the stream: %d changes, %d resets, %d connections lost, %d breaches", stream.changes, stream.resets, stream.lost, stream.wrong)
	for _, f := range w.faults {
		t.Error(f)
	}
}

func (w *world) summary(consumers []*listener) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	receipts, repeated := 0, 0
	for _, c := range consumers {
		receipts += c.posts
		repeated += c.repeated
	}
	return fmt.Sprintf("seed %d: %v, %d registrations, %d deaths, %d returns, %d deletions, %d removals; %d kills, %d pauses; %d beats, %d polls; "+
		"%d POSTs received (%d repeated); false suspensions %d, missed deaths %d (late %d, latest %v over its window), notifications lost or out of order %d",
		*seed, *length, w.registered, consumers[0].suspensions, consumers[0].returns, w.deleted, w.removed, w.kills, w.pauses, w.beats.Load(), w.polls,
		receipts, repeated, w.falsely, w.missed, w.late, w.latest.Round(10*time.Millisecond), w.lost)
}
