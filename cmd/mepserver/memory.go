package main

import (
	"context"
	"net"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"
)

// gcPercent is GOGC of a server that is ready, unless the environment sets it. What it holds of
// its services is long-lived, and a heartbeat makes little garbage: half of Go's default takes a
// third off the memory of 20,000 services, and a heartbeat costs no more.
const gcPercent = 50

// starting has a server collect less garbage until it is settled.
func (p environment) starting() (settled func()) {
	if !collectsByDefault(p.environ) {
		return func() {}
	}
	return collectBy(startPercentFor)
}

// settled is called when the server is ready, and has it keep less memory in reserve than while it was
// starting. GOMEMLIMIT goes on to be obeyed beside it.
func (p environment) settled(ctx context.Context, started func(), up func(net.Addr)) func(net.Addr) {
	return func(a net.Addr) {
		started()
		if collectsByDefault(p.environ) {
			context.AfterFunc(ctx, keepReserve())
			go giveBack(ctx)
		}
		up(a)
	}
}

// collectsByDefault says whether the environment leaves open how often garbage is collected.
func collectsByDefault(environ []string) bool {
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); name == "GOGC" && value != "" {
			return false
		}
	}
	return true
}

// lookEvery is how often it is looked whether memory can be given back.
const lookEvery = 2 * time.Second

// heap is how memory is at a moment, in bytes.
type heap struct {
	allocated uint64 // ever
	live      uint64 // after the last collection
	objects   uint64 // what was alive then, and what came since
	free      uint64 // pages that hold nothing and are kept for later
}

// giveBack returns memory to the system when a burst is over: what a start, or many registrations,
// have thrown away stays for minutes otherwise, for nobody allocates who would have it collected.
func giveBack(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	last := readHeap()
	for settled := last.live; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := readHeap()
		if now.wastes(last, settled) {
			debug.FreeOSMemory()
			now = readHeap()
			settled = now.live
		}
		last, settled = now, min(settled, now.live)
	}
}

// wastes says whether it is worth a collection to give memory back: there is much of it, and little is
// allocated, so that it is not needed again soon. After a burst, by which there is more alive than when
// memory was given back last (settled), that is once as much as heartbeats, or a look through what was
// registered, allocate: they would keep it for minutes. Else it is hardly anything. The usual heartbeats of
// a server with many services may count as that too: their garbage is then collected sooner than GOGC
// asks. A server that is left alone wastes nothing once it has given back.
func (h heap) wastes(last heap, settled uint64) bool {
	const little = 1 << 20
	if h.objects+h.free <= h.live+h.live/8+8*little {
		return false
	}
	most := h.live/40 + little
	if h.live > settled+settled/8+8*little {
		most = h.live/10 + 2*little
	}
	return h.allocated-last.allocated <= most
}

func readHeap() heap {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return heap{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64()}
}
