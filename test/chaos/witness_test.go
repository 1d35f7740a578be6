package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
)

// witness compares what the platform says with the truth of the agents: by the
// history of the store, and by what discovery shows.
type witness struct {
	w       *world
	history *etcd.History

	mu      sync.Mutex
	polls   int
	flicker []string             // the living that a poll did not show any more
	shown   map[atReplica]bool   // who was shown where
	hidden  map[string]time.Time // the dead, when a poll first did not show them
}

// atReplica is an instance at a replica.
type atReplica struct {
	replica int
	id      string
}

// poll looks at discovery all the time, at each replica in turn.
func (v *witness) poll(every time.Duration) {
	v.w.work.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-v.w.end:
				return
			case <-time.After(every):
			}
			v.pollOnce(i % len(v.w.replicas))
		}
	})
}

func (v *witness) pollOnce(replica int) {
	began := time.Now()
	seen, err := v.w.replicas[replica].get().Discover()
	if err != nil {
		return
	}
	v.w.mu.Lock()
	agents := slices.Clone(v.w.agents)
	v.w.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.polls++
	for _, a := range agents {
		switch {
		case a.alive.Load():
			// One whose heartbeats were not confirmed within its window may be hidden; one that
			// was just registered elsewhere is not yet known to every replica.
			at := atReplica{replica, a.id}
			if seen[a.id] {
				v.shown[at] = true
			} else if v.shown[at] && a.silence(began) < v.w.window() {
				v.flicker = append(v.flicker, fmt.Sprintf("%s at replica %d, %s after its last confirmed heartbeat", a.id[:8], replica, a.silence(began)))
			}
		case !seen[a.id] && v.hidden[a.id].IsZero():
			v.hidden[a.id] = time.Now()
		}
	}
}

// allHidden tells whether discovery has stopped showing these, at every replica.
func (v *witness) allHidden(agents []*agent) bool {
	for i := range v.w.replicas {
		seen, err := v.w.replicas[i].get().Discover()
		if err != nil {
			return false
		}
		for _, a := range agents {
			if seen[a.id] {
				return false
			}
		}
	}
	return true
}

// suspendedID is the instance that a projection shows as SUSPENDED; "": none.
func suspendedID(value []byte) string {
	if !bytes.Contains(value, []byte(`"mec.state":"SUSPENDED"`)) {
		return ""
	}
	var i struct{ Properties map[string]string }
	_ = json.Unmarshal(value, &i)
	return i.Properties["mec.serInstanceId"]
}

// suspensions counts, per instance, how often the store was told SUSPENDED.
func (v *witness) suspensions() map[string]int {
	out := map[string]int{}
	for _, write := range v.history.Writes() {
		if !write.Erased && write.Kept != "" {
			out[write.Kept]++
		}
	}
	return out
}

// ends counts how often the projection of an instance vanished: an expiry or a
// revocation, false or not.
func (v *witness) ends() map[string]int {
	out := map[string]int{}
	for _, write := range v.history.Writes() {
		if write.Erased {
			key := strings.TrimPrefix(write.Key, "/cse-sr/inst/files/default/default/")
			out[strings.ReplaceAll(key, "/", "")]++
		}
	}
	return out
}

// verdict is what became of one kind of agents.
type verdict struct{ agents, suspended, twice, revoked, refused int }

func (v *witness) of(agents []*agent) (out verdict) {
	suspended, ends := v.suspensions(), v.ends()
	for _, a := range agents {
		out.agents++
		out.revoked += ends[a.id]
		if n := suspended[a.id]; n > 0 {
			out.suspended++
			if n > 1 {
				out.twice++
			}
		}
		if a.refused.Load() > 0 {
			out.refused++
		}
	}
	return out
}

func (o verdict) String() string {
	return fmt.Sprintf("%d agents, %d suspended (%d more than once), %d ends of leases, %d told that they do not exist",
		o.agents, o.suspended, o.twice, o.revoked, o.refused)
}

// requireTruth holds the truth against all three witnesses: the store, discovery and a consumer.
func (w *world) requireTruth(c *listener, dead, living []*agent) {
	w.t.Helper()
	if len(dead) > 0 {
		w.requireSuspendedOnce(dead)
	}
	c.requireTold(w, dead, living)
	w.requireUnharmed(living)
}

// requireUnharmed checks that the living were never suspended, lost or hidden.
func (v *witness) requireUnharmed(living []*agent) {
	v.w.t.Helper()
	got := v.of(living)
	v.w.t.Logf("living: %s", got)
	if got.suspended > 0 {
		v.logSuspensions(living, 0)
	}
	require.Zero(v.w.t, got.suspended, "false suspensions")
	require.Zero(v.w.t, got.refused, "registrations lost")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.w.t.Logf("discovery: %d polls, %d times a living one was missing", v.polls, len(v.flicker))
	require.Empty(v.w.t, v.flicker)
}

// logSuspensions prints how the first few agents came to be suspended more than most times:
// what the store was told, and what the replicas logged about it.
func (v *witness) logSuspensions(agents []*agent, most int) {
	suspended, shown := v.suspensions(), 0
	for _, a := range agents {
		if suspended[a.id] <= most || shown == 3 {
			continue
		}
		shown++
		for _, write := range v.history.Writes() {
			if strings.HasSuffix(write.Key, a.id[32:]) {
				v.w.t.Logf("%s: store: %s erased=%v suspended=%v", a.id[32:40], write.Seen.Format("15:04:05.000"), write.Erased, write.Kept != "")
			}
		}
		for i, s := range v.w.replicas {
			for line := range strings.Lines(s.get().Stderr.String()) {
				if strings.Contains(line, a.id) {
					v.w.t.Logf("%s: replica %d: %s", a.id[32:40], i, strings.TrimSpace(line))
				}
			}
		}
	}
}

// requireSuspendedOnce waits until all the dead are hidden and SUSPENDED, and checks that
// each became so once.
func (v *witness) requireSuspendedOnce(dead []*agent) {
	v.w.t.Helper()
	v.w.eventually("all the dead are hidden", func() bool { return v.allHidden(dead) })
	v.w.eventually("all the dead are SUSPENDED", func() bool { return v.of(dead).suspended == len(dead) })
	time.Sleep(2 * time.Second) // for a second claim, if there is one
	got := v.of(dead)
	v.w.t.Logf("dead: %s; detection (last confirmed heartbeat and window to hidden): %s", got, v.lateness(dead))
	if got.twice > 0 {
		v.logSuspensions(dead, 1)
	}
	require.Zero(v.w.t, got.twice, "deaths told more than once")
}

// late is how long after the end of their windows the dead were hidden, in order.
func (v *witness) late(dead []*agent) (out []time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range dead {
		if at := v.hidden[a.id]; !at.IsZero() {
			out = append(out, v.w.afterWindow(a, at))
		}
	}
	slices.Sort(out)
	return out
}

// lateness describes it.
func (v *witness) lateness(dead []*agent) string { return spread(v.late(dead)) }

// afterWindow is how long after the end of the window of one that died something was.
func (w *world) afterWindow(a *agent, at time.Time) time.Duration {
	return at.Sub(time.Unix(0, a.acked.Load()).Add(w.window())).Round(10 * time.Millisecond)
}

// spread describes a distribution.
func spread(late []time.Duration) string {
	if len(late) == 0 {
		return "not seen"
	}
	slices.Sort(late)
	return fmt.Sprintf("p50 %s, p99 %s, max %s of %d", late[len(late)/2], late[len(late)*99/100], late[len(late)-1], len(late))
}
