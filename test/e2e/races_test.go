package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Whatever heartbeats race a deletion: none that began after its answer finds the
// service, and none brings it back.
func TestNoHeartbeatThatRacesADeletionResurrects(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	var late atomic.Int64
	for round := range 40 {
		v := s.Register("app", fmt.Sprint("s", round), 1)
		var deleted atomic.Bool
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for after := 0; after < 3; {
					began := deleted.Load()
					r, err := s.Try("PATCH", v.Liveness, mep.Alive)
					if err != nil {
						t.Error(err)
						return
					}
					if began {
						after++
						late.Add(1)
						if r.Status != 404 {
							t.Errorf("a heartbeat after the deletion's answer: %d %s", r.Status, r.Body)
						}
					} else if r.Status != 204 && r.Status != 404 {
						t.Errorf("a heartbeat beside the deletion: %d %s", r.Status, r.Body)
					}
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		s.Want(204, "DELETE", v.Location, "")
		deleted.Store(true)
		wg.Wait()
		require.False(t, v.Discovered())
		s.Want(404, "GET", v.Location, "")
	}
	wait.Until(t, "nothing is left in service-center", func() bool { return len(microservices(s)) == 0 })
	require.Zero(t, suspensions(s))
	t.Logf("40 deletions among heartbeats; %d heartbeats after the answer, all 404", late.Load())
}

// What was acknowledged, the next answer shows, whoever asks and however busy the
// server is.
func TestWhatIsAcknowledgedTheNextAnswerShows(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, mep.Fast...)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				app := fmt.Sprintf("app-%d", w)
				v, err := s.TryRegister(app, fmt.Sprint("s", i), 1)
				if err != nil {
					t.Error(err)
					return
				}
				list, err := s.Try("GET", mep.Base+"/services?ser_instance_id="+v.ID, "")
				if err != nil || len(list.List(t)) != 1 {
					t.Errorf("registered and not discovered: %s %v", list.Body, err)
				}
				if r, err := s.Try("DELETE", v.Location, ""); err != nil || r.Status != 204 {
					t.Errorf("delete: %d %v", r.Status, err)
				}
				list, err = s.Try("GET", mep.ServicesOf(app)+"?ser_instance_id="+v.ID, "")
				if err != nil || len(list.List(t)) != 0 {
					t.Errorf("deleted and still listed: %s %v", list.Body, err)
				}
			}
		})
	}
	wg.Wait()
}
