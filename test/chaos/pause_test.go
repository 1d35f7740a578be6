package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A leader that was paused and wakes up revokes leases that the new leader has
// extended and agents have renewed. Refutation brings every one of them back before
// anybody is told, and the dead are found all the same.
func TestLeaderPausedAndResumed(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 3, replicas: 2, interval: 2, misses: 2})
	c := w.subscribe()
	living := w.populate("living", pick(100, 200))
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	time.Sleep(3 * time.Second)
	pauses := []time.Duration{12 * time.Second}
	if *long {
		pauses = nil
		for range 10 {
			pauses = append(pauses, 2*time.Second, 6*time.Second, 12*time.Second, 20*time.Second)
		}
	}
	var dead []*agent
	for _, pause := range pauses {
		doomed := w.populate("doomed", 10)
		w.startBeating(doomed)
		before := w.of(living).revoked
		leader := w.etcd.Leader()
		require.NotNil(t, leader)
		stopBeating(doomed)
		leader.Pause()
		time.Sleep(pause)
		leader.Resume()
		time.Sleep(8 * time.Second) // what the old leader revokes, it revokes within these
		dead = append(dead, doomed...)
		t.Logf("leader paused %s: %d leases of the living ended, %d of %d living suspended", pause, w.of(living).revoked-before, w.of(living).suspended, len(living))
	}
	w.requireTruth(c, dead, living)
}

// When everything stands still, nobody learns of a death that nobody could have
// heard of; in whatever order it wakes up.
func TestWholePlatformPaused(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 2})
	c := w.subscribe()
	living := w.populate("living", 100)
	w.startBeating(living)
	dead := w.populate("dead", 10) // never beat
	w.poll(200 * time.Millisecond)
	time.Sleep(2 * time.Second)
	for range pick(1, 5) {
		pause := pick(20*time.Second, 60*time.Second)
		type pausable interface {
			Pause()
			Resume()
		}
		all := []pausable{w.etcd.Members[0], w.replicas[0].get(), w.replicas[1].get()}
		for _, p := range all {
			p.Pause()
		}
		time.Sleep(pause)
		w.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, p := range all {
			p.Resume()
			time.Sleep(time.Duration(w.rnd.IntN(500)) * time.Millisecond)
		}
		time.Sleep(w.window() + 4*time.Second)
		t.Logf("everything paused %s, window %s: %d leases of the living ended", pause, w.window(), w.of(living).revoked)
	}
	w.requireTruth(c, dead, living)
}

// The site slept, agents and replicas, while etcd's leases ended. Each agent comes back
// when it is due, up to an interval after the replicas: they must give it the whole
// window, of their own running time, in which to be heard.
func TestSiteAsleep(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 4, misses: 1})
	c := w.subscribe()
	living := w.populate("living", 100)
	w.startBeating(living)
	time.Sleep(w.window() + 2*time.Second) // both replicas have run for a window
	for range pick(1, 5) {
		before := w.of(living).revoked
		w.silenced.Store(true)
		for _, r := range w.replicas {
			r.get().Pause()
		}
		time.Sleep(w.window() + pick(4*time.Second, 30*time.Second))
		for _, r := range w.replicas {
			r.get().Resume()
		}
		w.silenced.Store(false)
		time.Sleep(w.window() + 4*time.Second)
		ended := w.of(living).revoked - before
		t.Logf("%d leases of %d living ended while all slept, window %s", ended, len(living), w.window())
		require.GreaterOrEqual(t, ended, len(living)*9/10)
	}
	w.requireTruth(c, nil, living)
}

// The same when it was down: killed, and started again after the windows had ended.
func TestWholePlatformDown(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 2})
	c := w.subscribe()
	living, dead := w.populate("living", 100), w.populate("dead", 10)
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	time.Sleep(2 * time.Second)
	down := pick(15*time.Second, 60*time.Second)
	for i := range w.replicas {
		w.replicas[i].get().Kill()
	}
	w.etcd.Members[0].Kill()
	time.Sleep(down)
	w.etcd.Members[0].Launch(t)
	w.etcd.Await()
	for i := range w.replicas {
		w.restart(i)
	}
	time.Sleep(w.window() + 4*time.Second)
	t.Logf("everything down %s, window %s", down, w.window())
	w.requireTruth(c, dead, living)
}

// What a woken leader does by chance, done on purpose: every lease of the living is
// revoked, again and again. Only what the replicas heard speaks for them.
func TestFalseRevocations(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 5, misses: 1})
	c := w.subscribe()
	living := w.populate("living", pick(60, 500))
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	time.Sleep(w.window() + 2*time.Second) // both replicas have run for a window
	for range pick(3, 30) {
		w.revoke(living)
		time.Sleep(4 * time.Second) // less than the interval, more than any hold
	}
	t.Logf("%d leases of the living revoked", w.of(living).revoked)
	require.GreaterOrEqual(t, w.of(living).revoked, pick(3, 30)*len(living)*9/10)
	w.requireTruth(c, nil, living)
}
