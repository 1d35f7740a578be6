package edgegallery

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins/edgegallery/mepauth"
)

const terminationPath = "/mep/mec_app_support/v1/applications/app-1/AppInstanceTermination"

// fakeMepauth remembers whose credentials were removed.
type fakeMepauth struct {
	mu    sync.Mutex
	calls int
	err   error
}

func (m *fakeMepauth) forget(context.Context, string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	return m.err
}

func (m *fakeMepauth) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *fakeMepauth) asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// terminated terminates app-1, which is answered 200 and "" whatever happens.
func (s *site) terminated(t *testing.T) {
	t.Helper()
	status, body := ask(t, s, http.MethodDelete, terminationPath, "")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "\"\"\n", body)
}

// MECM instantiates an application again as soon as it was answered.
func TestAnApplicationThatSubscribedToNoTerminationGoesAtOnce(t *testing.T) {
	for _, others := range []server.Subscriptions{nil, fakeTerminations{of: map[string][]*server.Subscription{"app-2": {{}}}}} {
		s := newSite()
		s.platform.terminator.terminations = others
		s.terminated(t)
		require.Equal(t, []string{"app-1"}, s.life.gone, "before the answer")
	}
}

func TestATerminationRemovesTheServicesAtOnceAndLeavesTheApplicationFiveSeconds(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		m := &fakeMepauth{}
		s.platform.terminator.terminations = fakeTerminations{of: map[string][]*server.Subscription{"app-1": {{}}}}
		s.platform.terminator.credentials = m.forget
		s.services.add("app-1", "s1", "one", mp1.Active, nil)
		s.services.add("app-2", "s2", "two", mp1.Active, nil)
		s.services.add("app-1", "s3", "three", mp1.Suspended, nil)
		s.terminated(t)
		require.Equal(t, map[string]uint32{"app-1": 5}, s.life.begun)
		require.ElementsMatch(t, []string{"s1", "s3"}, s.services.removed)
		require.Empty(t, s.life.gone)
		synctest.Wait()
		require.Equal(t, 1, m.asked())
		require.Zero(t, s.store.get("app-1").At, "nothing is left to be done")
	})
}

// To MECM anything but 200 means that the application cannot be deleted.
func TestATerminationIsAnsweredWith200WhateverHappens(t *testing.T) {
	for _, err := range []error{server.ErrNoRegistration, server.ErrTerminating} {
		s := newSite()
		s.life.err = err
		s.terminated(t)
		require.Empty(t, s.store.kept, "it is done, or was")
	}
	inSite(t, func(t *testing.T, s *site) {
		s.services.add("app-1", "s1", "one", mp1.Active, nil)
		s.life.set(heartbeat.ErrUnavailable)
		s.terminated(t)
		require.True(t, s.store.get("app-1").Leaving, "it is remembered")
		s.life.set(nil)
		time.Sleep(2 * workEvery)
		synctest.Wait()
		require.Equal(t, []string{"s1"}, s.services.removed)
		require.Zero(t, s.store.get("app-1").At)
	})
	inSite(t, func(t *testing.T, s *site) {
		s.services.add("app-1", "s1", "one", mp1.Active, nil)
		s.store.set(true)
		s.life.set(heartbeat.ErrUnavailable)
		s.terminated(t)
		time.Sleep(10 * workEvery)
		require.Empty(t, s.services.removed)
		s.store.set(false)
		s.life.set(nil)
		time.Sleep(3 * workEvery)
		synctest.Wait()
		require.Equal(t, []string{"s1"}, s.services.removed)
		require.Zero(t, s.store.get("app-1").At)
		require.Empty(t, s.platform.terminator.unsaved)
	})
}

func TestMepauthIsAskedUntilItForgets(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		m := &fakeMepauth{err: errors.New("connection refused")}
		s.platform.terminator.credentials = m.forget
		s.terminated(t)
		time.Sleep(time.Hour)
		n := m.asked()
		require.Greater(t, n, 10)
		require.Less(t, n, 30, "with growing pauses")
		require.Len(t, s.log.said(), 1, "one line says so")
		require.True(t, s.store.get("app-1").Forget)
		m.set(nil)
		time.Sleep(mostWait + workEvery)
		synctest.Wait()
		require.Zero(t, s.store.get("app-1").At)
		require.Empty(t, s.platform.terminator.waits)
	})
}

func TestWhatMepauthRefusesIsNotAskedAgain(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		m := &fakeMepauth{err: mepauth.ErrRefused}
		s.platform.terminator.credentials = m.forget
		s.terminated(t)
		time.Sleep(time.Minute)
		require.Equal(t, 1, m.asked())
		require.Zero(t, s.store.get("app-1").At)
	})
}

func TestOtherReplicasLeaveTheWorkToTheFirst(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		m := &fakeMepauth{}
		s.work.rank = func() int { return 2 }
		s.platform.terminator.credentials = m.forget
		s.terminated(t)
		time.Sleep(time.Minute)
		require.Zero(t, m.asked())
		require.True(t, s.store.get("app-1").Forget)
	})
}
