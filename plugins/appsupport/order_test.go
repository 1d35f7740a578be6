package appsupport

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

func written(app string, at heartbeat.Revision, leaving bool) plugins.Application {
	return plugins.Application{Info: info(app), At: at, Leaving: leaving}
}

// After a restore what this replica writes itself is news, however low its revision.
func TestWhatIsWrittenAfterARestoreIsNews(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	d.load(nil, 5)
	require.True(t, d.loaded.Load())
	d.see(written("late", 21, false), false)
	d.load(nil, 5)
	d.observe(written("own", 6, false), false)
	require.True(t, admits(t, d, "own"))
}

// A list may be older than what this replica wrote since it was read.
func TestAListDoesNotUndoAnOwnWrite(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	d.load([]plugins.Application{written("a", 3, false)}, 5)
	d.observe(written("a", 7, true), false)
	d.load([]plugins.Application{written("a", 3, false)}, 5)
	require.False(t, admits(t, d, "a"))
}

// Nor may it leave out what this replica registered since.
func TestAListDoesNotForgetWhatIsNewer(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	d.load(nil, 5)
	d.observe(written("own", 7, false), false)
	d.load(nil, 6)
	require.True(t, admits(t, d, "own"))
	d.load(nil, 7)
	require.False(t, admits(t, d, "own"), "by now it was erased again")
}

// A store that was restored may have been written up to the very revision that was seen.
func TestARestoredStoreIsBelievedAtTheSameRevisionToo(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	d.load([]plugins.Application{written("a", 3, false)}, 5)
	d.see(written("a", 21, true), false)
	d.load([]plugins.Application{written("a", 3, false)}, 21)
	require.True(t, admits(t, d, "a"))
}

func TestAReadThatAListHasOvertakenSaysNothing(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	d.load(nil, 9)
	d.observe(written("b", 7, false), false)
	require.Empty(t, d.apps)
}

// The watch may be at an older erasure than this replica's own.
func TestAnErasureIsRememberedUntilTheWatchHasShownIt(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	d.load(nil, 5)
	d.observe(written("a", 12, false), true)
	require.False(t, admits(t, d, "a"), "it is erased, whether it was marked or not")
	d.see(written("a", 8, true), true)
	d.see(written("a", 10, false), false)
	require.False(t, admits(t, d, "a"), "what is older does not bring it back")
	d.see(written("a", 12, true), true)
	require.Empty(t, d.apps)
}

// The time in which late requests may still enter something counts from the mark: not
// from the start of the process, and not from the last list either.
func TestAnApplicationIsLeavingSinceItsMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, _ := newDirectory(false, true)
		time.Sleep(time.Hour)
		gone := written("a", 3, true)
		d.load([]plugins.Application{gone}, 5)
		require.Equal(t, []due{{gone, false}}, d.due(), "at first what there is")
		require.True(t, d.removedOnce(gone))
		require.Empty(t, d.due())
		time.Sleep(settleTime / 2)
		d.load([]plugins.Application{gone}, 6)
		require.Empty(t, d.due())
		time.Sleep(settleTime / 2)
		require.Equal(t, []due{{gone, true}}, d.due(), "then what came late, and the mark")
	})
}

// What the store does not have is remembered for a second.
func TestAbsencesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		time.Sleep(time.Hour)
		for _, app := range []string{"a", "b", "a", "b"} {
			require.False(t, admits(t, d, app))
		}
		require.EqualValues(t, 2, s.read.Load(), "one question each")
		time.Sleep(time.Second + time.Millisecond)
		require.False(t, admits(t, d, "a"))
		require.EqualValues(t, 3, s.read.Load(), "and another a second later")
		d.absent.Note("here")
		d.observe(written("here", 100000, false), false)
		require.False(t, d.absent.Recent("here"))
	})
}

func TestWhereAllAreAdmittedNobodyIsLookedFor(t *testing.T) {
	d, s, _ := newDirectory(true, false)
	require.True(t, admits(t, d, "anybody"))
	require.Zero(t, s.read.Load())
}

// Whoever waited to ask may find that the registration has come meanwhile.
func TestWhoWaitedToAskSeesWhatHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		s.gate = make(chan struct{})
		for i := range maxReads {
			go func() { _, _ = d.admitted(t.Context(), string(rune('a'+i))) }()
		}
		synctest.Wait()
		late := make(chan bool)
		go func() { ok, _ := d.admitted(t.Context(), "late"); late <- ok }()
		synctest.Wait()
		d.see(written("late", 9, false), false)
		close(s.gate)
		require.True(t, <-late)
		require.EqualValues(t, maxReads, s.read.Load(), "without asking")
	})
}

func TestWhatIsKnownToBeAbsentWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		require.False(t, admits(t, d, "none"))
		s.gate = make(chan struct{})
		for i := range maxReads {
			go func() { _, _ = d.admitted(t.Context(), string(rune('a'+i))) }()
		}
		synctest.Wait()
		began := time.Now()
		require.False(t, admits(t, d, "none"))
		require.Zero(t, time.Since(began))
		close(s.gate)
	})
}

func TestTheOnlyWriterAsksNobody(t *testing.T) {
	d, s, _ := newDirectory(false, true)
	require.False(t, admits(t, d, "none"))
	require.Zero(t, s.read.Load())
}

func TestWhoIsLeavingElsewhereIsNotAdmitted(t *testing.T) {
	d, s, _ := newDirectory(false, false)
	s.put(written("a", 3, true))
	require.False(t, admits(t, d, "a"))
}

func TestAWriteIsTriedAFewTimes(t *testing.T) {
	for lost, want := range map[int]error{0: nil, 1: nil, maxRounds - 1: nil, maxRounds: heartbeat.ErrUnavailable} {
		d, s, _ := newDirectory(false, true)
		s.lost = lost
		_, err := d.RegisterApplication(t.Context(), info("a"))
		require.ErrorIs(t, err, want, "%d times somebody was faster", lost)
	}
}

func TestAFullStoreIsSaid(t *testing.T) {
	d, s, _ := newDirectory(true, true)
	s.save = heartbeat.ErrFull
	_, err := d.RegisterApplication(t.Context(), info("a"))
	require.ErrorIs(t, err, heartbeat.ErrFull)
	s.save = nil
	_, err = d.RegisterApplication(t.Context(), info("a"))
	require.NoError(t, err)
	s.erase = heartbeat.ErrFull
	require.ErrorIs(t, d.DeregisterApplication(t.Context(), "a", nil), heartbeat.ErrFull)
}

// If everybody is admitted there is nothing to wait for.
func TestWhereAllAreAdmittedTheMarkGoesWithTheAnswer(t *testing.T) {
	d, s, _ := newDirectory(true, true)
	_, err := d.RegisterApplication(t.Context(), info("a"))
	require.NoError(t, err)
	require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
	require.Zero(t, s.get("a").At)
	require.Empty(t, d.due(), "and is not looked after any more")
	_, err = d.RegisterApplication(t.Context(), info("a"))
	require.NoError(t, err)
	s.erase = heartbeat.ErrConflict
	require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil), "another one has erased it, or it is back")
}

func TestAMarkIsFinishedOnceTheListsAreLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(true, true)
		var ready atomic.Bool
		d.ready = ready.Load
		s.put(written("a", 3, true))
		b.add("a", "1")
		d.load([]plugins.Application{written("a", 3, true)}, 5)
		go d.finishLoop(t.Context())
		time.Sleep(10 * finishEvery)
		require.NotEmpty(t, b.Of("a"), "what it has is not known yet")
		ready.Store(true)
		time.Sleep(2 * finishEvery)
		require.Empty(t, b.Of("a"))
		require.Zero(t, s.get("a").At, "without waiting for anybody, where all are admitted")
	})
}
