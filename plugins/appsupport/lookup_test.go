package appsupport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

func TestAReplicaAsksTheStoreForWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		require.False(t, admits(t, d, "a"))
		_, err := s.SaveApplication(t.Context(), plugins.Application{Info: info("a")})
		require.NoError(t, err)
		require.False(t, admits(t, d, "a"), "believed to be unknown for a second")
		time.Sleep(plugins.AbsenceTTL + time.Millisecond)
		require.True(t, admits(t, d, "a"))
		s.fail = errors.New("no answer")
		_, err = d.admitted(t.Context(), "b")
		require.ErrorIs(t, err, heartbeat.ErrUnavailable, "no answer is no refusal")
		require.True(t, admits(t, d, "a"))
		require.ErrorIs(t, d.UpdateApplication(t.Context(), "a", info("a"), nil), heartbeat.ErrUnavailable)
		s.fail = nil
		require.ErrorIs(t, d.UpdateApplication(t.Context(), "a", info("a"), func(mp1.AppInfo) bool { return false }), heartbeat.ErrStale)
		require.NoError(t, d.UpdateApplication(t.Context(), "a", info("a"), func(now mp1.AppInfo) bool { return now.AppName == "n" }))
		require.ErrorIs(t, d.UpdateApplication(t.Context(), "b", info("b"), nil), server.ErrNoRegistration)
		_, err = d.RegisterApplication(t.Context(), info("a"))
		require.ErrorIs(t, err, server.ErrRegistered)
		_, err = d.Registration(t.Context(), "b")
		require.ErrorIs(t, err, server.ErrNoRegistration)
	})
}

// A client that asks for many unknown applications at once waits, and nobody else does.
func TestTheStoreIsAskedForFewApplicationsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		d.load([]plugins.Application{{Info: info("here"), At: 1}}, 1)
		s.gate = make(chan struct{})
		var asking sync.WaitGroup
		for i := range 4 * maxReads {
			asking.Go(func() {
				ok, err := d.admitted(t.Context(), fmt.Sprint("none", i))
				assert.NoError(t, err)
				assert.False(t, ok)
			})
		}
		synctest.Wait()
		require.EqualValues(t, maxReads, s.read.Load())
		require.True(t, admits(t, d, "here"), "what is known is answered")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := d.admitted(ctx, "late")
		require.ErrorIs(t, err, heartbeat.ErrUnavailable, "no answer is no refusal")
		require.EqualValues(t, maxReads, s.read.Load())
		close(s.gate)
		asking.Wait()
		require.EqualValues(t, 4*maxReads, s.read.Load(), "all are answered")
	})
}

// Of many requests for one unknown application those that waited ask no more.
func TestWhoWaitedToAskTakesTheAnswerOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s, _ := newDirectory(false, false)
		s.gate = make(chan struct{})
		var asking sync.WaitGroup
		for range 4 * maxReads {
			asking.Go(func() {
				ok, err := d.admitted(t.Context(), "none")
				assert.NoError(t, err)
				assert.False(t, ok)
			})
		}
		synctest.Wait()
		close(s.gate)
		asking.Wait()
		require.EqualValues(t, maxReads, s.read.Load())
	})
}
