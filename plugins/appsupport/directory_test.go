package appsupport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// things are what applications have.
type things struct {
	mu   sync.Mutex
	of   map[string][]string
	stop error // of Remove
	took time.Duration
	// slow are the applications whose things take so long to remove; nil: all.
	slow map[string]bool
	once atomic.Int64 // removals under way
	most atomic.Int64 // at a time
	// behind is after how many removals a listing shows one; removed are all there were.
	behind  int
	removed []string
}

func (b *things) refuse(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = why
}

func (b *things) add(app, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[app] = append(b.of[app], id)
}

func (b *things) Of(app string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.of[app])
}

func (b *things) Remove(_ context.Context, app, id string) error {
	n := b.once.Add(1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	defer b.once.Add(-1)
	if b.slow == nil || b.slow[app] {
		time.Sleep(b.took)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		return b.stop
	}
	b.removed = append(b.removed, id)
	if len(b.removed) <= b.behind {
		return nil
	}
	b.of[app] = slices.DeleteFunc(b.of[app], func(s string) bool { return s == id })
	return nil
}

func newDirectory(open, alone bool) (*directory, *fakeStore, *things) {
	s, b := &fakeStore{apps: map[string]plugins.Application{}}, &things{of: map[string][]string{}}
	clock := plugins.NewClock()
	d := &directory{store: s, counts: newCounts(), wake: make(chan struct{}, 1), alone: alone, open: open, configured: map[string]bool{"known": true}, owned: func() []plugins.Owned { return []plugins.Owned{b} },
		clock: clock, absent: plugins.NewAbsences(clock, maxReads), log: plugins.NewLog(io.Discard, "INFO"), ready: func() bool { return true }, apps: map[string]*entry{}, removing: map[string]bool{}}
	return d, s, b
}

func admits(t *testing.T, d *directory, app string) bool {
	t.Helper()
	ok, err := d.admitted(t.Context(), app)
	require.NoError(t, err)
	return ok
}

func info(app string) mp1.AppInfo { return mp1.AppInfo{AppName: "n", AppInstanceID: app} }

// A request that was admitted before the application left may still enter something;
// it goes when no such request can be under way any more.
func TestWhatIsEnteredWhileAnApplicationLeavesGoesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(false, true)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go d.finishLoop(ctx)
		_, err := d.RegisterApplication(ctx, info("a"))
		require.NoError(t, err)
		require.True(t, admits(t, d, "a"))
		b.add("a", "1")
		require.NoError(t, d.DeregisterApplication(ctx, "a", nil))
		require.Empty(t, b.Of("a"))
		require.False(t, admits(t, d, "a"))
		require.ErrorIs(t, d.DeregisterApplication(ctx, "a", nil), server.ErrNoRegistration)
		b.add("a", "late")
		time.Sleep(settleTime - time.Second)
		require.Equal(t, []string{"late"}, b.Of("a"))
		time.Sleep(3 * time.Second)
		require.Empty(t, b.Of("a"))
		require.Zero(t, s.get("a").At, "and the mark with it")
	})
}

func TestWhoComesBackLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(false, true)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go d.finishLoop(ctx)
		_, err := d.RegisterApplication(ctx, info("a"))
		require.NoError(t, err)
		require.NoError(t, d.DeregisterApplication(ctx, "a", nil))
		time.Sleep(settleTime / 2)
		_, err = d.RegisterApplication(ctx, info("a"))
		require.NoError(t, err)
		b.add("a", "new")
		time.Sleep(2 * settleTime)
		require.Equal(t, []string{"new"}, b.Of("a"))
		require.True(t, admits(t, d, "a"))
		// also when this replica has not seen the return yet
		gone := s.get("a")
		gone.Leaving = true
		gone.At--
		removed, err := d.removeOwned(ctx, gone)
		require.NoError(t, err)
		require.Zero(t, removed)
	})
}

// The index of what an application has follows the watch, which may be behind.
func TestNothingIsRemovedTwice(t *testing.T) {
	d, _, b := newDirectory(true, false)
	_, err := d.RegisterApplication(t.Context(), info("a"))
	require.NoError(t, err)
	b.add("a", "1")
	b.add("a", "2")
	b.behind = 100 // so that a loop ends
	require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
	require.ElementsMatch(t, []string{"1", "2"}, b.removed, "side by side, in whatever order")
}

// A removal that fails leaves the application marked, and is continued later.
func TestABrokenRemovalIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, open := range []bool{true, false} {
			d, s, b := newDirectory(open, true)
			ctx, end := context.WithCancel(t.Context())
			go d.finishLoop(ctx)
			_, err := d.RegisterApplication(ctx, info("a"))
			require.NoError(t, err)
			b.add("a", "1")
			b.refuse(errors.New("broken off"))
			require.Error(t, d.DeregisterApplication(ctx, "a", nil))
			time.Sleep(settleTime + 3*time.Second)
			require.True(t, s.get("a").Leaving, "as long as it cannot be finished")
			b.refuse(nil)
			time.Sleep(settleTime + 3*time.Second)
			require.Empty(t, b.Of("a"), "open %v", open)
			require.Zero(t, s.get("a").At)
			end()
		}
	})
}

// The entries of a replica follow the order of the writes, whatever the order in which it
// sees them.
func TestNothingOlderReplacesWhatIsNewer(t *testing.T) {
	at := func(app string, at heartbeat.Revision, leaving bool) plugins.Application {
		return plugins.Application{Info: info(app), At: at, Leaving: leaving}
	}
	d, _, _ := newDirectory(false, true)
	d.load([]plugins.Application{at("a", 3, false)}, 5)
	require.True(t, admits(t, d, "a"))
	d.observe(at("a", 7, true), false)
	d.see(at("a", 6, false), false)
	require.False(t, admits(t, d, "a"), "the watch is behind its own write")
	d.observe(at("a", 8, true), true)
	d.see(at("a", 7, true), false)
	require.False(t, admits(t, d, "a"))
	d.see(at("a", 8, false), true)
	require.Empty(t, d.apps, "nothing is kept of what is gone")
	d.observe(at("a", 7, false), false)
	require.Empty(t, d.apps, "a read that the watch has overtaken says nothing")
	d.observe(at("b", 9, false), false)
	require.True(t, admits(t, d, "b"))
	d.load(nil, 9)
	require.False(t, admits(t, d, "b"), "a list without it")
	require.True(t, admits(t, d, "known"))
}

// A list that is older than what was seen is that of a store that was restored.
func TestARestoredStoreIsBelieved(t *testing.T) {
	at := func(app string, at heartbeat.Revision, leaving bool) plugins.Application {
		return plugins.Application{Info: info(app), At: at, Leaving: leaving}
	}
	d, _, _ := newDirectory(false, true)
	d.load([]plugins.Application{at("a", 3, false)}, 5)
	d.see(at("late", 20, false), false)
	d.see(at("a", 21, true), false)
	require.True(t, admits(t, d, "late"))
	require.False(t, admits(t, d, "a"))
	d.load([]plugins.Application{at("a", 3, false)}, 5)
	require.False(t, admits(t, d, "late"))
	require.True(t, admits(t, d, "a"))
	d.see(at("late", 6, false), false)
	require.True(t, admits(t, d, "late"), "what is written from then on counts")

	d, _, _ = newDirectory(false, true)
	d.load([]plugins.Application{at("a", 3, false)}, 5)
	d.see(at("a", 21, true), false)
	require.False(t, admits(t, d, "a"))
	d.load([]plugins.Application{at("a", 3, false)}, 100)
	require.True(t, admits(t, d, "a"), "restored, and written to past all that was seen")
}

func TestThePlatformTakesABoundedNumberOfApplications(t *testing.T) {
	d, _, _ := newDirectory(false, true)
	for i := range maxApplications {
		_, err := d.RegisterApplication(t.Context(), info(fmt.Sprint("a", i)))
		require.NoError(t, err)
	}
	_, err := d.RegisterApplication(t.Context(), mp1.AppInfo{AppName: "n"})
	require.ErrorIs(t, err, server.ErrTooManyRegistrations)
}

func TestAnApplicationWithoutAnIDGetsOne(t *testing.T) {
	d, s, _ := newDirectory(false, true)
	ids := map[string]bool{}
	for range 3 {
		made, err := d.RegisterApplication(t.Context(), mp1.AppInfo{AppName: "n"})
		require.NoError(t, err)
		require.NotEmpty(t, made.AppInstanceID)
		require.NotZero(t, s.get(made.AppInstanceID).At)
		ids[made.AppInstanceID] = true
	}
	require.Len(t, ids, 3)
}
