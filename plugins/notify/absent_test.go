package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// newAbsent is a play whose consumer connects by itself, and has not done so.
func newAbsent(t *testing.T) *play {
	p := newPlay(t)
	p.q.connected(false)
	return p
}

// Without a connection nothing is sent and nothing fails: the queue waits, and is told all of
// it in order as soon as there is one.
func TestAConsumerThatConnectsIsToldWhatWasKept(t *testing.T) {
	p := newAbsent(t)
	for i, what := range []string{"A +", "A S", "A A", "A S", "A -"} {
		p.add(heartbeat.Revision(11+i), what)
		p.until(p.now + time.Hour)
	}
	require.Empty(t, p.posts)
	require.Zero(t, p.q.failures)
	p.q.connected(true)
	p.until(p.now + time.Second)
	require.Equal(t, []string{"11", "12 13 14 15"}, p.sent(), "the first alone, for a sender before may have attempted it so")
	require.Empty(t, p.lost)
}

// A consumer that stays away costs the store no more than one that fails: its events are given
// up by their age, though none was attempted, and by the limits of what is retained.
func TestWhatNobodyFetchesIsGivenUp(t *testing.T) {
	p := newAbsent(t)
	p.add(11, "A S")
	p.until(12 * time.Hour)
	p.add(12, "B S")
	p.until(giveUpAfter - time.Nanosecond)
	require.Zero(t, p.lost[stageGivenUp])
	p.until(giveUpAfter)
	require.EqualValues(t, 1, p.lost[stageGivenUp])
	p.until(giveUpAfter + 12*time.Hour)
	require.EqualValues(t, 2, p.lost[stageGivenUp])
	require.Equal(t, heartbeat.Revision(12), p.store.After)
	require.Empty(t, p.posts)

	p = newAbsent(t)
	p.kept = newRetention(1000, func() int64 { return 1 << 20 })
	p.restart()
	p.q.connected(false)
	for i := range 20 {
		m := event(heartbeat.Revision(11+i), []string{"A S", "A A"}[i%2], p.now)
		m.size = 100
		p.q.add(m)
		p.until(p.now + time.Second)
	}
	require.LessOrEqual(t, p.q.bytes, int64(1000))
	require.NotZero(t, p.lost[stageSuperseded])
	require.Empty(t, p.posts)
	p.q.connected(true)
	p.until(p.now + time.Second)
	require.Contains(t, p.sent()[len(p.posts)-1], "30", "the newest is there")
}

// A consumer that did not acknowledge is told again when it has connected again, however long
// a failure would be waited for: it is the consumer that comes back.
func TestWhoConnectsAgainIsToldAtOnce(t *testing.T) {
	p := newPlay(t)
	p.q.connected(true)
	p.answer = func(n int) result {
		if n < 4 {
			p.q.connected(false)
			return result{outcome: timedOut}
		}
		return result{}
	}
	p.add(11, "A S")
	for n := range 4 {
		p.until(p.now + 5*time.Hour)
		require.Len(t, p.posts, n+1)
		p.q.connected(true)
	}
	at := p.now
	p.until(p.now + time.Second)
	require.Equal(t, []string{"11", "11", "11", "11", "11"}, p.sent())
	require.Equal(t, at, p.posts[4].at)
}
