package heartbeat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd are applications that keep the interval that they were told last.
type crowd struct {
	t       *testing.T
	l       *lab
	unheard float64 // the share of answers that does not reach its application

	mu      sync.Mutex
	rnd     *rand.Rand
	begun   time.Time
	beats   []int // by the minute
	told    int   // answers with an interval that reached their application
	lost    int   // and those that did not
	longest int
	most    int // the most that one application was told
	wait    sync.WaitGroup
}

func (c *crowd) float() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.Float64()
}

// join has an application come that sends heartbeats until stay is closed, and deregisters then.
func (c *crowd) join(s *replica, id ID, stay <-chan struct{}) {
	rec := s.register(id)
	c.wait.Go(func() {
		interval, told := rec.Interval, 0
		next := time.Duration(c.float() * float64(interval) * float64(time.Second)) // heartbeats are spread
		for {
			select {
			case <-stay:
				if err := s.Remove(context.Background(), id, Removal{Owner: "app"}); err != nil {
					c.t.Errorf("%s: %v", id, err)
				}
				c.mu.Lock()
				defer c.mu.Unlock()
				c.most = max(c.most, told)
				return
			case <-time.After(next):
			}
			a := s.beat(id)
			c.note()
			if a.Err != nil {
				c.t.Errorf("%s: %v", id, a.Err)
			}
			if a.TellInterval {
				n := a.Record.Interval
				if n == interval {
					c.t.Errorf("%s was told %d s again", id, n)
				}
				if w := c.l.at(id).Record.Window; w < 3*max(n, interval) {
					c.t.Errorf("%s: %d s after %d s, and the window is %d s already", id, n, interval, w)
				}
				if c.float() >= c.unheard {
					interval = n
					told++
					c.heard(n)
				} else {
					c.mu.Lock()
					c.lost++
					c.mu.Unlock()
				}
			}
			next = time.Duration((1 - c.float()/20) * float64(interval) * float64(time.Second))
		}
	})
}

func (c *crowd) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	minute := int(time.Since(c.begun) / time.Minute)
	for len(c.beats) <= minute {
		c.beats = append(c.beats, 0)
	}
	c.beats[minute]++
}

func (c *crowd) heard(interval int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told++
	c.longest = max(c.longest, interval)
}

// Ten times as many come, and go again: what is sent stays below the bound, each change is told
// once, nobody is SUSPENDED, and at last the few that are left have the short interval again.
func TestTenTimesAsManyServicesSendNoMoreThanTheBound(t *testing.T) {
	for _, v := range []struct {
		name     string
		replicas int
		unheard  float64
	}{{"alone", 1, 0}, {"two replicas", 2, 0}, {"answers are lost", 1, .3}} {
		t.Run(v.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			bubble(t, func(t *testing.T, l *lab) {
				const few, many, perSecond = 50, 500, 10
				p := bounded(perSecond, 10, 300)
				var at []*replica
				for range v.replicas {
					at = append(at, l.addReplica(p, v.replicas == 1))
				}
				c := &crowd{t: t, l: l, unheard: v.unheard, rnd: rand.New(rand.NewPCG(seed, 1)), begun: time.Now()}
				ends := make([]chan struct{}, many)
				for i := range ends {
					ends[i] = make(chan struct{})
					c.join(at[i%len(at)], ID(fmt.Sprint("i", i)), ends[i])
					if i >= few {
						time.Sleep(time.Second)
					}
				}
				time.Sleep(10 * time.Minute)
				load := at[0].load.load()
				require.Equal(t, Load{Free: many}, load)
				for i := range many {
					rec := l.at(ID(fmt.Sprint("i", i))).Record
					require.Equal(t, p.Choose(rec.Interval, load), rec.Interval)
					require.GreaterOrEqual(t, rec.Interval, 80)
				}
				for i := many - 1; i >= few; i-- {
					close(ends[i])
					time.Sleep(time.Second)
				}
				time.Sleep(10 * time.Minute)
				for i := range few {
					rec := l.at(ID(fmt.Sprint("i", i))).Record
					require.Equal(t, []int{10, 30, 0}, []int{rec.Interval, rec.Window, rec.Previous}, "%+v", rec)
				}
				for _, s := range at {
					require.Equal(t, Load{Free: few}, s.load.load())
					require.InDelta(t, few/10., s.Stats().Due, 1e-3)
				}
				for i := range few {
					close(ends[i])
				}
				c.wait.Wait()
				synctest.Wait()
				for minute, n := range c.beats {
					require.LessOrEqual(t, n, 60*perSecond, "heartbeats in minute %d of %v", minute, c.beats)
				}
				require.Zero(t, l.count(Claim), "SUSPENDED")
				require.Zero(t, l.count(Rearm), "leases that ended")
				told := uint64(0)
				for _, s := range at {
					require.Equal(t, Load{}, s.load.load())
					told += s.Stats().Told
				}
				require.EqualValues(t, c.told+c.lost, told)
				require.GreaterOrEqual(t, c.longest, 80)
				if v.unheard > 0 {
					require.Positive(t, c.lost)
				} else {
					require.LessOrEqual(t, c.most, 8, "up four steps and down again at most")
					require.LessOrEqual(t, l.count(Raise)+l.count(Lower)+l.count(Settle), 2*c.told, "two writes a change")
				}
				t.Logf("%d changes told, %d answers lost; heartbeats by the minute %v", c.told, c.lost, c.beats)
			})
		})
	}
}

// What a batch tells of the load is what its heartbeats one by one would have told.
func TestABatchTellsTheIntervalsThatFollowTheLoad(t *testing.T) {
	seed := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		one, many := newLab(t), newLab(t)
		defer one.end()
		defer many.end()
		p := bounded(3, 10, 300)
		both := []*replica{one.addReplica(p, true), many.addReplica(p, true)}
		var ids []ID
		r, told := rand.New(rand.NewPCG(seed, 6)), 0
		for range 12 {
			if r.IntN(3) > 0 || len(ids) < 10 {
				for range 1 + r.IntN(40) {
					ids = append(ids, ID(fmt.Sprint("i", len(ids))))
					for _, s := range both {
						s.register(ids[len(ids)-1])
					}
				}
			} else {
				left := 1 + r.IntN(len(ids))
				for _, id := range ids[left:] {
					for _, s := range both {
						require.NoError(t, s.Remove(t.Context(), id, Removal{Owner: "app"}))
					}
				}
				ids = ids[:left]
			}
			for range 3 {
				want, got := both[0].singly(ofApp(ids...)), both[1].beatAll(t.Context(), ofApp(ids...)...)
				for i := range want {
					require.NoError(t, want[i].Err, "seed %d", seed)
					require.NoError(t, got[i].Err, "seed %d", seed)
					require.Equal(t, want[i].TellInterval, got[i].TellInterval, "seed %d: %s", seed, ids[i])
					if want[i].TellInterval {
						told++
						require.Equal(t, want[i].Record.Interval, got[i].Record.Interval, "seed %d: %s", seed, ids[i])
					}
				}
				time.Sleep(10 * time.Second)
			}
		}
		require.Greater(t, told, 10, "seed %d", seed)
	})
}

// What each replica counted step by step is what a new one counts from the list.
func TestEveryReplicaKnowsTheSameLoad(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	bubble(t, func(t *testing.T, l *lab) {
		p := bounded(3, 2, 60)
		a, b := l.addReplica(p, false), l.addReplica(p, false)
		ctx := context.Background()
		for range 600 {
			s, id := []*replica{a, b}[r.IntN(2)], ID(fmt.Sprint("i", r.IntN(40)))
			switch r.IntN(12) { // whether it may be done does not matter
			case 0, 1, 2:
				_, _ = s.Register(ctx, Record{ID: id, Owner: "app", State: Active, Proposed: []int{0, 0, 0, 5, 7, -1}[r.IntN(6)]})
			case 3:
				_, _ = s.Update(ctx, id, Update{Owner: "app", State: []State{Active, Inactive}[r.IntN(2)], Proposed: []int{KeepInterval, 0, 3, -1}[r.IntN(4)]})
			case 4:
				_, _ = s.Drain(ctx, id, DrainRequest{By: "admin", Reason: "r", Lift: r.IntN(2) == 0})
			case 5:
				_ = s.Remove(ctx, id, Removal{Owner: "app"})
			case 6:
				time.Sleep(time.Duration(r.IntN(20)) * time.Second) // some fall silent
			default:
				s.beat(id)
			}
			synctest.Wait()
			require.Equal(t, a.load.load(), b.load.load(), "seed %d", seed)
		}
		// Whatever was drawn: one was SUSPENDED, and one lives that leaves its interval to the platform.
		_ = a.Remove(ctx, "i1", Removal{Owner: "app"})
		_, _ = a.Register(ctx, Record{ID: "i1", Owner: "app", State: Active})
		time.Sleep(3 * time.Minute)
		_ = a.Remove(ctx, "i0", Removal{Owner: "app"})
		_, _ = a.Register(ctx, Record{ID: "i0", Owner: "app", State: Active})
		synctest.Wait()
		c := l.addReplica(p, false)
		require.Equal(t, a.load.load(), c.load.load(), "seed %d", seed)
		var want Load
		for i := range 40 {
			switch rec := l.at(ID(fmt.Sprint("i", i))).Record; {
			case !rec.Expires():
			case rec.Proposed == 0:
				want.Free++
			default:
				want.Fixed += share{interval: int32(rec.Interval)}.rate()
			}
		}
		require.Equal(t, want, a.load.load(), "seed %d", seed)
		require.Positive(t, want.Free+want.Fixed)
		require.Positive(t, l.count(Claim), "seed %d: nobody was SUSPENDED", seed)
	})
}

// A mass of changes must leave the store room, and a store without room is asked for none.
func TestFewIntervalsFollowTheLoadAtOnce(t *testing.T) {
	for _, full := range []bool{false, true} {
		bubble(t, func(t *testing.T, l *lab) {
			const n = 600
			p := bounded(1000, 10, 300)
			s := l.addReplica(p, true)
			var ids []ID
			for i := range n {
				ids = append(ids, ID(fmt.Sprint("i", i)))
				s.register(ids[i])
			}
			s.Policy.MaxBeatsPerSecond = 20 // as if ten times as many had come meanwhile
			if full {
				l.setFull(true)
				time.Sleep(time.Second)
			}
			if full {
				defer l.hold("grant")() // who asks for a lease waits
			}
			for _, a := range s.beatAll(t.Context(), ofApp(ids...)...) {
				require.NoError(t, a.Err)
			}
			synctest.Wait()
			if full {
				require.Zero(t, l.count(Raise))
				return
			}
			require.InDelta(t, int(mostChangeRate*changesSave/time.Second), l.count(Raise), 1)
			time.Sleep(time.Second)
			for _, a := range s.beatAll(t.Context(), ofApp(ids...)...) {
				require.NoError(t, a.Err)
			}
			synctest.Wait()
			require.Greater(t, l.count(Raise), int(mostChangeRate*changesSave/time.Second)+1, "the others at their next heartbeats")
		})
	}
}

// What is a wish of ours must not keep a store busy that does not get on.
func TestAStoreThatIsSlowIsAskedForFewerChanges(t *testing.T) {
	s := New(Config{Store: failing{}, Clock: func() (time.Duration, int64) { return 0, 0 }, Policy: bounded(10, 10, 300)})
	inASecond := func() (n int) {
		for s.changeLimit.take(Mono(time.Hour)) { // what was saved up
		}
		for at := Mono(time.Hour); at < Mono(time.Hour+time.Second); at += Mono(time.Millisecond) {
			if s.changeLimit.take(at) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		took time.Duration
		want int
	}{{time.Millisecond, 1000}, {4 * time.Millisecond, 1000}, {20 * time.Millisecond, 200}, {100 * time.Millisecond, 40}, {2 * time.Second, 20}, {time.Millisecond, 1000}} {
		for range 500 {
			s.noteCommit(Raise, Done, c.took)
		}
		require.InDelta(t, c.want, inASecond(), float64(c.want)/20+1, "each took %v", c.took)
		s.changeLimit.next = 0
	}
}
