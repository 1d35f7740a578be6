package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lab is a store on a bubble's clock, for tests of the engine's loops; the real one
// is tested where it is used. Its leases end by timers, its watch shows every write
// to every engine, and it can be silent, full, or hold back single calls.
type lab struct {
	t  *testing.T
	mu sync.Mutex

	rev         Revision
	records     map[ID]Snapshot // the record's part
	projections map[ID]Projection
	leases      map[LeaseID]*labLease
	lastLease   LeaseID
	outbox      []Txn // transactions that told an event, in order
	commits     []Kind
	renewals    map[LeaseID]int
	reads       int
	reading     int
	mostReading int
	heads       int
	agesAsked   int
	lists       int
	changes     func(since Revision, also []ID) ([]Listed, Revision, error) // called with mu held

	publishes int
	each      time.Duration // that a write takes; see slow
	free      []time.Time   // when each of those that can be under way at once has ended

	full      bool
	late      time.Duration // that the store ends what has run out after it has
	asked     int           // how often they asked for that
	reserved  []LeaseID     // that a replica ends by itself
	ending    LeaseID       // it has run out, and its revocation has not come yet
	silent    chan struct{} // not nil: no call is answered until it is closed
	failing   bool
	held      map[string]chan struct{}
	replicas  []*replica
	ran       func(time.Duration) // of the replicas to come, and what they ran before
	ranBefore time.Duration
	receiving func() bool // of the replicas to come
	hooks     Hooks       // of the replicas to come, but for Disturbed if they have none
}

type labLease struct {
	ttl   time.Duration
	until time.Time
	timer *time.Timer
	// extended: the store itself did so, nobody renewed it since.
	extended bool
}

// replica is one replica: its engine, its watch and its clock.
type replica struct {
	*Engine
	lab    *lab
	queue  chan func()
	mu     sync.Mutex
	origin time.Time
	jumped time.Duration // monotonic and wall clock
	set    time.Duration // the wall clock only
	stop   func()
	ended  chan struct{}
	doubts []string

	name   string
	old    bool // of the previous release: it has no key that says anything
	key    bool // guarded by lab.mu
	status PeerStatus
	killed bool
}

var errSilent = errors.New("no answer")

func newLab(t *testing.T) *lab {
	return &lab{t: t, records: map[ID]Snapshot{}, projections: map[ID]Projection{}, leases: map[LeaseID]*labLease{},
		renewals: map[LeaseID]int{}, held: map[string]chan struct{}{}}
}

// replica adds a replica that is loaded and runs.
func (l *lab) addReplica(p Policy, alone bool) *replica {
	s := &replica{lab: l, queue: make(chan func(), 10000), origin: time.Now().Add(-time.Hour), ended: make(chan struct{})}
	rank := len(l.replicas)
	s.name = fmt.Sprint("replica ", rank)
	if alone {
		rank = 0
	}
	hooks := l.hooks
	if hooks.Disturbed == nil {
		hooks.Disturbed = func(why string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.doubts = append(s.doubts, why)
		}
	}
	s.Engine = New(Config{Store: replicaStore{l, s}, Policy: p, Clock: s.clock, Alone: alone, MinLease: 1, Replica: s.name, Rank: func() int { return rank }, Hooks: hooks,
		SaveRunTime: l.ran, RunTimeBefore: l.ranBefore, Receiving: l.receiving})
	ctx, stop := context.WithCancel(context.Background())
	s.stop = func() {
		stop()
		<-s.ended
		l.mu.Lock()
		defer l.mu.Unlock()
		if !s.killed {
			l.dropKey(s, true)
		}
	}
	go func() {
		defer close(s.ended)
		s.Run(ctx)
	}()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case show := <-s.queue:
				if l.calling(ctx, "watch") == nil { // a silent store shows nothing either
					show()
				}
			}
		}
	}()
	if _, err := s.Load(ctx); err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	words := map[string]PeerStatus{}
	for _, other := range l.replicas {
		if other.key {
			words[other.name] = other.status
		}
	}
	s.SetPeers(words)
	l.replicas = append(l.replicas, s)
	return s
}

func (s *replica) clock() (time.Duration, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Add(s.jumped)
	return now.Sub(s.origin), now.Add(s.set).UnixNano()
}

// setWall moves the wall clock.
func (s *replica) setWall(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = by
}

// disturbed counts the disturbances so far.
func (s *replica) disturbed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.doubts)
}

// pause is what the whole process sees after it was stopped for d: the clocks have
// gone on, and every lease that was due has ended.
func (l *lab) pause(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.replicas {
		s.mu.Lock()
		s.jumped += d
		s.mu.Unlock()
	}
	for id, le := range l.leases {
		left := time.Until(le.until) - d
		if left <= 0 {
			l.expire(id)
		} else {
			le.until = time.Now().Add(left)
			le.timer.Reset(left)
		}
	}
}

// events lists what the outbox says of an instance, "CHANGE STATE seq".
func (l *lab) events(id ID) (out []Txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.outbox {
		if t.Record.ID == id {
			out = append(out, t)
		}
	}
	return out
}

// count says how often a transaction was carried out.
func (l *lab) count(k Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.commits {
		if c == k {
			n++
		}
	}
	return n
}

func (l *lab) at(id ID) *Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.snapshot(id)
	return &s
}

// bubble runs a test on a clock of its own, with a lab whose engines end with it.
func bubble(t *testing.T, f func(*testing.T, *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		defer l.end()
		f(t, l)
	})
}

// end stops what still runs.
func (l *lab) end() {
	for _, s := range l.replicas {
		s.stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, le := range l.leases {
		le.timer.Stop()
	}
}

// register enters an instance through a replica.
func (s *replica) register(id ID) Record {
	s.lab.t.Helper()
	r, err := s.Register(context.Background(), Record{ID: id, Owner: "app", State: Active, Proposed: 0})
	if err != nil {
		s.lab.t.Fatalf("register %s: %v", id, err)
	}
	return r
}

func (s *replica) beat(id ID) Response { return s.Beat(context.Background(), id, "") }

// beats sends a heartbeat every interval until the function returned is called.
func (s *replica) beats(every time.Duration, ids ...ID) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			for _, id := range ids {
				s.Beat(ctx, id, "")
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// until waits for something, at most a minute of the bubble's time; it says how
// long that took.
func until(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > time.Minute {
			t.Fatalf("still not after a minute: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	synctest.Wait()
	return time.Since(began)
}

func states(told []Txn) (out []State) {
	for _, t := range told {
		out = append(out, t.Record.State)
	}
	return out
}

func wantStates(t *testing.T, l *lab, id ID, want ...State) {
	t.Helper()
	told := l.events(id)
	if !slices.Equal(states(told), want) {
		t.Errorf("%s: told %v, want %v", id, states(told), want)
	}
	for i, x := range told {
		if x.Record.Seq != uint64(i+1) {
			t.Errorf("%s: event %d has seq %d", id, i+1, x.Record.Seq)
		}
	}
}
