package appsupport

import (
	"context"
	"errors"
	"fmt"
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

// wallClock is a clock whose wall may be set.
type wallClock struct {
	step atomic.Int64 // in nanoseconds
	mono func() (plugins.Instant, int64)
}

func newWallClock() *wallClock { return &wallClock{mono: plugins.NewClock()} }

func (c *wallClock) now() (plugins.Instant, int64) {
	now, wall := c.mono()
	return now, wall + c.step.Load()
}

// running is a directory whose loop runs until the test ends.
func running(t *testing.T, open, alone bool) (*directory, *fakeStore, *things) {
	t.Helper()
	d, s, b := newDirectory(open, alone)
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.finishLoop(ctx); close(done) }()
	t.Cleanup(func() { end(); <-done })
	return d, s, b
}

func registersAs(t *testing.T, d *directory, app string) {
	t.Helper()
	_, err := d.RegisterApplication(t.Context(), info(app))
	require.NoError(t, err)
}

func TestATerminationIsConfirmedAndAllGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := running(t, false, true)
		registersAs(t, d, "a")
		b.add("a", "1")
		require.ErrorIs(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating), server.ErrNoTermination)
		require.NoError(t, d.BeginTermination(t.Context(), "a", 60, nil))
		require.Len(t, s.begun, 1)
		require.Equal(t, plugins.Termination{Action: mp1.Terminating, Timeout: 60, Begun: s.begun[0].Termination.Begun}, *s.begun[0].Termination)
		require.ErrorIs(t, d.BeginTermination(t.Context(), "a", 5, nil), server.ErrTerminating)
		time.Sleep(30 * time.Second)
		require.Equal(t, []string{"1"}, b.Of("a"), "it has its time")
		require.True(t, admits(t, d, "a"), "and everything works on")
		require.NoError(t, d.UpdateApplication(t.Context(), "a", info("a"), nil))

		var bad *mp1.Invalid
		require.ErrorAs(t, d.ConfirmTermination(t.Context(), "a", mp1.Stopping), &bad)
		require.Equal(t, "operationAction", bad.Attribute)
		require.NoError(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating))
		synctest.Wait()
		require.Empty(t, b.Of("a"), "at once, behind the answer")
		require.True(t, s.get("a").Termination.Confirmed)
		at := s.at
		require.NoError(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating), "repeated")
		require.Equal(t, at, s.at, "which writes nothing")
		require.ErrorIs(t, d.ConfirmReady(t.Context(), "a"), server.ErrTerminating)
		time.Sleep(settleTime + 2*time.Second)
		require.Zero(t, s.get("a").At)
		require.Len(t, s.begun, 1)
	})
}

func TestWhoDoesNotConfirmIsRemovedWhenTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, seconds := range []uint32{1, 10, mp1.MaxGraceful} {
			d, s, b := running(t, true, true)
			registersAs(t, d, "a")
			b.add("a", "1")
			require.NoError(t, d.BeginTermination(t.Context(), "a", seconds, nil))
			time.Sleep(time.Duration(seconds)*time.Second - time.Millisecond)
			require.Equal(t, []string{"1"}, b.Of("a"), "not before")
			time.Sleep(finishEvery + 2*time.Millisecond)
			require.Empty(t, b.Of("a"))
			require.Zero(t, s.get("a").At)
		}
	})
}

// The wall clock of this host, or of the replica where it began, says nothing about how long an
// application has had.
func TestAStepOfTheWallClockEndsNoTimeEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []time.Duration{-24 * time.Hour, -time.Minute, time.Minute, 24 * time.Hour} {
			d, s, b := newDirectory(true, false)
			clock := newWallClock()
			d.clock = clock.now
			ctx, end := context.WithCancel(t.Context())
			go d.finishLoop(ctx)
			registersAs(t, d, "a")
			require.NoError(t, d.BeginTermination(ctx, "a", 7200, nil))
			d.load(nil, 0) // as the list of the start
			elsewhere := kept[terminating]
			elsewhere.Info = info("b")
			elsewhere.Termination = &plugins.Termination{Action: mp1.Terminating, Timeout: 7200, Begun: time.Now().Add(-step).UnixNano()}
			elsewhere.At = 50
			s.put(elsewhere)
			s.at = 50
			d.see(elsewhere, false)
			b.add("a", "1")
			b.add("b", "1")
			clock.step.Store(int64(step))
			time.Sleep(2*time.Hour - time.Millisecond) // longer than the hour for which any is observed
			require.NotEmpty(t, b.Of("a"), step)
			require.NotEmpty(t, b.Of("b"), step)
			time.Sleep(2 * finishEvery)
			require.Empty(t, b.Of("a"), step)
			require.Empty(t, b.Of("b"), step)
			end()
			synctest.Wait()
		}
	})
}

// A start does not give the application its time again and again: but none ends that this
// process has not seen for its time, or for an hour, or a clock that was set meanwhile ended it.
func TestATerminationSurvivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			seconds uint32
			ago     time.Duration // that it began, by the wall clock
			left    time.Duration // that it has after the start
		}{
			{30, 10 * time.Second, 30 * time.Second},
			{30, 24 * time.Hour, 30 * time.Second},
			{30, -24 * time.Hour, 30 * time.Second}, // the clock was set back
			{86400, 10 * time.Hour, 14 * time.Hour},
			{86400, 100 * time.Hour, time.Hour},
			{86400, -time.Hour, 24 * time.Hour},
		} {
			a := kept[terminating]
			a.Termination = &plugins.Termination{Action: mp1.Terminating, Timeout: c.seconds, Begun: time.Now().Add(-c.ago).UnixNano()}
			d, s, b := running(t, true, true)
			s.put(a)
			s.at = 7
			b.add("a", "1")
			d.load([]plugins.Application{a}, 7)
			time.Sleep(c.left - time.Millisecond)
			require.NotEmpty(t, b.Of("a"), "%+v", c)
			time.Sleep(finishEvery + 2*time.Millisecond)
			require.Empty(t, b.Of("a"), "%+v", c)
			require.False(t, s.get("a").At != 0, "%+v", c)
		}
	})
}

// A list that is read again, and a registration that changes, begin no new time.
func TestTheTimeIsThatOfTheTermination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := running(t, true, false)
		d.load(nil, 0)
		registersAs(t, d, "a")
		b.add("a", "1")
		require.NoError(t, d.BeginTermination(t.Context(), "a", 30, nil))
		time.Sleep(20 * time.Second)
		require.NoError(t, d.UpdateApplication(t.Context(), "a", mp1.AppInfo{AppName: "m"}, nil))
		d.load([]plugins.Application{s.get("a")}, s.at)
		time.Sleep(9 * time.Second)
		require.NotEmpty(t, b.Of("a"))
		time.Sleep(2 * time.Second)
		synctest.Wait() // the tick that ends it is due at the same moment
		require.Empty(t, b.Of("a"))
		// another termination of the same application has its own
		registersAs(t, d, "a")
		b.add("a", "2")
		require.NoError(t, d.BeginTermination(t.Context(), "a", 30, nil))
		time.Sleep(29 * time.Second)
		require.NotEmpty(t, b.Of("a"))
		time.Sleep(2 * time.Second)
		synctest.Wait() // the tick that ends it is due at the same moment
		require.Empty(t, b.Of("a"))
	})
}

// Of several replicas one decides, and what it leaves undone another one does.
func TestAnotherReplicaFinishesATermination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, s, _ := newDirectory(false, false)
		registersAs(t, one, "a")
		require.NoError(t, one.BeginTermination(t.Context(), "a", 30, nil))

		other, _, b := running(t, false, false)
		other.store = s
		b.add("a", "1")
		other.load([]plugins.Application{s.get("a")}, s.at)
		require.NoError(t, one.ConfirmTermination(t.Context(), "a", mp1.Terminating)) // and there it ends: nothing of it runs
		other.see(s.get("a"), false)
		time.Sleep(takeOver - time.Millisecond)
		require.NotEmpty(t, b.Of("a"), "it is left to the one that decided")
		time.Sleep(2 * finishEvery)
		require.Empty(t, b.Of("a"))
		require.NotZero(t, s.get("a").At)
		time.Sleep(settleTime)
		require.Zero(t, s.get("a").At)
	})
}

// A replica that finds the time over too late finds nothing to do.
func TestOfTwoThatFindTheTimeOverOneWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(true, false)
		registersAs(t, d, "a")
		require.NoError(t, d.BeginTermination(t.Context(), "a", 30, nil))
		old := s.get("a")
		require.NoError(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating))
		at := s.at
		d.endTime(t.Context(), old)
		require.Equal(t, at, s.at)
		require.True(t, s.get("a").Termination.Confirmed)

		time.Sleep(time.Second)
		registersAs(t, d, "a")
		require.NoError(t, d.BeginTermination(t.Context(), "a", 30, nil))
		at = s.at
		d.endTime(t.Context(), old)
		require.Equal(t, at, s.at, "the next termination is another one")
	})
}

func TestDeletingAtOnceEndsATermination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := running(t, true, true)
		registersAs(t, d, "a")
		b.add("a", "1")
		require.NoError(t, d.BeginTermination(t.Context(), "a", mp1.MaxGraceful, nil))
		require.ErrorIs(t, d.DeregisterApplication(t.Context(), "a", func(mp1.AppInfo) bool { return false }), heartbeat.ErrStale)
		require.NoError(t, d.DeregisterApplication(t.Context(), "a", nil))
		require.Empty(t, b.Of("a"))
		require.Zero(t, s.get("a").At)
		require.ErrorIs(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating), server.ErrNoTermination)
	})
}

// Who comes back while its last life is removed must not keep a part of it, nor lose any of the
// new one.
func TestWhoComesBackBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := newDirectory(false, false) // no loop: the process that removes was killed
		registersAs(t, d, "a")
		require.NoError(t, d.ConfirmReady(t.Context(), "a"))
		b.add("a", "old")
		require.NoError(t, d.BeginTermination(t.Context(), "a", 30, nil))
		require.ErrorIs(t, registering(t, d, "a"), server.ErrTerminating)
		require.NoError(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating))
		b.refuse(errors.New("broken off"))
		require.Error(t, registering(t, d, "a"), "not before all is gone")
		require.True(t, s.get("a").Leaving)
		b.refuse(nil)
		registersAs(t, d, "a")
		require.Empty(t, b.Of("a"))
		b.add("a", "new")
		got := s.get("a")
		require.Equal(t, plugins.Application{Info: info("a"), At: got.At}, got)
		ctx, end := context.WithCancel(t.Context())
		go d.finishLoop(ctx)
		time.Sleep(2 * settleTime)
		require.Equal(t, []string{"new"}, b.Of("a"))
		end()
		synctest.Wait()
	})
}

func registering(t *testing.T, d *directory, app string) error {
	t.Helper()
	_, err := d.RegisterApplication(t.Context(), info(app))
	return err
}

func TestReadinessIsKeptWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(true, true)
		registersAs(t, d, "a")
		require.NoError(t, d.ConfirmReady(t.Context(), "a"))
		require.Equal(t, time.Now().UnixNano(), s.get("a").ReadyAt)
		time.Sleep(time.Minute)
		require.NoError(t, d.ConfirmReady(t.Context(), "a"))
		require.Equal(t, time.Now().UnixNano(), s.get("a").ReadyAt, "of the last time")
		require.NoError(t, d.UpdateApplication(t.Context(), "a", mp1.AppInfo{AppName: "m"}, nil))
		require.Equal(t, time.Now().UnixNano(), s.get("a").ReadyAt)
		require.NoError(t, d.BeginTermination(t.Context(), "a", 5, nil))
		require.ErrorIs(t, d.ConfirmReady(t.Context(), "a"), server.ErrTerminating)
	})
}

// The platform may serve applications that never registered. What is kept of them is no
// registration.
func TestWhoDidNotRegisterIsKeptWithoutBeingRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, b := running(t, true, false)
		require.NoError(t, d.ConfirmReady(t.Context(), "a"))
		require.True(t, s.get("a").Unregistered)
		_, err := d.Registration(t.Context(), "a")
		require.ErrorIs(t, err, server.ErrNoRegistration)
		require.ErrorIs(t, d.UpdateApplication(t.Context(), "a", info("a"), nil), server.ErrNoRegistration)
		require.ErrorIs(t, d.DeregisterApplication(t.Context(), "a", nil), server.ErrNoRegistration)
		readyAt := s.get("a").ReadyAt
		registersAs(t, d, "a")
		require.Equal(t, readyAt, s.get("a").ReadyAt, "it is ready all the same")

		require.ErrorIs(t, d.BeginTermination(t.Context(), "nobody", 5, nil), server.ErrNoRegistration)
		require.Zero(t, s.get("nobody").At, "and nothing is stored")
		b.add("silent", "1")
		require.ErrorIs(t, d.BeginTermination(t.Context(), "silent", 5, func(mp1.AppInfo) bool { return true }), heartbeat.ErrStale)
		require.NoError(t, d.BeginTermination(t.Context(), "silent", 5, nil))
		require.ErrorIs(t, d.UpdateApplication(t.Context(), "silent", info("silent"), nil), server.ErrNoRegistration, "nor while it is terminated")
		require.NoError(t, d.ConfirmTermination(t.Context(), "silent", mp1.Terminating))
		synctest.Wait()
		require.Empty(t, b.Of("silent"))
		time.Sleep(shownTime + finishEvery)
		require.Zero(t, s.get("silent").At)
	})
}

func TestWhatIsKeptOfTheUnregisteredAdmitsNobody(t *testing.T) {
	d, s, _ := newDirectory(false, false)
	s.put(plugins.Application{Info: mp1.AppInfo{AppInstanceID: "a"}, Unregistered: true, ReadyAt: 1, At: 3})
	require.False(t, admits(t, d, "a"))
	d.see(s.get("a"), false)
	require.False(t, admits(t, d, "a"))
}

// Nobody removes what is kept of applications that did not register. So they must not fill the
// platform: the one that was ready longest ago makes room, and those that register have room of
// their own.
func TestTheUnregisteredFillNothing(t *testing.T) {
	d, s, b := newDirectory(true, true)
	name := func(i int) string { return fmt.Sprint("a", i) }
	for i := range maxApplications {
		a := plugins.Application{Info: mp1.AppInfo{AppInstanceID: name(i)}, Unregistered: true, ReadyAt: int64(maxApplications - i), At: heartbeat.Revision(i + 1)}
		if i == maxApplications-1 {
			a.Termination = &plugins.Termination{Action: mp1.Terminating, Timeout: 60}
		}
		s.put(a)
		d.observe(a, false)
	}
	s.at = maxApplications
	require.NoError(t, d.ConfirmReady(t.Context(), "one more"))
	require.Zero(t, s.get(name(maxApplications-2)).At, "of those that are not being terminated it was ready longest ago")
	require.NotZero(t, s.get(name(maxApplications-1)).At)
	b.add("terminated", "1")
	require.NoError(t, d.BeginTermination(t.Context(), "terminated", 5, nil))
	require.Zero(t, s.get(name(maxApplications-3)).At)
	require.Len(t, s.apps, maxApplications)
	require.NoError(t, d.ConfirmReady(t.Context(), name(0)), "what is kept already needs no room")
	require.Len(t, s.apps, maxApplications)
	registersAs(t, d, "registers")
	registersAs(t, d, name(1))
	require.Len(t, s.apps, maxApplications+1)
}

func TestTerminationsAreBounded(t *testing.T) {
	d, s, b := newDirectory(true, true)
	for i := range maxApplications {
		d.observe(plugins.Application{Info: mp1.AppInfo{AppInstanceID: fmt.Sprint("a", i)}, Unregistered: true, Termination: &plugins.Termination{}, At: heartbeat.Revision(i + 1)}, false)
	}
	require.ErrorIs(t, d.ConfirmReady(t.Context(), "one more"), server.ErrTooManyRegistrations)
	b.add("one more", "1")
	require.ErrorIs(t, d.BeginTermination(t.Context(), "one more", 5, nil), server.ErrTooManyRegistrations)
	require.Empty(t, s.apps)
}

func TestAFullStoreRefusesToBegin(t *testing.T) {
	d, s, _ := newDirectory(true, true)
	registersAs(t, d, "a")
	s.save = heartbeat.ErrFull
	require.ErrorIs(t, d.BeginTermination(t.Context(), "a", 5, nil), heartbeat.ErrFull)
	require.ErrorIs(t, d.ConfirmReady(t.Context(), "a"), heartbeat.ErrFull)
	require.Empty(t, s.begun)
}
