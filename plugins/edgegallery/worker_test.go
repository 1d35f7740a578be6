package edgegallery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// A mepauth that does not answer holds up nobody but those that it is to forget.
func TestATaskDoesNotWaitForCredentialsThatAreToBeForgotten(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		var mu sync.Mutex
		now, most := 0, 0
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			now += by
			most = max(most, now)
		}
		s.platform.terminator.credentials = func(ctx context.Context, _ string) error {
			count(1)
			defer count(-1)
			select {
			case <-ctx.Done():
			case <-time.After(mepauthTime):
			}
			return errors.New("it does not answer")
		}
		for i := range 1000 {
			d := plugins.Deployment{App: fmt.Sprint("gone-", i), At: heartbeat.Revision(i + 1), Forget: true}
			s.store.kept[d.App], s.store.at = d, d.At
			s.kept.see(d, false)
		}
		time.Sleep(workEvery)
		for range 20 {
			require.Equal(t, plugins.TaskSuccess, s.polled(t, s.asked(t, http.MethodPost, withDNS)).ConfigResult)
			require.Equal(t, plugins.TaskSuccess, s.polled(t, s.asked(t, http.MethodDelete, "")).ConfigResult)
			time.Sleep(workEvery)
		}
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, maxForgetting, most)
	})
}

const mepauthTime = 5 * time.Second

func TestTasksComeBeforeWhatNobodyPolls(t *testing.T) {
	k := newSite().kept
	for i := range 50 {
		k.see(plugins.Deployment{App: fmt.Sprint("gone-", i), At: heartbeat.Revision(i + 1), Leaving: true}, false)
	}
	k.see(plugins.Deployment{App: "app-1", At: 99, Tasks: []plugins.DeploymentTask{{ID: "t", Result: plugins.TaskProcessing}}}, false)
	require.Equal(t, "app-1", k.due()[0].App)
}

func TestATerminationThatIsNotRememberedIsLoggedAsThatAndCounted(t *testing.T) {
	s := newSite()
	l := s.platform.terminator
	for i := range maxUnsaved {
		l.unsaved[fmt.Sprint("gone-", i)] = true
	}
	s.store.set(true)
	s.life.set(heartbeat.ErrUnavailable)
	s.terminated(t)
	require.Len(t, l.unsaved, maxUnsaved)
	require.Len(t, s.log.said(), 1)
	require.Contains(t, s.log.said()[0], "not remembered")
	require.InDelta(t, 1, counted(t, l), 0)
	delete(l.unsaved, "gone-0")
	s.terminated(t)
	require.True(t, l.unsaved["app-1"])
	require.Contains(t, s.log.said()[1], "tried again later")
	require.InDelta(t, 1, counted(t, l), 0)
}

// What the store refuses of one application says nothing of the others.
func TestOneTerminationThatIsRefusedHoldsUpNoOther(t *testing.T) {
	s := newSite()
	l := s.platform.terminator
	for i := range 20 {
		l.unsaved[fmt.Sprint("gone-", i)] = true
	}
	s.store.refused = "gone-7"
	l.save(t.Context())
	require.Equal(t, map[string]bool{"gone-7": true}, l.unsaved)
	require.Len(t, s.store.kept, 19)
	l.unsaved["gone-20"] = true
	s.store.set(true)
	l.save(t.Context())
	require.Len(t, l.unsaved, 2, "a store that is away is not asked for each of them")
}

// A full store was asked for each of 10,000 of them every second.
func TestAFullStoreIsAskedForOneTerminationATick(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		l := s.platform.terminator
		l.mu.Lock()
		for i := range maxUnsaved {
			l.unsaved[fmt.Sprint("gone-", i)] = true
		}
		l.mu.Unlock()
		s.store.mu.Lock()
		s.store.full = true
		s.store.mu.Unlock()
		const ticks = 20
		time.Sleep(ticks*workEvery + workEvery/2)
		synctest.Wait()
		s.store.mu.Lock()
		require.Equal(t, ticks, s.store.asked)
		s.store.full = false
		s.store.mu.Unlock()
		time.Sleep(workEvery)
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		require.Empty(t, l.unsaved)
	})
	s := newSite()
	for i := range maxUnsaved {
		s.platform.terminator.unsaved[fmt.Sprint("gone-", i)] = true
	}
	s.platform.terminator.save(t.Context())
	require.Equal(t, mostSaved, s.store.asked, "other work is done in between")
}

func TestThePausesOfApplicationsThatAnotherReplicaFinishesAreForgotten(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		m := &fakeMepauth{err: errors.New("connection refused")}
		s.platform.terminator.credentials = m.forget
		s.terminated(t)
		time.Sleep(10 * workEvery)
		synctest.Wait()
		require.Len(t, s.platform.terminator.waits, 1)
		s.rank.Store(2)
		time.Sleep(2 * workEvery)
		synctest.Wait()
		require.Empty(t, s.platform.terminator.waits)
	})
}

// counted is how many terminations were dropped.
func counted(t *testing.T, l *terminator) float64 {
	t.Helper()
	return testutil.ToFloat64(l.dropped)
}

func TestTwoApplicationsThatAreConfiguredAtOnceDoNotGetOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.store.saving = func() { time.Sleep(time.Second) }
		var answers [2]int
		var all sync.WaitGroup
		for i, path := range []string{configurationPath, strings.Replace(configurationPath, "app-1", "app-2", 1)} {
			all.Go(func() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(withoutRules)))
				answers[i] = w.Code
			})
		}
		all.Wait()
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusBadRequest}, answers[:])
	})
}

// A replica that has not seen yet what another one has written waits for it.
func TestTwoReplicasDoNotGiveOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := newSite(), newSite()
		other.kept.store, other.store = one.store, one.store
		status, _ := ask(t, one, http.MethodPost, configurationPath, withoutRules)
		require.Equal(t, http.StatusOK, status)
		second := strings.Replace(configurationPath, "app-1", "app-2", 1)
		status, _ = ask(t, other, http.MethodPost, second, withoutRules)
		require.Equal(t, http.StatusServiceUnavailable, status, "its watch hangs")
		time.AfterFunc(time.Second, func() { other.kept.see(one.store.get("app-1"), false) })
		status, body := ask(t, other, http.MethodPost, second, withoutRules)
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, "appName")
		status, _ = ask(t, other, http.MethodPost, second, strings.Replace(withoutRules, `"appName":"`, `"appName":"second-`, 1))
		require.Equal(t, http.StatusOK, status)
	})
}

func TestAConfigurationTooManySaysWhatToDo(t *testing.T) {
	s := newSite()
	for i := range maxDeployments {
		app := fmt.Sprint("other-", i)
		s.kept.apps[app] = &entry{Deployment: plugins.Deployment{App: app, At: 1}}
	}
	status, body := ask(t, s, http.MethodPost, configurationPath, withoutRules)
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "DELETE the appd_configuration")
	require.NotErrorIs(t, server.ErrTooManyDeployments, server.ErrTooManyRules)
}

// MECM deletes an application while it is being configured. What the worker has written and this
// replica has not seen must not outlive that, nor what it is about to write.
func TestADeletionWaitsForTheTaskAndTakesItsConfigurationAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		at := func(at heartbeat.Revision) plugins.Deployment {
			return plugins.Deployment{App: "a", At: at, Tasks: []plugins.DeploymentTask{{ID: fmt.Sprint(at), Result: plugins.TaskSuccess}}}
		}
		s.kept.see(at(1), false)
		s.store.kept["a"], s.store.at = at(2), 2
		its := owned{s.kept}
		require.NoError(t, its.Remove(t.Context(), "a", its.Of("a")[0]))
		require.Equal(t, []string{"configuration@2"}, its.Of("a"), "what was written meanwhile is to be removed too")

		end := s.kept.beginTask("a")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- its.Remove(ctx, "a", "configuration@2") }()
		synctest.Wait()
		require.Empty(t, its.Of("a"))
		require.Empty(t, ended, "the task goes on")
		cancel()
		require.ErrorIs(t, <-ended, heartbeat.ErrUnavailable)
		go func() { ended <- its.Remove(t.Context(), "a", "configuration@2") }()
		synctest.Wait()
		require.Empty(t, ended)
		end()
		require.NoError(t, <-ended)
	})
}
