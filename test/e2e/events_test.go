package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	sdk "github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// follower reads the event stream until its test ends, over all that happens to the server.
type follower struct {
	mu      sync.Mutex
	changes []string // NAME CHANGE TO
	ids     []string // of them
	resets  []mp1.ServiceReset
	lost    int
}

func follow(t *testing.T, s *mep.Server, f mp1.Filter, lastID string) *follower {
	t.Helper()
	c, err := sdk.New(sdk.Options{BaseURL: s.URL})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r, done := &follower{}, make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for e, err := range c.Events(ctx, f, lastID) {
			r.take(e, err)
		}
	}()
	return r
}

func (r *follower) take(e sdk.Event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.lost++
	case e.Reset != nil:
		r.resets = append(r.resets, *e.Reset)
	case e.Change != nil:
		r.changes = append(r.changes, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Change.SerName, e.Change.Change, e.Change.To)))
		r.ids = append(r.ids, e.ID)
	}
}

// seen are the changes that were read, and how many resets.
func (r *follower) seen() (changes []string, resets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes), len(r.resets)
}

func (r *follower) losses() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// A reader of the stream sees every change exactly once and in order, over kills of the server,
// and in whatever moment they come.
func TestAReaderOfTheStreamSeesEachChangeOnceOverKills(t *testing.T) {
	tier.Long(t, "test/e2e", "kills the server again and again")
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := mep.Start(t)
	all := follow(t, s, mp1.Filter{}, "")
	wait.Until(t, "it begins", func() bool { _, resets := all.seen(); return resets == 1 })
	filtered := follow(t, s, mp1.Filter{SerNames: []string{"n1"}}, "0")
	var want, wantFiltered []string
	made := func(name, change string) {
		want = append(want, name+" "+change)
		if name == "n1" {
			wantFiltered = append(wantFiltered, name+" "+change)
		}
	}
	var services []*mep.Service
	for i := range 3 {
		name := fmt.Sprint("n", i)
		services = append(services, s.Register("app", name, -1))
		made(name, "ADDED ACTIVE")
	}
	for life := range 4 {
		for n := 5 + random.IntN(20); n > 0; n-- {
			i := random.IntN(len(services))
			v, name, state := services[i], fmt.Sprint("n", i), "INACTIVE"
			if v.State() == state {
				state = "ACTIVE"
			}
			s.Want(200, "PUT", v.Location, strings.Replace(mep.Info(name, -1), `"ACTIVE"`, `"`+state+`"`, 1))
			made(name, "STATE_CHANGED "+state)
		}
		if life == 2 {
			s.Signal(syscall.SIGTERM)
		} else {
			s.Signal(syscall.SIGKILL)
		}
		s.Wait()
		s.Restart()
	}
	s.Want(204, "DELETE", services[1].Location, "")
	made("n1", "REMOVED")
	for who, r := range map[string]*follower{"all": all, "filtered": filtered} {
		expected := want
		if who == "filtered" {
			expected = wantFiltered
		}
		wait.Until(t, who+" has seen all", func() bool { changes, _ := r.seen(); return len(changes) >= len(expected) })
		changes, resets := r.seen()
		require.Equal(t, expected, changes, who)
		require.LessOrEqual(t, resets, 1, "%s: nothing was lost", who)
	}
	require.Positive(t, all.losses(), "the server was killed; one that waits to connect again may miss a kill")

	// Another program goes on where this one was.
	middle := len(all.ids) / 2
	other := follow(t, s, mp1.Filter{}, all.ids[middle])
	wait.Until(t, "it has seen the rest", func() bool { changes, _ := other.seen(); return len(changes) >= len(want)-middle-1 })
	changes, resets := other.seen()
	require.Equal(t, want[middle+1:], changes)
	require.Zero(t, resets)
}

// What is no place in the stream leads to a reset, and so does what is gone with a restore.
func TestAReaderWithAForeignIDBeginsAnew(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	v := s.Register("app", "n", -1)
	first := follow(t, s, mp1.Filter{}, "")
	wait.Until(t, "it begins", func() bool { _, resets := first.seen(); return resets == 1 })
	for _, id := range []string{"1", "999999", "x", "-1"} {
		r := follow(t, s, mp1.Filter{}, id)
		wait.Until(t, "a reset for "+id, func() bool { _, resets := r.seen(); return resets == 1 })
		require.Equal(t, v.ID, r.resets[0].Services[0].SerInstanceID)
		require.Equal(t, first.resets[0].Revision, r.resets[0].Revision)
	}
	wait.Until(t, "they are counted", func() bool { return s.Metric(`mep_events_resets_total{reason="forgotten"}`) >= 4 })
}
