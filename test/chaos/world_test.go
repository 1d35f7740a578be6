// Package chaos is the fault laboratory. It kills, pauses and cuts off real replicas and
// real etcd servers while agents, whose truth is known, send heartbeats, and shows that
// none of the living is suspended and that each death is found and told once. Three
// witnesses see it: the history of the store, discovery, and a consumer. It knows the
// binary, the wire and the store's public projection; it must not know anything of the
// program's inside.
//
// It needs the Go module proxy, or etcd built before, and three minutes:
//
//	go test ./test/chaos -run .
package chaos

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

var (
	long     = flag.Bool("long", false, "run the long size: every scenario in full (hours)")
	seedFlag = flag.Uint64("seed", 0, "replay this seed; 0: a new one")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue && !*long {
		_ = flag.Set("test.parallel", "5") // worlds mostly wait
	}
	os.Exit(tier.Main(m, "test/chaos", "starts etcd servers and pauses processes for minutes", func() int { return mep.Main(m) }))
}

// pick gives a figure of the long size, or of the short one.
func pick[T any](short, full T) T {
	if *long {
		return full
	}
	return short
}

// world is one platform with its agents.
type world struct {
	t        *testing.T
	rnd      *rand.Rand
	etcd     *etcd.Cluster
	replicas []*slot
	links    [][]*proxy.Proxy // of each replica to each member
	interval time.Duration
	misses   int
	patience time.Duration // of agents with an answer

	silenced   atomic.Bool  // no agent beats; afterwards each does when it is due
	failedOver atomic.Int64 // heartbeats that the first replica asked did not confirm
	mu         sync.Mutex
	agents     []*agent
	work       sync.WaitGroup
	end        chan struct{}
	*witness
}

// slot is a atReplica that a replica runs in, one after the other.
type slot struct {
	mu sync.RWMutex
	r  *mep.Server
}

func (s *slot) get() *mep.Server { s.mu.RLock(); defer s.mu.RUnlock(); return s.r }

// plan says how large a world is.
type plan struct {
	members, replicas int
	interval, misses  int      // seconds, and how many may be missed
	etcd              []string // further flags of it
	env               []string // further settings of the replicas
	binary            string   // another one than usual
	first             []string // settings of the first replica alone
	seed              uint64   // 0: a new one
	patience          time.Duration
}

// newSeed is what -seed says, or a new one.
func newSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return rand.Uint64()
}

// begin starts a world of this size, which ends with the test.
func begin(t *testing.T, p plan) *world {
	t.Helper()
	seed := cmp.Or(p.seed, newSeed())
	t.Logf("seed %d", seed)
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), interval: time.Duration(p.interval) * time.Second, misses: p.misses,
		patience: cmp.Or(p.patience, 3*time.Second), end: make(chan struct{})}
	w.etcd = etcd.Start(t, etcd.Binary(t, etcd.Current), p.members, p.etcd...)
	w.witness = &witness{w: w, history: w.etcd.Record(t, "/cse-sr/inst/files/default/default/", suspendedID), hidden: map[string]time.Time{}, shown: map[atReplica]bool{}}
	env := append([]string{"MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_NOTIFY_FLAP_CHANGES=0", fmt.Sprint("MEP_LIVENESS_ALLOWED_MISSES=", p.misses)}, p.env...)
	for i := range p.replicas {
		var links []*proxy.Proxy
		var endpoints []string
		for _, m := range w.etcd.Members {
			l := proxy.Start(t, m.Client)
			links, endpoints = append(links, l), append(endpoints, "http://"+l.Addr)
		}
		w.links = append(w.links, links)
		own := env
		if i == 0 {
			own = append(append([]string(nil), env...), p.first...)
		}
		w.replicas = append(w.replicas, &slot{r: mep.Options{Binary: p.binary, Endpoints: endpoints, Env: own}.Start(t)})
	}
	t.Cleanup(w.stop)
	return w
}

// restart starts a replica that has ended anew, at the address that it had. What was to
// fail in it fails once.
func (w *world) restart(i int) {
	w.t.Helper()
	o := w.replicas[i].get().Options
	o.Env = slices.DeleteFunc(slices.Clone(o.Env), func(s string) bool { return strings.HasPrefix(s, "MEP_FAILPOINTS=") })
	r := o.Start(w.t)
	w.replicas[i].mu.Lock()
	w.replicas[i].r = r
	w.replicas[i].mu.Unlock()
}

// stop ends what goes on in the world and waits for it.
func (w *world) stop() {
	select {
	case <-w.end:
	default:
		close(w.end)
	}
	w.work.Wait()
}

// window is how long one may be silent.
func (w *world) window() time.Duration { return w.interval * time.Duration(w.misses+1) }

// agent is one service and its truth.
type agent struct {
	app, id string
	home    int
	alive   atomic.Bool
	acked   atomic.Int64 // Unix nanoseconds of the sending of the last confirmed heartbeat
	refused atomic.Int64 // 404s: the platform forgot it
}

func (a *agent) silence(now time.Time) time.Duration { return now.Sub(time.Unix(0, a.acked.Load())) }

// populate registers n services, spread over the replicas.
func (w *world) populate(name string, n int) []*agent {
	w.t.Helper()
	out := make([]*agent, n)
	var failed atomic.Pointer[error]
	sideBySide(n, 32, func(i int) {
		a := &agent{app: fmt.Sprintf("%s-%d", name, i/500), home: i % len(w.replicas)}
		a.acked.Store(time.Now().UnixNano())
		var v *mep.Service
		var err error
		for try := range 100 { // agents fail over, and try again
			if try > 0 && try%len(w.replicas) == 0 {
				time.Sleep(300 * time.Millisecond)
			}
			r := w.replicas[(a.home+try)%len(w.replicas)].get()
			if v, err = r.TryRegister(a.app, fmt.Sprint(name, i), int(w.interval/time.Second)); err == nil {
				a.id, out[i] = v.ID, a
				return
			}
		}
		failed.Store(&err)
	})
	if err := failed.Load(); err != nil {
		w.t.Fatal(*err)
	}
	w.mu.Lock()
	w.agents = append(w.agents, out...)
	w.mu.Unlock()
	return out
}

// startBeating has agents beat at their interval until stopBeating or the end of the world.
func (w *world) startBeating(agents []*agent) {
	for _, a := range agents {
		a.alive.Store(true)
		phase := time.Duration(w.rnd.Int64N(int64(w.interval)))
		w.work.Go(func() {
			for next := time.Now().Add(phase); ; next = next.Add(w.interval) {
				select {
				case <-w.end:
					return
				case <-time.After(time.Until(next)):
				}
				if !a.alive.Load() {
					return
				}
				if !w.silenced.Load() {
					w.beat(a)
				}
			}
		})
	}
}

// stopBeating lets agents die.
func stopBeating(agents []*agent) {
	for _, a := range agents {
		a.alive.Store(false)
	}
}

// beat sends one heartbeat and fails over to the other replicas, as agents do.
func (w *world) beat(a *agent) {
	for i := range w.replicas {
		r := w.replicas[(a.home+i)%len(w.replicas)].get()
		at := time.Now()
		switch w.patch(r, a) {
		case http.StatusOK, http.StatusNoContent:
			a.acked.Store(at.UnixNano())
			return
		case http.StatusNotFound:
			a.refused.Add(1)
			return
		}
		if i == 0 {
			w.failedOver.Add(1)
		}
	}
}

// patch sends one heartbeat and returns the status; 0: no answer within the patience.
func (w *world) patch(r *mep.Server, a *agent) int {
	ctx, cancel := context.WithTimeout(context.Background(), w.patience)
	defer cancel()
	return r.BeatWithin(ctx, a.app, a.id)
}

// eventually waits for what the platform promises without a time; the bound ends a test
// that is broken.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	wait.Within(w.t, 5*time.Minute, what, f)
}

// metric adds up a series of the replicas that run.
func (w *world) metric(series string) (n int) {
	for _, s := range w.replicas {
		value, _ := s.get().TryMetric(series)
		n += int(value)
	}
	return n
}
