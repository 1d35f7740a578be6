package quota

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const mib = 1 << 20

// database counts what was written when it is flushed, as bbolt does at a commit.
type database struct {
	mu            sync.Mutex
	written, used int64
}

func (d *database) write(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written += n
}

func (d *database) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = d.written
}

func (d *database) inUse() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

func gateOn(d *database, refused *atomic.Int64) *Gate {
	return NewGate(Config{Limit: 100 * mib, InUse: d.inUse, Flush: d.flush, Refused: func(Class) { refused.Add(1) }})
}

func TestManyWritersAtOnceDoNotJumpOverTheHeadroom(t *testing.T) {
	var d database
	var refused, taken atomic.Int64
	g := gateOn(&d, &refused)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 50 {
				cost := rand.Int64N(mib)
				if done, ok := g.Admit(t.Context(), Grow, cost); ok {
					d.write(cost)
					taken.Add(cost)
					done()
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, taken.Load(), int64(90*mib))
	require.Greater(t, taken.Load(), int64(89*mib-mib), "what was written is not counted twice for ever")
	require.Positive(t, refused.Load())
}

func TestWhatFreesIsTakenAtAFullStoreAndWhatGrowsIsNot(t *testing.T) {
	for _, c := range []struct {
		used int64
		want map[Class]bool
	}{
		{89 * mib, map[Class]bool{Grow: true, Change: true, Free: true}},
		{90 * mib, map[Class]bool{Grow: false, Change: true, Free: true}},
		{95 * mib, map[Class]bool{Grow: false, Change: false, Free: true}},
		{300 * mib, map[Class]bool{Grow: false, Change: false, Free: true}},
	} {
		var refused atomic.Int64
		g := gateOn(&database{written: c.used, used: c.used}, &refused)
		for class, want := range c.want {
			done, ok := g.Admit(t.Context(), class, 1000)
			require.Equal(t, want, ok, "%s at %d", class, c.used)
			if ok {
				done()
			}
		}
		require.Equal(t, !c.want[Grow], g.Short(0))
	}
}

func TestWithoutAQuotaEverythingIsTaken(t *testing.T) {
	var g *Gate
	done, ok := g.Admit(t.Context(), Grow, 1<<40)
	require.True(t, ok)
	done()
	g.Measure(t.Context())
	require.False(t, g.Short(0))
	require.Zero(t, g.Limit())
}

// While the disk hangs, or the database is copied, nothing is measured: who asks waits a
// second at most, or as long as its own time lasts, and there is one measurement for all.
func TestNobodyWaitsForAMeasurementThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := database{written: 89 * mib, used: 89 * mib}
		hangs := make(chan struct{})
		var flushes, refused atomic.Int64
		g := NewGate(Config{Limit: 100 * mib, InUse: d.inUse, Refused: func(Class) { refused.Add(1) }, Flush: func() {
			flushes.Add(1)
			<-hangs
			d.flush()
		}})
		done, ok := g.Admit(t.Context(), Grow, mib/2)
		require.True(t, ok)
		done() // it freed as much as it wrote: once measured there is room
		began := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				_, ok := g.Admit(t.Context(), Grow, mib)
				require.False(t, ok)
				require.Equal(t, measureWait, time.Since(began))
			})
		}
		all.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, ok = g.Admit(ctx, Change, 7*mib)
		require.False(t, ok)
		require.Equal(t, measureWait+time.Millisecond, time.Since(began))
		done, ok = g.Admit(t.Context(), Free, mib/4)
		require.True(t, ok, "what frees is not measured")
		done()
		require.Equal(t, measureWait+time.Millisecond, time.Since(began))
		require.EqualValues(t, 11, refused.Load())
		require.EqualValues(t, 1, flushes.Load())
		close(hangs)
		done, ok = g.Admit(t.Context(), Grow, mib/2)
		require.True(t, ok)
		done()
		g.Close()
		g.Measure(t.Context())
		require.EqualValues(t, 1, flushes.Load(), "nothing is measured once the database is closed")
	})
}

// clock asks an upkeep once a second while rate revisions and bytes are written.
type clock struct {
	u Upkeep
	f Figures
}

func (c *clock) pass(seconds int, revisions, bytes int64) (all []Work) {
	for range seconds {
		c.f.Now += time.Second
		c.f.Revision += revisions
		c.f.InUse += bytes
		c.f.Size = max(c.f.Size, c.f.InUse)
		if w := c.u.Next(c.f); w != (Work{}) {
			all = append(all, w)
		}
	}
	return all
}

func started(revision, inUse, limit int64) *clock {
	c := &clock{f: Figures{Revision: revision, InUse: inUse, Size: inUse, Limit: limit}}
	c.u.Start(c.f)
	return c
}

func TestHistoryFromBeforeTheStartGoesAtTheStart(t *testing.T) {
	// Started anew every ten minutes, it compacts as often: what was due is not forgotten.
	at := int64(1)
	for range 5 {
		var u Upkeep
		w := u.Start(Figures{Revision: at, InUse: mib, Size: mib, Limit: 100 * mib})
		require.Equal(t, Work{Compact: at, Reason: AtStart}, w)
		at += 5000
	}
}

func TestHistoryIsCompactedByTimeAndAMinuteOfItIsKept(t *testing.T) {
	c := started(1, mib, 1000*mib)
	got := c.pass(600, 10, 0)
	require.Len(t, got, 2)
	for i, w := range got {
		require.Equal(t, ByTime, w.Reason)
		require.Equal(t, int64(1+10*(300*(i+1)-60)), w.Compact, "a minute is left")
	}
	require.Empty(t, started(1, mib, 1000*mib).pass(3600, 0, 0), "an idle store is left alone")
	require.Len(t, started(1, mib, 1000*mib).pass(3700, 0, 0), 0)
	few := started(1, mib, 1000*mib)
	few.pass(10, 1, 0)
	require.Len(t, few.pass(3700, 0, 0), 1, "what little was written goes within the hour")
}

func TestHistoryIsCompactedBySize(t *testing.T) {
	c := started(1, 10*mib, 1600*mib) // a step is 64 MiB
	got := c.pass(200, 100, 2*mib)
	require.NotEmpty(t, got)
	require.Equal(t, BySize, got[0].Reason)
	require.LessOrEqual(t, got[0].Compact, int64(1+100*140), "a minute is left")
	c = started(1, 10*mib, 1600*mib)
	require.Equal(t, BySize, c.pass(120, many/60, 0)[0].Reason, "so many revisions are worth it too")
}

func TestShortOfRoomHistoryGoesSoonerButNotWhatIsStillRead(t *testing.T) {
	c := started(1, 80*mib, 100*mib)
	got := c.pass(30, 100, 0)
	require.GreaterOrEqual(t, len(got), 4)
	for _, w := range got {
		require.Equal(t, ByNeed, w.Reason)
		require.False(t, w.Defragment)
	}
	c = started(1, 80*mib, 100*mib)
	c.f.Floor = 700 // a list is being read
	for _, w := range c.pass(100, 100, 0) {
		require.LessOrEqual(t, w.Compact, int64(700))
	}
	last := c.pass(100, 100, 0)
	require.Greater(t, last[len(last)-1].Compact, int64(700), "one that lags beyond reason is listed anew")
}

func TestTheAlarmIsHealed(t *testing.T) {
	c := started(1, 50*mib, 100*mib)
	c.pass(60, 100, 0)
	c.f.Alarm = true
	got := c.pass(20, 0, 0)
	require.True(t, got[0].Disarm && got[0].Defragment && got[0].Compact > 0)
	require.LessOrEqual(t, len(got), 5, "not every second: it blocks the store")
	var u Upkeep
	w := u.Start(Figures{Revision: 9, Size: 200 * mib, InUse: 199 * mib, Limit: 100 * mib, Alarm: true})
	require.Equal(t, Work{Compact: 9, Defragment: true, Disarm: true, Reason: AtStart}, w)
}

func TestTheFileIsCopiedOnlyWhenItPaysAndDisturbsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		size, inUse, limit int64
		want               bool
	}{
		"within its quota":          {90 * mib, mib, 100 * mib, false},
		"mostly free pages":         {120 * mib, 20 * mib, 100 * mib, true},
		"little to be gained":       {120 * mib, 100 * mib, 100 * mib, false},
		"it would take too long":    {4000 * mib, 1000 * mib, 3000 * mib, false},
		"large, and nearly nothing": {4000 * mib, 10 * mib, 3000 * mib, true},
	} {
		k := started(1, c.inUse, c.limit)
		k.f.Size = c.size
		got := k.pass(500, 0, 0)
		require.Equal(t, c.want, len(got) == 1 && got[0].Defragment, name)
		if c.want {
			require.Len(t, k.pass(600, 0, 0), 1, "%s: not again at once", name)
		}
	}
	var u Upkeep
	require.True(t, u.Start(Figures{Revision: 1, Size: 1000 * mib, InUse: 300 * mib, Limit: 4000 * mib}).Defragment, "a start disturbs nobody yet")
	require.False(t, u.Start(Figures{Revision: 1, Size: 1000 * mib, InUse: 900 * mib, Limit: 4000 * mib}).Defragment)
}
