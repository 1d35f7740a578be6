package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// A POST that was attempted before a restart or a take-over is attempted again as it was: the
// group that was stored, or else the first pending event alone.
func TestATakeOverRepeatsWhatWasAttempted(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(unreachable)
	p.add(11, "A S")
	p.add(12, "B S")
	p.until(0)
	p.restart()
	p.answer = nil
	for i, what := range []string{"A S", "B S", "C S"} {
		p.add(heartbeat.Revision(11+i), what)
	}
	p.until(time.Minute)
	require.Equal(t, []string{"11", "11", "12 13"}, p.sent())

	p = newPlay(t)
	p.add(11, "A S")
	p.until(0)
	p.answer = fails(unreachable)
	p.add(12, "B S")
	p.add(13, "B A")
	p.until(groupInterval)
	require.Equal(t, []string{"11", "12 13"}, p.sent())
	p.restart()
	p.answer = nil
	p.add(11, "A S")
	p.add(12, "B S")
	p.until(p.now + time.Second)
	require.Len(t, p.posts, 2, "half of the group is not sent")
	p.add(13, "B A")
	p.add(14, "C S")
	p.until(p.now + time.Second)
	require.Equal(t, []string{"11", "12 13", "12 13", "14"}, p.sent())
}

// What was left out of a group because something newer was in it stays left out.
func TestATakeOverDoesNotSendWhatWasSuperseded(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(unreachable)
	p.add(11, "A S")
	p.add(12, "B S")
	p.add(13, "C S")
	p.add(14, "B A")
	p.until(0)
	p.answer = func(n int) result {
		if n == 1 {
			return result{}
		}
		return result{outcome: unreachable}
	}
	p.until(time.Second)
	require.Equal(t, []string{"11", "11"}, p.sent())
	p.until(1500 * time.Millisecond)
	require.Equal(t, []string{"11", "11", "13 14"}, p.sent())
	p.restart()
	p.answer = nil
	for at, what := range []string{"A S", "B S", "C S", "B A", "D S"} {
		p.add(heartbeat.Revision(11+at), what)
	}
	p.until(p.now + time.Second)
	require.Equal(t, []string{"13 14", "15"}, p.sent()[3:])
}

// What was superseded before anything was attempted must not be where a take-over begins:
// that event would be sent after newer ones, and these again under another id.
func TestATakeOverBeginsWithWhatWasAttempted(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(unreachable)
	p.add(11, "A S")
	p.until(23 * time.Hour)
	p.add(12, "B S")
	p.until(giveUpAfter)
	require.Equal(t, heartbeat.Revision(11), p.store.After, "the first is given up")
	p.add(13, "B A") // which supersedes the second
	for n := len(p.posts); len(p.posts) == n; {
		p.until(p.now + time.Minute)
	}
	require.Equal(t, "13", p.sent()[len(p.posts)-1])
	p.restart()
	p.answer = nil
	p.add(12, "B S")
	p.add(13, "B A")
	p.until(p.now + time.Minute)
	require.Equal(t, "13", p.sent()[len(p.posts)-1])
	require.NotContains(t, p.sent(), "12")
}
