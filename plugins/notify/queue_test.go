package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// play runs a queue on a clock of its own. Its store takes every cursor.
type play struct {
	t     *testing.T
	q     *queue
	now   plugins.Instant
	store plugins.Cursor // what a restart would find
	posts []attempt
	moves []plugins.Cursor
	lost  map[stage]int64
	// answer says how attempt n (from 0) ends; nil: delivered.
	answer func(n int) result
	took   time.Duration // one POST
	kept   *retention
}

type attempt struct {
	at     plugins.Instant
	events string
	after  plugins.Cursor // what the store had when it began
}

const giveUpAfter = 24 * time.Hour

func newPlay(t *testing.T) *play {
	p := &play{t: t, store: plugins.Cursor{After: 10, At: 10}, lost: map[stage]int64{}}
	p.restart()
	return p
}

// restart takes the queue up from the store, as another replica would.
func (p *play) restart() {
	half := func() float64 { return 0.5 } // no jitter
	p.q = newQueue(p.store, giveUpAfter, p.kept, half, func(why stage, lost []*message) { p.lost[why] += int64(len(lost)) })
	p.q.postedAt = p.now - window
}

// event makes revision at: what is "A S" (STATE_CHANGED to SUSPENDED of A), "A A" (to
// ACTIVE), "A +" or "A -" (ADDED, REMOVED), "A ~" (ATTRIBUTES_CHANGED), or "other".
func event(at heartbeat.Revision, what string, made plugins.Instant) *message {
	m := &message{at: at, made: int64(made), age: plugins.Age{Since: made}, change: mp1.StateChanged}
	name, kind, _ := strings.Cut(what, " ")
	m.info = mp1.ServiceInfo{SerName: name, SerInstanceID: name, State: mp1.Active}
	switch kind {
	case "S":
		m.info.State = mp1.Suspended
	case "+":
		m.change = mp1.Added
	case "-":
		m.change = mp1.Removed
	case "~":
		m.change = mp1.AttributesChanged
	}
	return m
}

// add shows the queue an event that matches; the dispatcher shows it no "other".
func (p *play) add(at heartbeat.Revision, what string) {
	if what != "other" {
		p.q.add(event(at, what, p.now))
	}
}

// until lets time pass.
func (p *play) until(end plugins.Instant) *play {
	for range 100000 {
		a := p.q.next(p.now)
		switch a.kind {
		case waitUntil:
			require.Greater(p.t, a.until, p.now, "a wait that is over already would spin")
			if a.until > end {
				p.now = end
				return p
			}
			p.now = a.until
		case writeCursor:
			require.Equal(p.t, p.store.At, a.cursor.At, "moved from where it is")
			require.GreaterOrEqual(p.t, a.cursor.After, p.store.After, "a cursor never goes back")
			a.cursor.At++
			p.store = a.cursor
			p.moves = append(p.moves, a.cursor)
			p.q.cursorWritten(a.cursor.At)
		case sendPost:
			r := result{}
			if p.answer != nil {
				r = p.answer(len(p.posts))
			}
			p.posts = append(p.posts, attempt{p.now, listed(a.events), p.store})
			p.now += p.took
			p.q.posted(r, p.now)
		}
	}
	p.t.Fatal("the queue never rests")
	return nil
}

func listed(events []*message) string {
	var out []string
	for _, m := range events {
		out = append(out, fmt.Sprint(m.at))
	}
	return strings.Join(out, " ")
}

func (p *play) sent() (out []string) {
	for _, a := range p.posts {
		out = append(out, a.events)
	}
	return out
}

func (p *play) times() (out []time.Duration) {
	for _, a := range p.posts {
		out = append(out, a.at)
	}
	return out
}

func fails(outcome outcome) func(int) result {
	return func(int) result { return result{outcome: outcome} }
}

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
	require.Equal(t, []time.Duration{0, window}, p.times())
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
	require.Equal(t, []time.Duration{0, 0, 0, window}, p.times(), "a full group waits for nobody")
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

// Behind what was attempted only the newest change of state of an instance is kept;
// the attempted is repeated as it was.
func TestBehindAFailureOnlyTheNewestStateIsKept(t *testing.T) {
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
	require.Equal(t, "20 21", p.posts[3].events, "after a success everything is told again")
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

func TestAnEventShownTwiceIsToldOnce(t *testing.T) {
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
