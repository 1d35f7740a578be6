package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// as sends a request of an agent, and wants this status, and its name in the answer.
func as(s *mep.Server, agent string, status int, method, path, body string) mep.Answer {
	s.T().Helper()
	a := s.Want(status, method, path, body, "Mep-Agent", agent)
	require.Equal(s.T(), []string{agent}, a.Header.Values("Mep-Agent"), "%s %s", method, path)
	return a
}

// registered registers a service by an agent, and has another one join it.
func registered(s *mep.Server, name string, interval int) (path string) {
	s.T().Helper()
	a := as(s, "node-1.r1", 201, "POST", mep.ServicesOf("app"), mep.Info(name, interval))
	path = a.Header.Get("Location")
	b := as(s, "node-2.r1", 200, "PUT", path, mep.Info(name, interval))
	require.Equal(s.T(), a.Header.Get("ETag"), b.Header.Get("ETag"), "who joins changes nothing that is shown")
	require.NotContains(s.T(), string(b.Body), "node-")
	return path
}

// The order of a rolling update, with a crash of the platform in between: the service is
// never gone, and told of once.
func TestOnlyTheLastAgentRemovesAlsoAfterACrash(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	told := consumer.Start(t)
	s.Subscribe("watcher", told.URL, "")
	path := registered(s, "rolled", 30)
	as(s, "node-1.r1", 204, "PATCH", path+"/liveness", mep.Alive)
	a := as(s, "node-1.r1", 409, "DELETE", path, "")
	require.Contains(t, string(a.Body), "Another agent keeps the service instance alive")
	s.Kill()
	s.Restart()
	as(s, "node-1.r1", 409, "DELETE", path, "") // its answer was lost, say
	as(s, "node-2.r1", 204, "PATCH", path+"/liveness", mep.Alive)
	as(s, "node-2.r2", 200, "PUT", path, mep.Info("rolled", 30)) // it crashed, and runs again
	as(s, "node-2.r1", 409, "DELETE", path, "")                  // a request that comes late
	s.Want(200, "PUT", path, mep.Info("rolled", 30))             // an ETSI client changes nothing of it
	require.Contains(t, string(s.Want(200, "GET", path, "").Body), `"ACTIVE"`)
	as(s, "node-2.r2", 204, "DELETE", path, "")
	s.Want(404, "GET", path, "")
	wait.Until(t, "the removal is told", func() bool { return len(told.Distinct()) >= 2 })
	require.Equal(t, []string{"rolled ADDED ACTIVE", "rolled REMOVED ACTIVE"}, told.Distinct())
}

// The last POST of an agent that was killed arrives late: who starts where it ran removes what
// it made, and nothing that anybody else keeps alive.
func TestWhoStartsWhereAnotherCrashedRemovesWhatThatOneMade(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	remove := func(agent string, status int, path string) {
		s.Want(status, "DELETE", path, "", "Mep-Agent", agent, "Mep-Agent-Scope", "place")
	}
	path := as(s, "node-1.dead", 201, "POST", mep.ServicesOf("app"), mep.Info("late", 30)).Header.Get("Location")
	remove("node-2.r1", 409, path)
	remove("node-1.r1", 204, path)
	s.Want(404, "GET", path, "")
	shared := registered(s, "shared", 30)
	remove("node-1.r2", 409, shared)
	remove("node-2.r1", 409, shared)
	as(s, "node-1.r1", 409, "DELETE", shared, "") // it still counted
	as(s, "node-2.r1", 204, "DELETE", shared, "")
	plain := s.Want(201, "POST", mep.ServicesOf("app"), mep.Info("plain", 30)).Header.Get("Location")
	remove("node-1.r1", 409, plain)
	s.Want(400, "DELETE", plain, "", "Mep-Agent-Scope", "place")
	s.Want(204, "DELETE", plain, "")
}

func TestWithoutTheHeaderAllIsAsETSIHasIt(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	path := registered(s, "n", 30)
	for _, bad := range []string{"node", "node.", ".r", "a.b.c", "a b.c", strings.Repeat("x", 65) + ".r"} {
		for _, method := range []string{"PUT", "DELETE"} {
			a := s.Want(400, method, path, mep.Info("n", 30), "Mep-Agent", bad)
			require.Empty(t, a.Header.Values("Mep-Agent"))
		}
		s.Want(400, "POST", mep.ServicesOf("app"), mep.Info("n", 30), "Mep-Agent", bad)
		s.Want(204, "PATCH", path+"/liveness", mep.Alive, "Mep-Agent", bad)
	}
	a := s.Want(204, "DELETE", path, "")
	require.Empty(t, a.Header.Values("Mep-Agent"))
	s.Want(404, "GET", path, "")
}

// Two replicas of an application are scaled down at once: one of them is the last.
func TestOfTwoThatLeaveAtOnceOneIsTheLast(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	for round := range 30 {
		path := registered(s, fmt.Sprint("n", round), 30)
		var got [2]int
		var both sync.WaitGroup
		for i := range got {
			both.Go(func() {
				if a, err := s.Try("DELETE", path, "", "Mep-Agent", fmt.Sprintf("node-%d.r1", i+1)); err == nil {
					got[i] = a.Status
				}
			})
		}
		both.Wait()
		slices.Sort(got[:])
		require.Equal(t, [2]int{204, 409}, got)
		s.Want(404, "GET", path, "")
	}
}

// The agent that it was left to had died: it must not stand as SUSPENDED for a day.
func TestWhatWasLeftToTheDeadIsGoneOnceItIsSuspended(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	path := registered(s, "left", 1)
	as(s, "node-1.r1", 409, "DELETE", path, "")
	wait.Until(t, "removed", func() bool { return s.Do("GET", path, "").Status == 404 })
	counted(s, 1, `mep_transactions_total{kind="RETENTION"}`)

	path = registered(s, "kept", 1)
	as(s, "node-1.r1", 409, "DELETE", path, "")
	as(s, "node-2.r1", 204, "PATCH", path+"/liveness", mep.Alive)
	wait.Until(t, "SUSPENDED", func() bool { return strings.Contains(string(s.Do("GET", path, "").Body), `"SUSPENDED"`) })
	time.Sleep(time.Second)
	s.Want(200, "GET", path, "")
	require.Equal(t, 1, s.Metric(`mep_transactions_total{kind="RETENTION"}`), "who was heard since may come back")
	as(s, "node-2.r1", 204, "PATCH", path+"/liveness", mep.Alive)
	as(s, "node-2.r1", 204, "DELETE", path, "")
}

// A platform with a store of its own hears every heartbeat: who is not heard keeps nothing.
func TestAloneTheSilentKeepNothing(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	silent, living := registered(s, "silent", 1), registered(s, "living", 1)
	beat := func() {
		as(s, "node-1.r1", 204, "PATCH", silent+"/liveness", mep.Alive)
		as(s, "node-1.r1", 204, "PATCH", living+"/liveness", mep.Alive)
		as(s, "node-2.r1", 204, "PATCH", living+"/liveness", mep.Alive)
	}
	for range 7 { // more than the window of 2 s
		beat()
		time.Sleep(500 * time.Millisecond)
	}
	as(s, "node-1.r1", 409, "DELETE", living, "")
	wait.Until(t, "node-2 does not count", func() bool { // later, if this machine was disturbed
		if s.Do("DELETE", silent, "", "Mep-Agent", "node-1.r1").Status == 204 {
			return true
		}
		beat()
		return false
	})
	as(s, "node-2.r1", 204, "DELETE", living, "")
}
