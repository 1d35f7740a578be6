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

func TestALoneEventIsSentAtOnceAndTheCursorFollows(t *testing.T) {
	p := newPlay(t)
	p.until(time.Minute)
	require.Empty(t, p.moves, "nothing happened, nothing is written")
	p.add(11, "A S")
	p.until(2 * time.Minute)
	require.Equal(t, []attempt{{time.Minute, "11", plugins.Cursor{After: 10, At: 10}}}, p.posts)
	require.Equal(t, []plugins.Cursor{{After: 11, At: 11}}, p.moves)
}

func TestWhatComesWithinTheWindowGoesTogetherAndIsFixedFirst(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A S")
	p.until(50 * time.Millisecond)
	p.add(12, "B S")
	p.until(100 * time.Millisecond)
	p.add(13, "other")
	p.add(14, "C S")
	p.until(199 * time.Millisecond)
	require.Equal(t, []string{"11"}, p.sent())
	p.until(time.Second)
	require.Equal(t, []string{"11", "12 14"}, p.sent())
	require.Equal(t, []time.Duration{0, groupInterval}, p.times())
	require.Equal(t, []heartbeat.Revision{12, 14}, p.posts[1].after.Group, "the group was in the store before it was attempted")
	require.Equal(t, heartbeat.Revision(14), p.store.After)
	require.Nil(t, p.store.Group)
}

func TestNoGroupIsLargerThanAHundred(t *testing.T) {
	p := newPlay(t)
	for i := range 251 {
		p.add(heartbeat.Revision(11+i), fmt.Sprint(i, " S"))
	}
	p.until(time.Minute)
	require.Len(t, p.posts, 4)
	require.Equal(t, "11", p.posts[0].events, "after a start the first event goes alone")
	require.Equal(t, []int{1, 100, 100, 50}, []int{1, len(strings.Fields(p.posts[1].events)), len(strings.Fields(p.posts[2].events)), len(strings.Fields(p.posts[3].events))})
	require.Equal(t, []time.Duration{0, 0, 0, groupInterval}, p.times(), "a full group waits for nobody")
}

func TestTheRetryClock(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(failed)
	p.add(11, "A S")
	p.until(5 * time.Hour)
	var gaps []time.Duration
	for i, at := range p.times()[1:] {
		gaps = append(gaps, at-p.times()[i])
	}
	h := time.Hour
	require.Equal(t, []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, h, h, h, h}, gaps)
	require.Empty(t, p.moves)
	for _, a := range p.sent() {
		require.Equal(t, "11", a)
	}
	p.answer = nil
	p.until(7 * time.Hour)
	require.Equal(t, heartbeat.Revision(11), p.store.After)
	p.answer = fails(failed)
	n := len(p.posts)
	p.add(12, "A A")
	p.until(p.now + 2*time.Second)
	require.Len(t, p.posts, n+2, "a success starts the clock anew")
}

func TestWaitsAreSpreadByAFifth(t *testing.T) {
	for i, wait := range retryWaits {
		require.Equal(t, wait*8/10, backoff(i+1, 0))
		require.InDelta(t, float64(wait)*1.2, float64(backoff(i+1, 0.999999)), float64(wait)/1000)
	}
	require.Equal(t, retryWaits[len(retryWaits)-1], backoff(1000, 0.5))
}

func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	for said, want := range map[time.Duration]time.Duration{0: time.Second, time.Second / 2: time.Second, 7 * time.Second: 7 * time.Second, 1000 * time.Hour: maxRetryAfter} {
		p := newPlay(t)
		p.answer = func(n int) result {
			if n == 0 {
				return result{outcome: refused, retryAfter: said}
			}
			return result{}
		}
		p.add(11, "A S")
		p.until(2 * time.Hour)
		require.Equal(t, []time.Duration{0, want}, p.times(), said)
	}
}

// Behind a failed POST only the newest change of state of an instance is sent; the POST
// itself is repeated as it was.
func TestBehindAFailureOnlyTheNewestStateIsSent(t *testing.T) {
	p := newPlay(t)
	p.answer = func(n int) result {
		if n < 1 {
			return result{outcome: unreachable}
		}
		return result{}
	}
	p.add(11, "A S")
	p.add(12, "A A")
	p.add(13, "A S")
	p.add(14, "B +")
	p.add(15, "A ~")
	p.until(0)
	p.add(16, "A A")
	p.add(17, "B S")
	p.add(18, "B -")
	p.add(19, "A S")
	p.until(time.Minute)
	require.Equal(t, []string{"11", "11", "14 15 17 18 19"}, p.sent())
	require.Equal(t, []heartbeat.Revision{14, 15, 17, 18, 19}, p.posts[2].after.Group)
	require.EqualValues(t, 3, p.lost[stageSuperseded])
	p.add(20, "A A")
	p.add(21, "A S")
	p.until(2 * time.Minute)
	require.Equal(t, "20 21", p.posts[3].events, "after a success everything is sent again")
}

func TestAfter410NothingIsSent(t *testing.T) {
	p := newPlay(t)
	p.answer = fails(gone)
	p.add(11, "A S")
	p.add(12, "B S")
	p.add(13, "other")
	p.until(time.Minute)
	p.add(14, "A A")
	p.until(time.Hour)
	require.Equal(t, []string{"11"}, p.sent())
	require.Equal(t, plugins.Cursor{After: 12, Gone: true, At: 11}, p.store)
	require.EqualValues(t, 2, p.lost[stageConsumerGone])
	p.restart()
	p.add(15, "A S")
	p.until(2 * time.Hour)
	require.Len(t, p.posts, 1, "a restart does not forget it")
}

func TestEventsThatDoNotMatchCostNoWrite(t *testing.T) {
	p := newPlay(t)
	for i := range 20 {
		p.add(heartbeat.Revision(11+i), "other")
		p.until(p.now + time.Second)
	}
	p.until(time.Hour)
	require.Empty(t, p.posts)
	require.Empty(t, p.moves)
	p.add(31, "A S")
	p.until(2 * time.Hour)
	require.Equal(t, []string{"31"}, p.sent())
	require.Equal(t, []plugins.Cursor{{After: 31, At: 11}}, p.moves, "one that matches costs one write")
}

func TestACursorThatCannotBeWrittenHoldsBackTheNextPost(t *testing.T) {
	p := newPlay(t)
	p.add(11, "A S")
	a := p.q.next(0)
	require.Equal(t, sendPost, a.kind)
	p.q.posted(result{}, 0)
	p.add(12, "B S")
	for range 3 {
		require.Equal(t, writeCursor, p.q.next(p.now).kind)
		p.q.cursorFailed(p.now)
		a := p.q.next(p.now)
		require.Equal(t, action{until: p.now + cursorRetry}, a)
		p.now = a.until
	}
	p.until(time.Minute)
	require.Equal(t, []string{"12"}, p.sent())
}

func TestAnEventAddedTwiceIsSentOnce(t *testing.T) {
	p := newPlay(t)
	p.add(9, "A +")
	p.add(10, "A ~")
	p.add(11, "A S")
	p.add(11, "A S")
	p.until(time.Minute)
	p.add(11, "A S")
	p.until(2 * time.Minute)
	require.Equal(t, []string{"11"}, p.sent())
}
