package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestAnAgentDoesNothingOfItUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		r := run(t, options(f, 2))
		advance(time.Hour)
		require.NoError(t, r.stop())
		for _, s := range f.requests {
			require.NotContains(t, s.path, mp1.AppSupportBase)
		}
		ready, confirmed, subscriptions, _ := f.state()
		require.Equal(t, []int{0, 0, 0}, []int{ready, confirmed, subscriptions})
	})
}

func TestATerminationIsConfirmedAfterTheServicesAreGone(t *testing.T) {
	for name, leave := range map[string]OnStop{"deregister": Deregister, "leave": Leave} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newSupportPlatform(t)
				o := supportOptions(f, 3)
				o.OnStop = leave
				left := -1
				f.onConfirm = func(f *supportPlatform) int {
					left = len(f.registered())
					return 0
				}
				r := run(t, o)
				advance(time.Minute)
				_, _, subscriptions, connected := f.state()
				require.Equal(t, []int{1, 1}, []int{subscriptions, connected})
				require.Len(t, f.registered(), 3)
				f.terminate()
				require.ErrorIs(t, <-r.ended, ErrTerminated)
				require.Zero(t, left, "they are gone before it is confirmed")
				require.Equal(t, []string{`{"operationAction":"TERMINATING"}`}, f.confirmed)
				require.False(t, r.Ready())
				for _, s := range r.Status() {
					require.Equal(t, StateDeregistered, s.State)
				}
				require.ErrorIs(t, r.Remove("s0"), ErrStopped)
				f.closeAll()
			})
		})
	}
}

// The platform may be killed right after it has announced the termination.
func TestATerminationIsConfirmedWhenThePlatformIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		f.set(func() { f.away = true }) // for all requests; what is connected stays so
		f.terminate()
		advance(10 * time.Minute)
		require.Empty(t, r.ended, "nobody has taken the confirmation")
		f.set(func() { f.away = false })
		require.ErrorIs(t, <-r.ended, ErrTerminated)
		_, confirmed, _, _ := f.state()
		require.Equal(t, 1, confirmed)
		require.Equal(t, StateDeregistered, r.Status()[0].State, "the platform removes what is left")
		f.closeAll()
	})
}

func TestATerminationThatIsOverNeedsNoConfirmation(t *testing.T) {
	for status, refused := range map[int]bool{404: false, 409: false, 403: true} {
		synctest.Test(t, func(t *testing.T) {
			f := newSupportPlatform(t)
			f.onConfirm = func(*supportPlatform) int { return status }
			var log bytes.Buffer
			o := supportOptions(f, 1)
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			r := run(t, o)
			advance(time.Minute)
			f.terminate()
			require.ErrorIs(t, <-r.ended, ErrTerminated)
			_, confirmed, _, _ := f.state()
			require.Equal(t, 1, confirmed)
			require.Equal(t, refused, strings.Contains(log.String(), "is refused"), "%d: %s", status, &log)
			f.closeAll()
		})
	}
}

func TestAStopEndsTheWaitForAConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.onConfirm = func(*supportPlatform) int { return 503 }
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		f.terminate()
		advance(time.Minute)
		err := r.stop()
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrTerminated)
		f.closeAll()
	})
}

func TestAStopRemovesTheSubscriptionUnlessTheServicesAreLeft(t *testing.T) {
	for leave, want := range map[OnStop]int{Deregister: 0, Leave: 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newSupportPlatform(t)
			o := supportOptions(f, 1)
			o.OnStop = leave
			r := run(t, o)
			advance(time.Minute)
			require.NoError(t, r.stop())
			_, _, subscriptions, _ := f.state()
			require.Equal(t, want, subscriptions)
			f.closeAll()
		})
	}
}

// The announcement waits at the platform, in the subscription of the agent that was killed.
func TestAnAgentThatStartsAgainTakesTheSubscriptionThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.subscriptions["killed"] = nil
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		_, _, subscriptions, connected := f.state()
		require.Equal(t, []int{1, 1}, []int{subscriptions, connected})
		require.Zero(t, f.made)
		f.terminate()
		require.ErrorIs(t, <-r.ended, ErrTerminated)
		f.closeAll()
	})
}

func TestAgentsOfOneApplicationHaveASubscriptionEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.keeps = true
		var agents []*running
		for range 3 {
			agents = append(agents, run(t, supportOptions(f, 1)))
			advance(5 * time.Minute)
		}
		require.Equal(t, 3, f.made, "they do not go on taking each other's")
		_, _, subscriptions, connected := f.state()
		require.Equal(t, []int{3, 3}, []int{subscriptions, connected})
		f.terminate()
		for _, r := range agents {
			require.ErrorIs(t, <-r.ended, ErrTerminated)
		}
		f.closeAll()
	})
}

func TestALostSubscriptionIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		r := run(t, supportOptions(f, 1))
		advance(time.Minute)
		f.closeAll()
		f.set(func() { clear(f.subscriptions) }) // the platform was restored from a backup
		advance(time.Minute)
		_, _, subscriptions, connected := f.state()
		require.Equal(t, []int{1, 1}, []int{subscriptions, connected})
		require.NoError(t, r.stop())
		f.closeAll()
	})
}

func TestAPlatformWithoutTerminationsIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSupportPlatform(t)
		f.lacking = true
		o := supportOptions(f, 1)
		var log strings.Builder
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		r := run(t, o)
		advance(time.Hour)
		require.True(t, r.Ready())
		require.Equal(t, 1, strings.Count(log.String(), "does not tell of the termination"), log.String())
		require.NotContains(t, log.String(), "WARN")
		f.set(func() { f.lacking = false }) // it was updated
		advance(10 * time.Minute)
		f.terminate()
		require.ErrorIs(t, <-r.ended, ErrTerminated)
		f.closeAll()
	})
}
