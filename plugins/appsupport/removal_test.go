package appsupport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// Each of an application's subscriptions may take a second to end, while its consumer hangs.
func TestWhatHangsIsRemovedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, b := newDirectory(true, true)
		b.took = time.Second
		other := &things{of: map[string][]string{}, took: time.Second}
		d.owned = func() []plugins.Owned { return []plugins.Owned{b, other} }
		_, err := d.RegisterApplication(t.Context(), info("a"))
		require.NoError(t, err)
		for i := range 200 {
			b.add("a", fmt.Sprint(i))
			other.add("a", fmt.Sprint("other", i))
		}
		began := time.Now()
		require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
		require.Equal(t, time.Second, time.Since(began), "what the slowest takes")
		require.Len(t, b.removed, 200)
		require.Len(t, other.removed, 200, "of every kind")
		require.Zero(t, d.beingRemoved())
	})
}

// The process goes on to its stop when nothing of its own is under way any more.
func TestTheLoopEndsAfterItsRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(true, true)
		b.took = time.Minute
		b.add("a", "1")
		s.put(written("a", 3, true))
		d.observe(written("a", 3, true), false)
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		ended := make(chan time.Time)
		go func() { d.finishLoop(ctx); ended <- time.Now() }()
		time.Sleep(2 * finishEvery)
		stop()
		require.Equal(t, finishEvery+time.Minute, (<-ended).Sub(began))
	})
}

func TestTheLogSaysHowMuchAnApplicationHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		d, _, b := newDirectory(false, true)
		d.log = plugins.NewLog(&out, "INFO")
		other := &things{of: map[string][]string{}}
		d.owned = func() []plugins.Owned { return []plugins.Owned{b, other} }
		_, err := d.RegisterApplication(t.Context(), info("a"))
		require.NoError(t, err)
		b.add("a", "1")
		b.add("a", "2")
		other.add("a", "3")
		require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
		require.Contains(t, out.String(), `"removed":3`)
	})
}

func TestSoManyAreRemovedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, b := newDirectory(true, true)
		b.took = time.Second
		_, err := d.RegisterApplication(t.Context(), info("a"))
		require.NoError(t, err)
		for i := range maxRemovals + 1 {
			b.add("a", fmt.Sprint(i))
		}
		began := time.Now()
		require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
		require.Equal(t, 2*time.Second, time.Since(began))
		require.EqualValues(t, maxRemovals, b.most.Load())
	})
}

// What fails is no reason to leave the rest, and what failed is tried again.
func TestOneThatCannotBeRemovedHoldsNothingBack(t *testing.T) {
	n, err := removeAll([]string{"1", "bad", "2", "worse", "3"}, func(id string) error {
		if id == "bad" || id == "worse" {
			return errors.New(id)
		}
		return nil
	})
	require.Equal(t, 3, n)
	require.Error(t, err)
}

// The removal of one application may take long; that of others goes on meanwhile.
func TestOneApplicationWaitsForNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(false, true)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.took, b.slow = time.Minute, map[string]bool{"slow0": true, "slow1": true, "slow2": true}
		for _, app := range []string{"slow0", "slow1", "slow2", "a", "b"} {
			_, err := d.RegisterApplication(ctx, info(app))
			require.NoError(t, err)
			require.NoError(t, d.DeregisterApplication(ctx, app, nil))
			b.add(app, "late")
		}
		go d.finishLoop(ctx)
		time.Sleep(settleTime + 2*finishEvery)
		require.Empty(t, b.Of("a"))
		require.Empty(t, b.Of("b"))
		require.Zero(t, s.get("a").At)
		require.EqualValues(t, 3, b.once.Load(), "each of the slow ones is removed once")
		time.Sleep(time.Minute)
		for app := range b.slow {
			require.Empty(t, b.Of(app))
			require.Zero(t, s.get(app).At)
		}
		require.Zero(t, d.beingRemoved())
	})
}

func TestWhoIsBeingRemovedIsNotRemovedBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(true, true)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go d.finishLoop(ctx)
		_, err := d.RegisterApplication(ctx, info("a"))
		require.NoError(t, err)
		b.add("a", "1")
		b.took, b.slow = 2*maxFinishing*finishEvery, map[string]bool{"a": true}
		require.NoError(t, d.DeregisterApplication(ctx, "a", nil))
		require.EqualValues(t, 1, b.most.Load())
		require.Equal(t, []string{"1"}, b.gone())
		d.observe(plugins.Application{Info: info("broken"), At: 1000, Leaving: true}, false)
		s.put(plugins.Application{Info: info("broken"), At: 1000, Leaving: true})
		time.Sleep(2 * finishEvery)
		require.Zero(t, s.get("broken").At, "and all others are finished, however often it was passed over")
	})
}

// beingRemoved is how many applications are.
func (d *directory) beingRemoved() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.removing)
}

// gone is what was removed.
func (b *things) gone() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.removed)
}

// What an application entered at another replica may not have been shown here when it leaves; it
// must not stay for ever.
func TestWhatIsShownLateIsRemovedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := running(t, true, false)
		for app, leave := range map[string]func() error{
			"deleted":   func() error { return d.DeregisterApplication(t.Context(), "deleted", nil) },
			"confirmed": func() error { return d.ConfirmTermination(t.Context(), "confirmed", mp1.Terminating) },
		} {
			registersAs(t, d, app)
			b.add(app, "shown")
			if app == "confirmed" {
				require.NoError(t, d.BeginTermination(t.Context(), app, 60, nil))
			}
			require.NoError(t, leave())
			synctest.Wait()
			require.Empty(t, b.Of(app), "at once")
			time.Sleep(3 * time.Second)
			b.add(app, "shown late")
			time.Sleep(shownTime)
			require.Empty(t, b.Of(app))
			require.Zero(t, s.get(app).At)
		}
	})
}

// outliving are things of which something of another kind comes while they are removed.
type outliving struct {
	*things
	leaves func(app string)
}

func (o outliving) Remove(ctx context.Context, app, id string) error {
	defer o.leaves(app)
	return o.things.Remove(ctx, app, id)
}

func TestWhatComesOfAnotherKindMeanwhileIsRemovedBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, b := newDirectory(true, true)
		configurations := outliving{&things{of: map[string][]string{}, took: time.Second}, func(app string) { b.add(app, "rules") }}
		d.owned = func() []plugins.Owned { return []plugins.Owned{b, configurations} }
		_, err := d.RegisterApplication(t.Context(), info("a"))
		require.NoError(t, err)
		configurations.add("a", "configuration")
		require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
		require.Equal(t, []string{"rules"}, b.gone())
	})
}
