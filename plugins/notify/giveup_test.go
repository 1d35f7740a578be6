package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

func TestEventsAreGivenUpByTheirAge(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(timedOut)
	p.add(11, "A S")
	p.until(12 * time.Hour)
	p.add(12, "B S")
	p.until(giveUpAfter - time.Nanosecond)
	require.Zero(t, p.lost[stageGivenUp])
	p.until(giveUpAfter)
	require.EqualValues(t, 1, p.lost[stageGivenUp])
	require.Equal(t, heartbeat.Revision(11), p.store.After)
	n := len(p.posts)
	p.until(giveUpAfter + 61*time.Minute)
	require.Len(t, p.posts, n+1, "the clock is the subscription's: giving up starts no new one")
	require.Equal(t, "12", p.posts[n].events)
	p.until(40 * time.Hour)
	require.EqualValues(t, 2, p.lost[stageGivenUp])
	require.Equal(t, heartbeat.Revision(12), p.store.After)
	require.Zero(t, p.q.oldestAge(p.now))
}

// listed is an event of a list that is read now, after a start.
func (p *play) listed(at heartbeat.Revision, what string, wall, made int64) {
	m := event(at, what, plugins.Instant(made))
	m.age = plugins.AgeOf(p.now, wall, made, 0)
	p.q.add(m)
}

// An age that only the wall clock gave, when the event was listed, is not enough.
func TestAnEventThatSeemsTooOldIsAttemptedForAnHour(t *testing.T) {
	p := newPlay(t)
	p.now = 48 * time.Hour
	p.listed(11, "A S", int64(p.now), int64(time.Hour))
	p.add(12, "B S")
	p.until(p.now + time.Minute)
	require.Equal(t, []string{"11", "12"}, p.sent())
	require.Zero(t, p.lost[stageGivenUp])

	p = newPlay(t)
	p.now = 48 * time.Hour
	p.answer = fails(unreachable)
	p.listed(11, "A S", int64(p.now), int64(time.Hour))
	p.until(49*time.Hour - 1)
	require.Greater(t, len(p.posts), 4)
	require.Zero(t, p.lost[stageGivenUp])
	p.until(49 * time.Hour)
	require.EqualValues(t, 1, p.lost[stageGivenUp])
}

func TestAStepOfTheWallClockGivesNothingUp(t *testing.T) {
	const day = int64(24 * time.Hour)
	for _, step := range []int64{day, -day, 6 * 365 * day, -6 * 365 * day} {
		p := newPlay(t)
		p.now = 1000 * time.Hour
		p.answer = func(int) result {
			if p.now < 1000*time.Hour+30*time.Minute {
				return result{outcome: unreachable}
			}
			return result{}
		}
		made := 10 * 365 * day
		p.listed(11, "A S", made+step, made)
		p.listed(12, "B S", made+step, made+1)
		p.add(13, "C S") // its wall clock is whatever it is
		p.until(1003 * time.Hour)
		require.Empty(t, p.lost, step)
		require.Equal(t, heartbeat.Revision(13), p.store.After)
	}
}

// Behind a failure an event may expire before it was ever attempted.
func TestNothingIsGivenUpBeforeItWasAttempted(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(unreachable)
	for i := range 151 {
		p.add(heartbeat.Revision(11+i), fmt.Sprint(i, " +"))
	}
	p.until(giveUpAfter + 10*time.Hour)
	require.EqualValues(t, 151, p.lost[stageGivenUp])
	tried := map[string]bool{}
	for _, a := range p.posts {
		for _, at := range strings.Fields(a.events) {
			tried[at] = true
		}
	}
	require.Len(t, tried, 151)
	require.Equal(t, heartbeat.Revision(161), p.store.After)
	require.Less(t, len(p.posts), 40, "the clock is the subscription's, also for them")
}

// A group is repeated until its newest event expires: none is given up early.
func TestAGroupIsGivenUpByItsNewestEvent(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A S")
	p.until(0)
	p.answer = fails(unreachable)
	p.listed(12, "B S", int64(23*time.Hour), 0)
	p.add(13, "C S")
	p.until(giveUpAfter - 1)
	require.Equal(t, "12 13", p.posts[1].events)
	require.Zero(t, p.lost[stageGivenUp])
	p.until(giveUpAfter)
	require.EqualValues(t, 2, p.lost[stageGivenUp])
}

// A replica that takes over has to attempt an event itself before it gives it up.
func TestATakeOverGivesNothingUpThatItDidNotAttempt(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A S")
	p.until(0)
	p.answer = fails(unreachable)
	p.add(12, "B S")
	p.add(13, "C S")
	p.until(time.Hour)
	n := len(p.posts)
	p.restart()
	p.answer = nil
	p.now += 100 * time.Hour
	p.q.add(event(12, "B S", 0))
	p.q.add(event(13, "C S", 0))
	p.until(p.now + time.Minute)
	require.Equal(t, []string{"12 13"}, p.sent()[n:])
	require.Empty(t, p.lost)
}
